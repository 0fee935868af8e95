"""Before a change: what is known of key, stack and stream must be fresh, and in that order."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from tests.unit.world import BEGIN, KEY, MARKED, STACK, World, event

LATE = 30
"""Age in seconds of a request that may have been overtaken."""


def ends_well(world: World) -> None:
    world.kinesis.starts()
    world.kinesis.keeps_showing("ACTIVE", KEY)


def shows_stack(
    world: World,
    status: str = "CREATE_IN_PROGRESS",
    *,
    times: int = 1,
    updated: float = 0,
) -> None:
    detail: dict[str, Any] = {
        "LogicalResourceId": "Encryption",
        "ResourceType": "Custom::KinesisStreamEncryption",
        "LastUpdatedTimestamp": datetime.fromtimestamp(updated, UTC),
        "ResourceStatus": status,
    }
    for _ in range(times):
        world.cloudformation.gives(
            "describe_stack_resource",
            {"StackResourceDetail": detail},
            StackName=STACK,
            LogicalResourceId="Encryption",
        )


def test_nothing_comes_between_the_look_at_the_stream_and_the_change(world: World) -> None:
    called: list[str] = []
    for service, operation in [
        (world.kms, "DescribeKey"),
        (world.cloudformation, "DescribeStackResource"),
        (world.kinesis, "DescribeStreamSummary"),
        (world.kinesis, "StartStreamEncryption"),
    ]:
        service.before(operation, partial(called.append, operation))
    world.kms.shows()
    shows_stack(world)
    world.kinesis.shows("ACTIVE", times=2)
    ends_well(world)
    world.succeeds(event(age=LATE))
    assert called[:5] == [
        "DescribeKey",
        "DescribeStreamSummary",
        "DescribeStackResource",
        "DescribeStreamSummary",
        "StartStreamEncryption",
    ]


@pytest.mark.parametrize(("seconds", "looks"), [(29, 1), (31, 2)])
def test_look_at_the_key_is_good_for_half_a_minute(
    world: World, seconds: float, looks: int
) -> None:
    world.kms.shows(times=looks)
    world.kinesis.takes("DescribeStreamSummary", world.clock, seconds)
    world.kinesis.shows("ACTIVE", times=2)
    shows_stack(world)
    ends_well(world)
    world.succeeds(event())


def test_checks_are_made_anew_before_a_look_that_throttling_has_delayed(world: World) -> None:
    world.kms.shows(times=2)
    world.kinesis.takes("DescribeStreamSummary", world.clock, 31)
    world.kinesis.fails("describe_stream_summary", "LimitExceededException", "Rate exceeded")
    shows_stack(world)
    world.kinesis.shows("ACTIVE")
    ends_well(world)
    world.succeeds(event())


def test_key_that_became_unfit_during_a_wait_is_refused(world: World) -> None:
    world.kms.shows()
    world.kms.shows(KeyState="Disabled")
    world.kinesis.takes("DescribeStreamSummary", world.clock, 31)
    world.kinesis.shows("ACTIVE", times=2)
    shows_stack(world)
    assert "Disabled" in world.fails(event())


def test_key_that_became_fit_during_a_wait_is_given(world: World) -> None:
    world.kms.shows(KeyState="Creating")
    world.kms.shows()
    world.kinesis.takes("DescribeStreamSummary", world.clock, 31)
    world.kinesis.shows("ACTIVE", times=2)
    shows_stack(world)
    ends_well(world)
    world.succeeds(event())


@pytest.mark.parametrize(("age", "looks"), [(2, 0), (3, 1)])
def test_young_request_cannot_have_been_overtaken(world: World, age: int, looks: int) -> None:
    world.kms.shows()
    shows_stack(world, times=looks)
    world.kinesis.shows("ACTIVE", times=1 + looks)
    ends_well(world)
    world.succeeds(event(age=age))


@pytest.mark.parametrize(("seconds", "looks"), [(1.5, 1), (2.5, 2)])
def test_look_at_the_stack_is_good_for_two_seconds(
    world: World, seconds: float, looks: int
) -> None:
    world.kms.shows()
    shows_stack(world, times=looks)
    world.kinesis.takes("DescribeStreamSummary", world.clock, 0, seconds)
    world.kinesis.shows("ACTIVE", times=1 + looks)
    ends_well(world)
    world.succeeds(event(age=LATE))


@pytest.mark.parametrize(("seconds", "current"), [(4.5, True), (5.5, False)])
def test_status_of_a_resource_may_follow_its_request_by_five_seconds(
    world: World, seconds: float, current: bool
) -> None:
    world.kms.shows()
    updated = BEGIN.timestamp() - LATE + seconds
    shows_stack(world, "UPDATE_IN_PROGRESS", updated=updated)
    world.kinesis.shows("ACTIVE", times=2 if current else 1)
    late = event("Update", age=LATE, old={"KeyId": "alias/other"})
    if current:
        ends_well(world)
        world.succeeds(late)
    else:
        assert "(it is UPDATE_IN_PROGRESS anew since 2026-11-01T11:59:35.5" in world.fails(late)


def test_stack_that_may_not_be_looked_at_is_asked_about_once(world: World) -> None:
    world.kms.shows()
    world.cloudformation.fails("describe_stack_resource", "AccessDenied")
    world.kinesis.takes("DescribeStreamSummary", world.clock, 0, 10)
    world.kinesis.shows("ACTIVE", times=2)
    ends_well(world)
    world.succeeds(event(age=LATE))


def test_throttled_look_at_the_stack_is_tried_again(world: World) -> None:
    world.kms.shows()
    world.cloudformation.fails("describe_stack_resource", "Throttling")
    shows_stack(world)
    world.kinesis.shows("ACTIVE", times=2)
    ends_well(world)
    world.succeeds(event(age=LATE))


def test_delete_looks_at_the_stack_but_not_at_the_key(world: World) -> None:
    shows_stack(world, "DELETE_IN_PROGRESS")
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.kinesis.stops()
    world.kinesis.shows("ACTIVE")
    world.succeeds(event("Delete", physical_id=MARKED, OnDelete="Restore", age=LATE))


@pytest.mark.parametrize("kind", ["Create", "Delete"])
def test_at_the_deadline_it_is_too_late_for_a_change(world: World, kind: str) -> None:
    deleting = kind == "Delete"
    if not deleting:
        world.kms.shows()
    world.kinesis.takes("DescribeStreamSummary", world.clock, 600)
    world.kinesis.shows("ACTIVE", KEY if deleting else None)
    reason = world.fails(event(kind, physical_id=MARKED, OnDelete="Restore"))
    assert "within 600 s" in reason
    assert f"last seen: ACTIVE, encryption {'KMS' if deleting else 'NONE'}" in reason


def test_stream_that_vanishes_before_the_start_is_not_found(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.fails("start_stream_encryption", "ResourceNotFoundException")
    world.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
    assert "does not exist in region" in world.fails(event())


def test_once_accepted_a_change_needs_no_further_checks(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.takes("DescribeStreamSummary", world.clock, 0, 40)
    world.kinesis.fails("describe_stream_summary", "LimitExceededException", "Rate exceeded")
    world.kinesis.shows("ACTIVE", times=1)
    world.kinesis.keeps_showing("ACTIVE", KEY)
    world.succeeds(event())
