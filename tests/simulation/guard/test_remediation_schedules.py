"""Remediation holds its invariants in every schedule, and broken ones are caught."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from tests.simulation.assertions import assert_caught, assert_invariants_hold
from tests.simulation.campaign import new_base
from tests.simulation.guard.broken_guards import BrokenGuard
from tests.simulation.guard.broken_remediation import BROKEN_REMEDIATION
from tests.simulation.guard.remediation_schedule import OWNERS
from tests.simulation.guard.run import remediate
from tests.simulation.guard.schedule import PROFILES
from tests.simulation.replay import show_remediation

SCHEDULES, BATCHES, NEW = 80, 4, 20


_assert_invariants_hold = partial(
    assert_invariants_hold, show=show_remediation, option="--remediation"
)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_invariants_hold(batch: int) -> None:
    length = SCHEDULES // BATCHES
    _assert_invariants_hold(map(remediate, range(batch * length, (batch + 1) * length)))


def test_invariants_hold_on_new_seeds() -> None:
    base = new_base()
    _assert_invariants_hold(map(remediate, range(base, base + NEW)))


@pytest.mark.parametrize("broken", BROKEN_REMEDIATION, ids=str)
def test_broken_remediation_is_caught(broken: BrokenGuard) -> None:
    assert_caught(broken, remediate, SCHEDULES)


def test_schedules_are_of_all_kinds() -> None:
    """Every profile, owner, and outcome; one guard and two; a few streams and a hundred."""
    outcomes = [remediate(seed) for seed in range(SCHEDULES // 2)]
    assert {one.profile for one in outcomes} == {f"remediation: {each}" for each in PROFILES}
    notifications = sum((one.notifications for one in outcomes), Counter[str]())
    assert notifications.keys() >= {"restored", "unconfirmed", "yielded", "circuit breaker opened"}
    seen = sum((one.faults for one in outcomes), Counter[str]())
    assert {f"owner: {each}" for each in OWNERS} <= seen.keys()
    assert {"guards: 2", "streams: 100", "streams: 3"} <= seen.keys()
