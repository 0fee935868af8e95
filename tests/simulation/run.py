"""Runs the schedule of one seed and checks its invariants."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime
from tests.simulation.invariants import check_invariants
from tests.simulation.outcome import Outcome
from tests.simulation.schedule import draw
from tests.simulation.simulation import HandlerSimulation


def simulate(seed: int, make_handler: Callable[[Runtime], Any] = Handler) -> HandlerSimulation:
    """Run the schedule of a seed."""
    with _restored_log_level():
        aws = HandlerSimulation(draw(seed), make_handler)
        aws.run()
    return aws


def run(seed: int, make_handler: Callable[[Runtime], Any] = Handler) -> Outcome:
    """Run the schedule of a seed, and check its invariants."""
    aws = simulate(seed, make_handler)
    result = check_invariants(aws)
    invocations = aws.lambda_service.invocations
    calls = [call for one in invocations for call in one.calls]
    stacks = aws.cloudformation.stacks
    return Outcome(
        seed=seed,
        profile=aws.schedule.profile,
        requests=len(aws.cloudformation.requests),
        invocations=len(invocations),
        calls=len(calls),
        faults=aws.faults.counts,
        errors=Counter(f"{call.operation} {call.error}" for call in calls if call.error),
        exemptions=result.exemptions,
        violations=tuple(result.violations),
        stack=stacks[-1].status if stacks else "none",
    )


@contextmanager
def _restored_log_level() -> Iterator[None]:
    """Restore the level of the root logger, which crhelper sets."""
    level = logging.root.level
    try:
        yield
    finally:
        logging.root.setLevel(level)
