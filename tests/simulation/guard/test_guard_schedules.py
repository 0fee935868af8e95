"""The guard holds its invariants in every schedule, and broken guards are caught."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.simulation.campaign import new_base
from tests.simulation.guard.broken_guards import BROKEN_GUARDS, BrokenGuard
from tests.simulation.guard.run import run
from tests.simulation.guard.schedule import PROFILES, RATES
from tests.simulation.outcome import Outcome
from tests.simulation.replay import show_guard

SCHEDULES = 200
BATCHES = 4
NEW = 40


def _check(outcomes: list[Outcome]) -> None:
    wrong = [f"seed {one.seed}: {each}" for one in outcomes for each in one.violations]
    assert not wrong, "python -m tests.simulation.replay --guard SEED\n" + "\n".join(wrong)


@cache
def _outcomes(batch: int) -> list[Outcome]:
    length = SCHEDULES // BATCHES
    return [run(seed) for seed in range(batch * length, (batch + 1) * length)]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_invariants_hold(batch: int) -> None:
    _check(_outcomes(batch))


def test_invariants_hold_on_seeds_never_tried_before() -> None:
    """New seeds each time; a failure message contains them and how to replay them."""
    base = new_base()
    _check([run(seed) for seed in range(base, base + NEW)])


@pytest.mark.parametrize("broken", BROKEN_GUARDS, ids=str)
def test_broken_guard_is_caught(broken: BrokenGuard) -> None:
    """The invariant that is broken on purpose shows; what else breaks with it does not matter."""
    for seed in range(SCHEDULES):
        if broken.invariant in {one.check for one in run(seed, broken.make).violations}:
            break
    else:
        pytest.fail(f"not caught in {SCHEDULES} schedules: {broken.name}")
    assert run(seed).violations == ()


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
