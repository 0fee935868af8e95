"""Simulation of the guard, on the handler's model of Kinesis and KMS.

    python -m tests.simulation.guard.campaign --seeds 1000      schedules with new seeds
    python -m tests.simulation.guard.replay SEED                one schedule, event by event
    python -m tests.simulation.guard.scanning                   duration and cost of a scan

`account` combines the parts of a schedule: `services` are the queue, the table, the topic, and the
list operations; `delivery` is Lambda and EventBridge; `owners` change streams and deploy.
`expectations` derives the state of each stream at any time, and `invariants` compares it with what
the guard did.
"""
