"""The guard on a simulated AWS: owners change streams and deploy, while the guard watches.

    python -m tests.simulation.campaign --guard --seeds 1000    schedules with new seeds
    python -m tests.simulation.replay --guard SEED              one schedule, event by event
    python -m tests.simulation.replay --remediation SEED        one of remediation

`schedule` and `remediation_schedule` draw what happens, `simulation` runs it, and `owners` change
streams and deploy. `expectations` derives the state of each stream at any time, and `invariants`
compares it with what the guard did; `remediation_invariants` does so for changes.
"""
