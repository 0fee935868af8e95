"""The guard holds its invariants in every schedule, and broken guards are caught."""

from __future__ import annotations

from collections import Counter
from functools import cache, partial

import pytest

from tests.simulation.assertions import assert_caught, assert_invariants_hold
from tests.simulation.campaign import new_base
from tests.simulation.guard.broken_guards import BROKEN_GUARDS, BrokenGuard
from tests.simulation.guard.run import run
from tests.simulation.guard.schedule import PROFILES, RATES
from tests.simulation.outcome import Outcome
from tests.simulation.replay import show_guard

SCHEDULES = 200
BATCHES = 4
NEW = 40


_assert_invariants_hold = partial(assert_invariants_hold, show=show_guard, option="--guard")


@cache
def _outcomes(batch: int) -> list[Outcome]:
    length = SCHEDULES // BATCHES
    return [run(seed) for seed in range(batch * length, (batch + 1) * length)]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_invariants_hold(batch: int) -> None:
    _assert_invariants_hold(_outcomes(batch))


def test_invariants_hold_on_seeds_never_tried_before() -> None:
    """New seeds each time; a failure message contains them and how to replay them."""
    base = new_base()
    _assert_invariants_hold(map(run, range(base, base + NEW)))


@pytest.mark.parametrize("broken", BROKEN_GUARDS, ids=str)
def test_broken_guard_is_caught(broken: BrokenGuard) -> None:
    assert_caught(broken, run, SCHEDULES)


def test_a_schedule_replays_alike() -> None:
    assert [run(seed) for seed in range(8)] == [run(seed) for seed in range(8)]
    assert show_guard(7) == show_guard(7)


def test_schedules_are_of_all_kinds() -> None:
    """Every profile, every fault, every kind of notification, and every end of a deployment."""
    outcomes = [outcome for batch in range(BATCHES) for outcome in _outcomes(batch)]
    assert {outcome.profile for outcome in outcomes} == PROFILES.keys()
    faults = {fault for outcome in outcomes for fault in outcome.faults}
    assert {kind for rates in RATES.values() for kind in rates} <= faults
    assert {f"own stack: UPDATE_{end}" for end in ("COMPLETE", "ROLLBACK_FAILED")} <= faults
    assert {f"people: {what}" for what in ("stop", "start", "create", "untag", "point")} <= faults
    assert "people: made the desired alias" in faults
    notifications = sum((outcome.notifications for outcome in outcomes), Counter[str]())
    assert notifications.keys() >= {"unencrypted", "other key", "compliant", "deleted", "exempt"}
    assert any(outcome.dead_letters for outcome in outcomes)
