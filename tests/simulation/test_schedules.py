"""The handler keeps its invariants in every schedule, and broken handlers are caught."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from simulated_aws.api import REFUSALS
from simulated_aws.client import operation_model
from tests.simulation.assertions import assert_caught, assert_invariants_hold
from tests.simulation.broken_handlers import BROKEN_HANDLERS, BrokenHandler
from tests.simulation.campaign import new_base
from tests.simulation.outcome import Outcome
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.replay import show
from tests.simulation.run import run
from tests.simulation.schedule import PROFILES, RATES

SCHEDULES = 2000
BATCHES = 8
NEW = 400
RARE = (5079, 2571)
"""Seeds of events too rare for the others: an invalid response to a continuation, and a key that
only Kinesis sees as disabled."""


@cache
def _outcomes(batch: int) -> list[Outcome]:
    length = SCHEDULES // BATCHES
    return [run(seed) for seed in range(batch * length, (batch + 1) * length)]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_invariants_hold(batch: int) -> None:
    assert_invariants_hold(_outcomes(batch), show)


def test_invariants_hold_on_seeds_never_tried_before() -> None:
    """New seeds each time; a failure message names them, and how to replay them."""
    base = new_base()
    assert_invariants_hold(map(run, range(base, base + NEW)), show)


@pytest.mark.parametrize(
    "seed", REGRESSIONS, ids=[f"{seed}: {reason}" for seed, reason in REGRESSIONS.items()]
)
def test_invariants_hold_where_they_once_did_not(seed: int) -> None:
    assert_invariants_hold([run(seed)], show)


@pytest.mark.parametrize("broken", BROKEN_HANDLERS, ids=str)
def test_broken_handler_is_caught(broken: BrokenHandler) -> None:
    assert_caught(broken, run, SCHEDULES)


def test_a_schedule_replays_identically() -> None:
    seeds = range(40)
    assert [run(seed) for seed in seeds] == [run(seed) for seed in seeds]
    assert show(7) == show(7)


def test_schedules_are_of_all_kinds() -> None:
    """Quiet ones, every fault, every error of the service models, and every final stack status."""
    outcomes = [outcome for batch in range(BATCHES) for outcome in _outcomes(batch)]
    outcomes += map(run, RARE)
    profiles = Counter(outcome.profile for outcome in outcomes)
    assert profiles.keys() == PROFILES.keys()
    assert profiles["quiet"] >= SCHEDULES / 10
    faults = {fault for outcome in outcomes for fault in outcome.faults}
    assert {kind for rates in RATES.values() for kind in rates} <= faults
    stacks = {outcome.stack for outcome in outcomes}
    assert {f"{kind}_COMPLETE" for kind in ("CREATE", "UPDATE", "DELETE", "ROLLBACK")} <= stacks
    assert {"UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"} <= stacks
    # Errors without a cause in the simulated state are drawn; the others have to occur.
    errors = {error for outcome in outcomes for error in outcome.errors}
    drawn = {f"{operation} {code}" for operation, codes in REFUSALS.items() for code in codes}
    modeled = {
        f"{model.name} {shape.name}"
        for model in map(operation_model, *zip(*CALLED, strict=True))
        for shape in model.error_shapes
    }
    assert sorted(modeled - errors - drawn) == []
    assert len(drawn & errors) > len(drawn) / 2


CALLED = (
    ("kinesis", "describe_stream_summary"),
    ("kinesis", "start_stream_encryption"),
    ("kms", "describe_key"),
    ("cloudformation", "describe_stack_resource"),
    ("cloudformation", "describe_stacks"),
)
"""Operations that the handler calls, as methods of the services' clients.

Invoke is left out: of its errors, most are of functions that are invoked synchronously.
"""
