"""Runs the schedules of one seed and checks their invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from simulated_aws.event_source import MakeGuard
from simulated_aws.sqs import DEAD_LETTERS
from stream_encryption.guard.handler import Guard
from tests.simulation.guard import invariants, remediation_invariants, remediation_schedule
from tests.simulation.guard.schedule import GuardSchedule, draw
from tests.simulation.guard.simulation import GuardSimulation
from tests.simulation.outcome import Outcome, Violation


def simulate(schedule: GuardSchedule, make: MakeGuard = Guard) -> GuardSimulation:
    """Run a schedule."""
    simulation = GuardSimulation(schedule, make)
    simulation.run()
    return simulation


def run(seed: int, make: MakeGuard = Guard) -> Outcome:
    """Run the schedule of a seed, and check its invariants."""
    simulation = simulate(draw(seed), make)
    return _outcome(simulation, invariants.judge(simulation))


def remediate(seed: int, make: MakeGuard = Guard) -> Outcome:
    """Run the schedule of remediation of a seed, and check its invariants."""
    simulation = simulate(remediation_schedule.draw(seed), make)
    return _outcome(simulation, remediation_invariants.judge(simulation))


def _outcome(simulation: GuardSimulation, violations: Iterable[Violation]) -> Outcome:
    schedule, guards = simulation.schedule, simulation.guards
    functions = [each for guard in guards for each in (guard.checks, guard.remediates)]
    invocations = [each for function in functions for each in function.invocations]
    kinds = Counter(f"owner: {owner}" for owner in schedule.owners.values())
    kinds.update((f"guards: {len(guards)}", f"streams: {len(schedule.streams)}"))
    return Outcome(
        seed=schedule.seed,
        profile=f"remediation: {schedule.profile}" if schedule.limits else schedule.profile,
        invocations=len(invocations),
        calls=sum(len(invocation.calls) for invocation in invocations),
        faults=simulation.faults.counts + kinds,
        violations=tuple(violations),
        notifications=Counter(each.state for guard in guards for each, _ in guard.published),
        dead_letters=sum(len(guard.sqs.queues[DEAD_LETTERS]) for guard in guards),
    )
