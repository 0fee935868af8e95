"""Runs the schedule of one seed and judges it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stream_encryption.guard.handler import Guard
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
