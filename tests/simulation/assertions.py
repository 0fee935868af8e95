"""Assertions of the tests of all schedules: of the handler, the guard, and remediation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.simulation.broken import Broken
from tests.simulation.outcome import Outcome


def assert_invariants_hold(
    outcomes: Iterable[Outcome], show: Callable[[int], str], option: str = ""
) -> None:
    """Fail with all violations, and show the first schedule that has one, as `replay` does."""
    violating = [outcome for outcome in outcomes if outcome.violations]
    if violating:
        first = violating[0].seed
        details = "\n".join(
            f"seed {one.seed}: {each}" for one in violating for each in one.violations
        )
        command = f"python -m tests.simulation.replay {option} {first}"
        pytest.fail(f"{details}\n\n{command}\n{show(first)}")


def assert_caught(broken: Broken[Any], run: Callable[..., Outcome], schedules: int) -> None:
    """Require a violation of the expected invariant, in a schedule without one otherwise."""
    for seed in range(schedules):
        if broken.invariant in {one.check[0] for one in run(seed, broken.make).violations}:
            break
    else:
        pytest.fail(f"not caught in {schedules} schedules: {broken.name}")
    assert run(seed).violations == ()
