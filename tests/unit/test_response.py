"""The answer: complete, within limits, delivered while there is time, and once."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from stream_encryption.protocol.response import UndeliveredError, compose
from tests.unit.stubs import KEY, STACK, STREAM, StubbedAws, event, url


def test_answer_echoes_the_request(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    answer = aws.succeeds(event("Update"))
    assert answer["StackId"] == STACK
    assert answer["RequestId"] == event()["RequestId"]
    assert answer["LogicalResourceId"] == "Encryption"
    assert answer["PhysicalResourceId"] == STREAM
    assert answer["NoEcho"] is False
    assert aws.urls == [event("Update")["ResponseURL"]]


def test_failure_carries_no_attributes(aws: StubbedAws) -> None:
    aws.fails(event(KeyId=None))
    assert aws.puts[-1]["Data"] == {}


@pytest.mark.parametrize(("excess", "told"), [(0, 1000), (1, 999), (900, 100), (990, 10)])
def test_reason_gives_way_to_what_else_has_to_fit(excess: int, told: int) -> None:
    def composed(padding: int) -> bytes:
        return compose(
            {"StackId": "s", "RequestId": "r", "LogicalResourceId": "l"},
            status="SUCCESS",
            reason="x" * 1000,
            physical_id="p",
            data={"KeyArn": "k" * padding},
        )

    body = composed(padding=4096 - len(composed(padding=0)) + excess)
    assert len(body) == 4096
    assert len(json.loads(body)["Reason"]) == told


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_answer_is_sent_again_when_it_may_help(aws: StubbedAws, status: int) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [status, ConnectionResetError(), TimeoutError(), status]
    aws.succeeds(event("Update"))
    assert aws.clock.elapsed > 0


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_success_of_the_endpoint_is_one(aws: StubbedAws, status: int) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [status]
    aws.succeeds(event("Update"))
    assert len(aws.tries) == 1


def test_answer_is_sent_again_ever_more_seldom(aws: StubbedAws) -> None:
    """Exponential backoff with full jitter, here at its longest."""
    aws.chance = 1
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [503] * 9
    aws.succeeds(event("Update"))
    times = [time for time, _ in aws.tries]
    assert [later - earlier for earlier, later in pairwise(times)] == [1, 2, 4, 8, 16, *[20] * 4]


def test_each_try_is_given_five_seconds_or_what_is_left(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [503] * 1000
    with pytest.raises(UndeliveredError):
        aws.invoke(event("Update", ServiceTimeout="120"))
    for time, timeout in aws.tries:
        assert timeout == pytest.approx(min(5, max(119 - time, 0.1)))
    assert {timeout for _, timeout in aws.tries} > {5, 0.1}


def test_what_a_malformed_event_does_not_say_is_answered_as_empty(aws: StubbedAws) -> None:
    sent = event()
    del sent["StackId"]
    aws.fails(sent)
    assert aws.puts[-1]["StackId"] == ""


@pytest.mark.parametrize("status", [300, 400, 403, 404, 499])
def test_answer_refused_for_good_is_not_sent_again(aws: StubbedAws, status: int) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [status]
    aws.invoke(event("Update"))
    assert aws.puts == []
    assert len(aws.tries) == 1
    assert aws.logged("the answer was not accepted")[0]["status"] == status


def test_undelivered_answer_makes_lambda_deliver_the_event_again(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [503] * 1000
    with pytest.raises(UndeliveredError):
        aws.invoke(event("Update", ServiceTimeout="3600"))
    assert aws.clock.elapsed == pytest.approx(899, abs=1)


def test_answer_is_given_up_when_cloudformation_has_given_up(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [503] * 1000
    with pytest.raises(UndeliveredError):
        aws.invoke(event("Update", ServiceTimeout="120"))
    assert aws.clock.elapsed == pytest.approx(119, abs=1)


@pytest.mark.parametrize(
    "error", [AttributeError("module has no attribute 'request'"), TypeError(), ValueError("bad")]
)
@pytest.mark.parametrize("sent", [event("Update"), event("Delete"), event(KeyId=None)])
def test_anything_unforeseen_on_the_way_of_the_answer_fails_the_invocation(
    aws: StubbedAws, sent: dict[str, Any], error: Exception
) -> None:
    """So that Lambda delivers the event again, and the stack does not hang for an hour."""
    aws.kinesis.keeps_showing("ACTIVE", KEY)
    aws.statuses = [error]
    with pytest.raises(type(error)):
        aws.invoke(sent)
    assert aws.puts == []
    aws.answer_to(sent)


@pytest.mark.parametrize("message", ["answering", "the answer was delivered"])
def test_log_that_cannot_be_written_fails_the_invocation_too(aws: StubbedAws, message: str) -> None:
    def write(line: str) -> None:
        if message in line:
            raise RuntimeError("no space left on device")

    aws.kinesis.shows("ACTIVE", KEY)
    aws.writes = write
    with pytest.raises(RuntimeError, match="no space left"):
        aws.invoke(event("Update"))


def test_presigned_url_is_never_logged(
    aws: StubbedAws, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [503, OSError(f"cannot reach {url()}"), 200]
    aws.succeeds(event("Update"))
    aws.fails(event(KeyId=None))
    aws.fails({**event(), "StackId": None})
    printed = aws.log_text + caplog.text + "".join(capfd.readouterr())
    assert printed
    assert "Signature" not in printed
    assert "bucket.s3" not in printed
