"""Remediation holds its invariants in every schedule, and broken ones are caught."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.campaign import new_base
from tests.simulation.guard.broken_guards import BrokenGuard
from tests.simulation.guard.broken_remediation import BROKEN_REMEDIATION
from tests.simulation.guard.remediation_schedule import OWNERS
from tests.simulation.guard.run import remediate
from tests.simulation.guard.schedule import PROFILES
from tests.simulation.outcome import Outcome

SCHEDULES, BATCHES, NEW = 80, 4, 20


def _check(outcomes: list[Outcome]) -> None:
    wrong = [f"seed {one.seed}: {each}" for one in outcomes for each in one.violations]
    assert not wrong, "python -m tests.simulation.replay --remediation SEED\n" + "\n".join(wrong)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_invariants_hold(batch: int) -> None:
    length = SCHEDULES // BATCHES
    _check([remediate(seed) for seed in range(batch * length, (batch + 1) * length)])


def test_invariants_hold_on_new_seeds() -> None:
    base = new_base()
    _check([remediate(seed) for seed in range(base, base + NEW)])


@pytest.mark.parametrize("broken", BROKEN_REMEDIATION, ids=str)
def test_broken_remediation_is_caught(broken: BrokenGuard) -> None:
    for seed in range(SCHEDULES):
        if broken.invariant in {each.check for each in remediate(seed, broken.make).violations}:
            break
    else:
        pytest.fail(f"not caught in {SCHEDULES} schedules: {broken.name}")
    assert remediate(seed).violations == ()


def test_schedules_are_of_all_kinds() -> None:
    """Every profile, owner, and outcome; one guard and two; a few streams and a hundred."""
    outcomes = [remediate(seed) for seed in range(SCHEDULES // 2)]
    assert {one.profile for one in outcomes} == {f"remediation: {each}" for each in PROFILES}
    notifications = sum((one.notifications for one in outcomes), Counter[str]())
    assert notifications.keys() >= {"restored", "unconfirmed", "yielded", "circuit breaker opened"}
    seen = sum((one.faults for one in outcomes), Counter[str]())
    assert {f"owner: {each}" for each in OWNERS} <= seen.keys()
    assert {"guards: 2", "streams: 100", "streams: 3"} <= seen.keys()
