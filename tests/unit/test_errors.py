"""Errors of AWS: tried again, borne for a while, or reported at once."""

from __future__ import annotations

from itertools import pairwise
from unittest.mock import Mock

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    ReadTimeoutError,
)

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
LIMITED = f"LimitExceededException: {RATE}"


PATIENCE = [
    "ConcurrentModificationException",
    "KMSThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "DependencyTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalFailureException",
    "KMSInternalException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
]
DENIALS = [
    "AccessDenied",
    "AccessDeniedException",
    "KMSAccessDeniedException",
    "NotAuthorized",
    "UnauthorizedOperation",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "IncompleteSignature",
]


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


@pytest.mark.parametrize("code", PATIENCE + DENIALS)
def test_code_that_asks_for_patience_is_tried_again_whatever_its_status(
    world: World, code: str
) -> None:
    world.kinesis.fails("describe_stream_summary", code)
    world.kinesis.shows("ACTIVE", KEY)
    world.succeeds(event("Update"))


@pytest.mark.parametrize("code", ["SomethingNew", "ValidationException"])
def test_code_that_nobody_knows_is_told_at_once(world: World, code: str) -> None:
    world.kinesis.fails("describe_stream_summary", code, "what is this", status=499)
    reason = world.fails(event("Update"))
    assert reason.startswith("kinesis:DescribeStreamSummary failed for stream")
    assert f"({code}: what is this)" in reason
    assert world.clock.elapsed == 0


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


@pytest.mark.parametrize("error", [ReadTimeoutError, EndpointConnectionError])
def test_lost_connection_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, error: type[BotoCoreError]
) -> None:
    client = world.kinesis.client
    real, lost = client.describe_stream_summary, iter([True, False])

    def describe(**arguments: str) -> object:
        if next(lost):
            raise error(endpoint_url="https://kinesis")
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


