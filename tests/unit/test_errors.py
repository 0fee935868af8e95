"""Errors of AWS: tried again, borne for a while, or reported at once."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.unit.world import KEY, MARKED, STREAM, World, event

IMPLICIT = "because no identity-based policy allows the kinesis:StartStreamEncryption action"
EXPLICIT = "with an explicit deny in a service control policy"
DAILY = "Key changes are limited to 25 in a rolling 24 hour window"
RATE = "Rate exceeded for account 111122223333."

THROTTLING = [
    ("LimitExceededException", RATE, 400),
    ("ThrottlingException", "slow down", 400),
    ("KMSThrottlingException", "slow down", 400),
]
SERVER = [
    ("InternalFailure", "", 500),
    ("ServiceUnavailable", "", 503),
    ("SomethingNew", "", 502),
]
TRANSIENT = THROTTLING + SERVER


def ready_to_start(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")


@pytest.mark.parametrize(("code", "message", "status"), TRANSIENT)
def test_transient_error_of_a_look_is_tried_again(
    world: World, code: str, message: str, status: int
) -> None:
    world.kinesis.fails("describe_stream_summary", code, message, status)
    world.kinesis.shows("ACTIVE", KEY)
    world.succeeds(event("Update"))


@pytest.mark.parametrize(("code", "message", "status"), THROTTLING)
def test_throttled_start_is_tried_again_after_a_look(
    world: World, code: str, message: str, status: int
) -> None:
    ready_to_start(world)
    world.kinesis.fails("start_stream_encryption", code, message, status)
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event())
    assert world.clock.elapsed < 10


@pytest.mark.parametrize(("code", "message", "status"), SERVER)
def test_start_without_an_answer_is_tried_again_only_when_its_effect_must_have_shown(
    world: World, code: str, message: str, status: int
) -> None:
    ready_to_start(world)
    refusal = ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "StartStreamEncryption",
    )
    asked: list[float] = []

    def start(**_: str) -> None:
        asked.append(world.clock.elapsed)
        if len(asked) == 1:
            raise refusal

    world.kinesis.client.start_stream_encryption = start
    world.kinesis.keeps_showing("ACTIVE")
    world.cloudformation.fails("describe_stack_resource", "AccessDenied")
    world.fails(event())
    assert len(asked) == 2
    assert asked[1] >= 10


@pytest.mark.parametrize(("code", "message", "status"), TRANSIENT[1:])
def test_transient_error_of_the_key_look_is_tried_again(
    world: World, code: str, message: str, status: int
) -> None:
    world.kms.fails("describe_key", code, message, status)
    world.kms.shows()
    world.kinesis.shows("ACTIVE", KEY)
    world.succeeds(event())


def test_lost_connection_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.kinesis.client
    real, lost = client.describe_stream_summary, iter([True, False])

    def describe(**arguments: str) -> object:
        if next(lost):
            raise ReadTimeoutError(endpoint_url="https://kinesis")
        return real(**arguments)

    monkeypatch.setattr(client, "describe_stream_summary", describe)
    world.kinesis.shows("ACTIVE", KEY)
    world.succeeds(event("Update"))


def test_throttling_slows_the_looks_down(world: World) -> None:
    for _ in range(5):
        world.kinesis.fails("describe_stream_summary", "LimitExceededException", RATE)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event("Update"))
    times = [line["elapsed"] for line in world.logged("the call is tried again")]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(later > earlier * 1.2 for earlier, later in pairwise(gaps))


def test_throttling_until_the_deadline_is_told(world: World) -> None:
    for _ in range(50):
        world.kinesis.fails("describe_stream_summary", "LimitExceededException", RATE)
    world.kinesis.open_ended = True
    reason = world.fails(event("Update"))
    assert "not confirmed ACTIVE and encrypted" in reason
    assert RATE in reason


class TestLimits:
    """One error code, two meanings."""

    def test_spent_day_is_told_at_once_with_when_to_try_again(self, world: World) -> None:
        ready_to_start(world)
        world.kinesis.fails("start_stream_encryption", "LimitExceededException", DAILY)
        reason = world.fails(event())
        assert reason.startswith(f"Stream {STREAM} has spent its 25 key changes")
        assert "2026-11-02T12:00+00:00" in reason
        assert world.clock.elapsed == 0

    def test_limit_that_does_not_say_which_is_borne_for_a_while(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusal = ClientError(
            {"Error": {"Code": "LimitExceededException", "Message": "no more"}},
            "StartStreamEncryption",
        )
        start = Mock(side_effect=refusal)
        monkeypatch.setattr(world.kinesis.client, "start_stream_encryption", start)
        world.kms.shows(times=2)
        world.kinesis.keeps_showing("ACTIVE")
        world.cloudformation.fails("describe_stack_resource", "AccessDenied")
        reason = world.fails(event())
        assert "Either the account's call rate or the stream's 25 key changes" in reason
        assert 30 <= world.clock.elapsed < 45


class TestDenials:
    """A denial may be a policy still on its way, unless it is explicit."""

    def test_fresh_policy_is_waited_for(self, world: World) -> None:
        ready_to_start(world)
        for _ in range(3):
            world.kinesis.fails("start_stream_encryption", "AccessDeniedException", IMPLICIT)
            world.kinesis.shows("ACTIVE")
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        assert world.succeeds(event())["PhysicalResourceId"] == MARKED

    def test_look_is_denied_for_a_bounded_time_only(self, world: World) -> None:
        for _ in range(50):
            world.kinesis.fails("describe_stream_summary", "AccessDeniedException", IMPLICIT)
        world.kinesis.open_ended = True
        reason = world.fails(event("Update"))
        assert reason.startswith("Access denied to kinesis:DescribeStreamSummary")
        assert "Allow kinesis:DescribeStreamSummary to the function's role" in reason
        assert 60 <= world.clock.elapsed < 75

    def test_explicit_denial_is_told_at_once(self, world: World) -> None:
        ready_to_start(world)
        world.kinesis.fails("start_stream_encryption", "AccessDeniedException", EXPLICIT)
        reason = world.fails(event())
        assert "denies it explicitly" in reason
        assert world.clock.elapsed == 0

    def test_denied_key_names_the_key_policy(self, world: World) -> None:
        ready_to_start(world)
        message = f"User is not authorized, {EXPLICIT}"
        world.kinesis.fails("start_stream_encryption", "KMSAccessDeniedException", message)
        assert "key policy" in world.fails(event())

    def test_second_denial_is_borne_anew_after_a_success(self, world: World) -> None:
        for _ in range(2):
            world.kinesis.fails("describe_stream_summary", "AccessDeniedException", IMPLICIT)
        world.kinesis.shows("UPDATING", times=25)
        world.kinesis.fails("describe_stream_summary", "AccessDeniedException", IMPLICIT)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event("Update"))
        assert world.clock.elapsed > 75


def test_long_words_of_aws_cut_off_neither_cause_nor_remedy(world: World) -> None:
    ready_to_start(world)
    message = f"{EXPLICIT} {'x' * 3000}"
    world.kinesis.fails("start_stream_encryption", "AccessDeniedException", message)
    reason = world.fails(event())
    assert reason.startswith("Access denied to kinesis:StartStreamEncryption")
    assert reason.endswith("service control policy or key policy).")
    assert len(reason) == 1024


def test_any_other_error_is_told_at_once(world: World) -> None:
    ready_to_start(world)
    world.kinesis.fails("start_stream_encryption", "InvalidArgumentException", "bad key")
    reason = world.fails(event())
    assert "InvalidArgumentException: bad key" in reason
    assert world.clock.elapsed == 0
