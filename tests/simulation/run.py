"""Runs the schedule of one seed and judges it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime
from tests.simulation.invariants import Violation, judge
from tests.simulation.schedule import draw
from tests.simulation.world import World


@dataclass(frozen=True)
class Outcome:
    """What a schedule came to.

    Parameters
    ----------
    seed, profile
        Which schedule.
    requests, invocations, calls
        How much happened in it.
    faults
        Faults injected, by kind.
    errors
        Errors that AWS calls ended with, by operation and code.
    exemptions
        Uses of exemptions, by kind.
    violations
        Invariants that did not hold.
    stack
        Status that the last stack ended in.
    """

    seed: int
    profile: str
    requests: int
    invocations: int
    calls: int
    faults: Counter[str]
    errors: Counter[str]
    exemptions: Counter[str]
    violations: tuple[Violation, ...]
    stack: str


def happened(seed: int, make_handler: Callable[[Runtime], Any] = Handler) -> World:
    """Let the schedule of a seed happen."""
    with _log_level_kept():
        world = World(draw(seed), make_handler)
        world.happen()
    return world


def run(seed: int, make_handler: Callable[[Runtime], Any] = Handler) -> Outcome:
    """Let the schedule of a seed happen, and judge it."""
    world = happened(seed, make_handler)
    verdict = judge(world)
    invocations = world.lambda_service.invocations
    calls = [call for one in invocations for call in one.calls]
    stacks = world.cloudformation.stacks
    return Outcome(
        seed=seed,
        profile=world.schedule.profile,
        requests=len(world.cloudformation.requests),
        invocations=len(invocations),
        calls=len(calls),
        faults=world.faults.counts,
        errors=Counter(f"{call.operation} {call.error}" for call in calls if call.error),
        exemptions=verdict.exemptions,
        violations=tuple(verdict.violations),
        stack=stacks[-1].status if stacks else "",
    )


@contextmanager
def _log_level_kept() -> Iterator[None]:
    """crhelper sets the root logger's level; put it back for whoever else logs here."""
    level = logging.root.level
    try:
        yield
    finally:
        logging.root.setLevel(level)