class TestDeadline:
    """The reason of a wait that took too long tells what stood in its way last."""

    def test_throttling_from_the_first_look_on_is_told(self, world: World) -> None:
        throttle(world, 50)
        reason = world.fails(event("Update"))
        assert "not confirmed ACTIVE and encrypted" in reason
        assert f"last seen: nothing, then kinesis:DescribeStreamSummary: {LIMITED}" in reason

    def test_what_was_seen_before_the_throttling_is_told(self, world: World) -> None:
        world.kinesis.shows("UPDATING")
        throttle(world, 50)
        reason = world.fails(event("Update"))
        assert "last seen: UPDATING, encryption NONE, then kinesis:Desc" in reason

    def test_throttled_look_at_the_key_is_told(self, world: World) -> None:
        for _ in range(100):
            world.kms.fails("describe_key", "ThrottlingException", "slow down")
        world.kms.open_ended = True
        reason = world.fails(event())
        assert "then kms:DescribeKey: ThrottlingException: slow down" in reason

    def test_throttled_look_at_the_stack_is_told(self, world: World) -> None:
        world.kms.shows(times=2)
        world.kms.open_ended = True
        world.kinesis.shows("ACTIVE")
        for _ in range(100):
            world.cloudformation.fails("describe_stack_resource", "Throttling", "slow down")
        world.cloudformation.open_ended = True
        reason = world.fails(event(age=30))
        assert "then cloudformation:DescribeStackResource: Throttling: slow down" in reason

    def test_start_refused_at_the_end_is_told(self, world: World) -> None:
        world.function_timeout = 60
        world.kms.shows(times=2)
        world.kinesis.takes("DescribeStreamSummary", world.clock, 44)
        world.kinesis.shows("ACTIVE", times=2)
        world.cloudformation.fails("describe_stack_resource", "AccessDenied")
        world.kinesis.fails("start_stream_encryption", "LimitExceededException", RATE)
        reason = world.fails(event())
        assert f"then kinesis:StartStreamEncryption: {LIMITED}" in reason

    def test_denial_is_told(self, world: World) -> None:
        for _ in range(50):
            world.kinesis.fails("describe_stream_summary", "AccessDeniedException", IMPLICIT)
        world.kinesis.open_ended = True
        reason = world.fails(event("Update", ServiceTimeout="60"))
        assert f"then kinesis:DescribeStreamSummary: AccessDeniedException: {IMPLICIT}" in reason

    def test_lost_connection_is_told(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        lost = Mock(side_effect=ReadTimeoutError(endpoint_url="https://kinesis"))
        monkeypatch.setattr(world.kinesis.client, "describe_stream_summary", lost)
        reason = world.fails(event("Update"))
        told = 'Read timeout on endpoint URL: "https://kinesis"'
        assert f"then kinesis:DescribeStreamSummary: ReadTimeoutError: {told}" in reason

    def test_trouble_that_is_over_is_not_told(self, world: World) -> None:
        throttle(world, 1)
        world.kinesis.keeps_showing("UPDATING")
        assert "last seen: UPDATING, encryption NONE. Look" in world.fails(event("Update"))


def throttle(world: World, times: int) -> None:
    for _ in range(times):
        world.kinesis.fails("describe_stream_summary", "LimitExceededException", RATE)
    world.kinesis.open_ended = True


class TestLimits:
    """One error code, two meanings."""

    @pytest.mark.parametrize(
        "message",
        [DAILY, "no more than 25 in 24 h", "25 per rolling window", "25 A DAY", "in 24 hours"],
    )
    def test_spent_day_is_told_at_once_with_when_to_try_again(
        self, world: World, message: str
    ) -> None:
        ready_to_start(world)
        world.kinesis.fails("start_stream_encryption", "LimitExceededException", message)
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
        assert "2026-11-02T12:00+00:00" in reason
        assert 30 <= world.clock.elapsed < 45

    @pytest.mark.parametrize(("second", "tries"), [(29.5, 3), (30.5, 2)])
    def test_limit_that_does_not_say_which_is_borne_for_thirty_seconds(
        self, world: World, second: float, tries: int
    ) -> None:
        assert len(starts_refused(world, "LimitExceededException", "no more", second)) == tries


def starts_refused(world: World, code: str, message: str, second: float) -> list[float]:
    """Refuse every start, the second one so late, and give the times at which they were refused."""
    refused: list[float] = []

    def start(**_: str) -> None:
        if len(refused) == 1:
            world.clock.sleep(second - world.clock.elapsed)
        refused.append(world.clock.elapsed)
        details = {"Error": {"Code": code, "Message": message}}
        raise ClientError(details, "StartStreamEncryption")

    world.kinesis.client.start_stream_encryption = start
    world.kms.shows(times=3)
    world.kms.open_ended = True
    world.kinesis.keeps_showing("ACTIVE")
    world.cloudformation.fails("describe_stack_resource", "AccessDenied")
    world.cloudformation.open_ended = True
    world.fails(event())
    return refused


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
        assert reason.endswith(" Allow kinesis:DescribeStreamSummary to the function's role.")
        assert 60 <= world.clock.elapsed < 75

    @pytest.mark.parametrize(("seconds", "borne"), [(59.5, True), (60.5, False)])
    def test_denied_look_is_borne_for_sixty_seconds(
        self, world: World, seconds: float, borne: bool
    ) -> None:
        for _ in range(2):
            world.kinesis.fails("describe_stream_summary", "AccessDeniedException", IMPLICIT)
        world.kinesis.takes("DescribeStreamSummary", world.clock, 0, seconds - 0.6)
        if borne:
            world.kinesis.shows("ACTIVE", KEY, times=2)
        answer = world.answer_to(event("Update"))
        assert answer["Status"] == ("SUCCESS" if borne else "FAILED")

    @pytest.mark.parametrize(("second", "tries"), [(59.5, 3), (60.5, 2)])
    def test_denied_start_is_borne_for_sixty_seconds(
        self, world: World, second: float, tries: int
    ) -> None:
        assert len(starts_refused(world, "AccessDeniedException", IMPLICIT, second)) == tries

    @pytest.mark.parametrize(("second", "tries"), [(9.5, 3), (10.5, 2)])
    def test_denied_look_at_the_key_is_borne_for_ten_seconds(
        self, world: World, second: float, tries: int
    ) -> None:
        for _ in range(tries):
            world.kms.fails("describe_key", "AccessDeniedException", "no policy allows it")
        world.kms.takes("DescribeKey", world.clock, 0, second - 0.6)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event())
        assert world.logged("the key could not be looked at")

    def test_explicit_denial_is_told_at_once(self, world: World) -> None:
        ready_to_start(world)
        world.kinesis.fails("start_stream_encryption", "AccessDeniedException", EXPLICIT)
        reason = world.fails(event())
        assert reason.endswith(
            " A policy denies it explicitly: change that policy (role, permissions boundary,"
            " service control policy or key policy)."
        )
        assert world.clock.elapsed == 0

    def test_key_denied_explicitly_is_told_at_once(self, world: World) -> None:
        ready_to_start(world)
        message = f"User is not authorized, {EXPLICIT}"
        world.kinesis.fails("start_stream_encryption", "KMSAccessDeniedException", message)
        assert "A policy denies it explicitly" in world.fails(event())
        assert world.clock.elapsed == 0

    def test_denied_key_names_the_key_policy(self, world: World) -> None:
        starts_refused(world, "KMSAccessDeniedException", "no policy allows it", second=61)
        reason = world.puts[-1]["Reason"]
        assert reason.startswith("Access denied to kinesis:StartStreamEncryption")
        assert reason.endswith(
            " Allow the function's role to use the key, in the key's policy too."
        )

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
