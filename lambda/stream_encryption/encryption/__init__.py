"""The job: describe, decide, act, wait."""
