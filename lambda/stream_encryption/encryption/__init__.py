"""The job: look, decide, act, wait."""
