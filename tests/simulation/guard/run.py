"""Runs the schedule of one seed and judges it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stream_encryption.guard.handler import Guard
from tests.simulation.guard import remediating, remediation_invariants
from tests.simulation.guard.invariants import Violation, judge
from tests.simulation.guard.schedule import draw
from tests.simulation.guard.services import DEAD_LETTERS
from tests.simulation.guard.world import Make, World


@dataclass(frozen=True)
class Outcome:
    """What a schedule came to."""

    seed: int
    profile: str
    invocations: int
    calls: int
    told: Counter[str]
    given_up: int
    faults: Counter[str]
    violations: tuple[Violation, ...]


def happened(seed: int, make: Make = Guard) -> World:
    """Let the schedule of a seed happen."""
    world = World(draw(seed), make)
    world.happen()
    return world


def run(seed: int, make: Make = Guard) -> Outcome:
    """Let the schedule of a seed happen, and judge it."""
    world = happened(seed, make)
    invocations = world.function.invocations
    return Outcome(
        seed=seed,
        profile=world.schedule.profile,
        invocations=len(invocations),
        calls=sum(len(invocation.calls) for invocation in invocations),
        told=Counter(publication.state for publication, _ in world.published),
        given_up=len(world.sqs.queues[DEAD_LETTERS]),
        faults=world.faults.counts,
        violations=tuple(judge(world)),
    )


def remediate(seed: int, make: Make = Guard) -> Outcome:
    """Let the schedule of remediation of a seed happen, and judge it."""
    world = remediating.World(remediating.draw(seed), make)
    world.happen()
    functions = [each for guard in world.guards for each in (guard.checks, guard.remediates)]
    invocations = [each for function in functions for each in function.invocations]
    kinds = Counter(f"owner: {owner}" for owner in world.schedule.owners.values())
    kinds[f"guards: {len(world.guards)}"] += 1
    kinds[f"streams: {len(world.schedule.owners)}"] += 1
    return Outcome(
        seed=seed,
        profile=f"remediation: {world.schedule.profile}",
        invocations=len(invocations),
        calls=sum(len(invocation.calls) for invocation in invocations),
        told=Counter(each.state for guard in world.guards for each, _ in guard.published),
        given_up=sum(len(guard.sqs.queues[DEAD_LETTERS]) for guard in world.guards),
        faults=world.faults.counts + kinds,
        violations=tuple(remediation_invariants.judge(world)),
    )
