"""Simulation of the guard, on the handler's model of Kinesis and KMS.

    python -m tests.simulation.guard.campaign --seeds 1000      schedules with new seeds
    python -m tests.simulation.guard.replay SEED                one schedule, event by event
    python -m tests.simulation.guard.sweeping                   what a sweep takes and costs

`world` puts a schedule's parts together: `services` are the queue, the table, the topic and the
lists, `delivery` is Lambda and EventBridge, `people` change streams and deploy. `truth` says what
each stream was at any time, and `invariants` holds what the guard did against it.
"""
