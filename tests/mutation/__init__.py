"""Small changes to the handler, each of which the unit tests must notice: `docs/mutation.md`."""
