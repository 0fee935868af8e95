"""The response: complete, within limits, sent in time, and once."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from stream_encryption.protocol.response import UndeliveredError, compose
from tests.unit.stubs import KEY, STACK, STREAM, StubbedAws, event, url


def test_response_contains_the_ids_of_the_request(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    response = aws.succeeds(event("Update"))
    assert response["StackId"] == STACK
    assert response["RequestId"] == event()["RequestId"]
    assert response["LogicalResourceId"] == "Encryption"
    assert response["PhysicalResourceId"] == STREAM
    assert response["NoEcho"] is False
    assert aws.urls == [event("Update")["ResponseURL"]]


def test_failure_carries_no_attributes(aws: StubbedAws) -> None:
    aws.fails(event(KeyId=None))
    assert aws.puts[-1]["Data"] == {}


@pytest.mark.parametrize(("excess", "kept"), [(0, 1000), (1, 999), (900, 100), (990, 10)])
def test_reason_is_truncated_so_that_the_body_fits(excess: int, kept: int) -> None:
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
    assert len(json.loads(body)["Reason"]) == kept


@pytest.mark.parametrize("status", [500, 503, 429, 408, 300, 301, 304, 307, 399])
def test_retryable_status_is_retried(aws: StubbedAws, status: int) -> None:
    """Nothing follows redirects of a PUT: the response has not arrived."""
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [status, ConnectionResetError(), TimeoutError(), status]
    aws.succeeds(event("Update"))
    assert aws.clock.elapsed > 0


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_status_is_a_success(aws: StubbedAws, status: int) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [status]
    aws.succeeds(event("Update"))
    assert len(aws.attempts) == 1


def test_retries_back_off(aws: StubbedAws) -> None:
    """Exponential backoff with full jitter, here with the longest pauses."""
    aws.chance = 1
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [503] * 9
    aws.succeeds(event("Update"))
    times = [time for time, _ in aws.attempts]
    assert [later - earlier for earlier, later in pairwise(times)] == [1, 2, 4, 8, 16, *[20] * 4]


def test_timeout_of_an_attempt_is_five_seconds_or_the_time_left(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [503] * 1000
    with pytest.raises(UndeliveredError):
        aws.invoke(event("Update", ServiceTimeout="120"))
    for time, timeout in aws.attempts:
        assert timeout == pytest.approx(min(5, max(119 - time, 0.1)))
    assert {timeout for _, timeout in aws.attempts} > {5, 0.1}


def test_missing_ids_of_a_malformed_event_are_empty(aws: StubbedAws) -> None:
    sent = event()
    del sent["StackId"]
    aws.fails(sent)
    assert aws.puts[-1]["StackId"] == ""


@pytest.mark.parametrize("status", [400, 403, 404, 499])
def test_rejected_response_is_not_retried(aws: StubbedAws, status: int) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [status]
    aws.invoke(event("Update"))
    assert aws.puts == []
    assert len(aws.attempts) == 1
    assert aws.logged("the response was not accepted")[0]["status"] == status


@pytest.mark.parametrize(("timeout", "seconds"), [("3600", 899), ("120", 119)])
def test_unsent_response_makes_lambda_deliver_the_event_again(
    aws: StubbedAws, timeout: str, seconds: float
) -> None:
    """At the end of the invocation, or of the request."""
    aws.kinesis.shows("ACTIVE", KEY)
    aws.statuses = [503] * 1000
    with pytest.raises(UndeliveredError):
        aws.invoke(event("Update", ServiceTimeout=timeout))
    assert aws.puts == []
    assert aws.clock.elapsed == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize(
    "error", [AttributeError("module has no attribute 'request'"), TypeError(), ValueError("bad")]
)
@pytest.mark.parametrize("sent", [event("Update"), event("Delete"), event(KeyId=None)])
def test_unexpected_error_in_sending_fails_the_invocation(
    aws: StubbedAws, sent: dict[str, Any], error: Exception
) -> None:
    """Lambda then delivers the event again, and the stack does not wait for an hour."""
    aws.kinesis.keeps_showing("ACTIVE", KEY)
    aws.statuses = [error]
    with pytest.raises(type(error)):
        aws.invoke(sent)
    assert aws.puts == []
    aws.response_to(sent)


@pytest.mark.parametrize("message", ["sending the response", "the response was sent"])
def test_log_error_in_sending_fails_the_invocation_too(aws: StubbedAws, message: str) -> None:
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
