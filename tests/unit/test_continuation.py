"""A wait that exceeds its invocation continues in a new one, with its progress."""

from __future__ import annotations

from copy import deepcopy
from itertools import repeat
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from tests.unit.stubs import KEY, OTHER_KEY, STREAM, StubbedAws, event, refused

PROPAGATION_WAIT = "waiting until all new records are encrypted"
LONG = event(ServiceTimeout="3600")


@pytest.fixture(autouse=True)
def _short_invocations(aws: StubbedAws) -> None:
    aws.function_timeout = 180


def continues_later(aws: StubbedAws) -> dict[str, Any]:
    """Let a request require a continuation; return the event of the continuation."""
    events = aws.invokes_itself()
    aws.invoke(LONG)
    assert aws.puts == []
    return events[-1]


def starts_and_continues(aws: StubbedAws) -> dict[str, Any]:
    aws.kinesis.shows("ACTIVE")
    aws.changes()
    aws.kinesis.keeps_showing("UPDATING", KEY)
    return continues_later(aws)


def test_wait_continues_and_responds_once(aws: StubbedAws) -> None:
    again = starts_and_continues(aws)
    assert aws.clock.elapsed == pytest.approx(120, abs=2), "a minute before the end"
    assert {name: again[name] for name in LONG} == LONG
    aws.kinesis.shows_only("UPDATING", KEY, times=10)
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    response = aws.succeeds(again)
    assert response["PhysicalResourceId"] == STREAM
    assert response["Data"]["KeyArn"] == KEY
    assert aws.logged(PROPAGATION_WAIT)
    assert len(aws.puts) == 1
    assert {line["level"] for line in aws.lines} == {"INFO"}


def test_wait_that_ends_in_time_invokes_nothing(aws: StubbedAws) -> None:
    aws.function_timeout = 900
    aws.kinesis.keeps_showing("UPDATING")
    aws.fails(event(ServiceTimeout="660"))
    assert aws.clients_made == ["kinesis"]


def test_duplicate_continuation_is_harmless(aws: StubbedAws) -> None:
    again = starts_and_continues(aws)
    aws.kinesis.shows_only("ACTIVE", KEY, times=4)
    first, second = aws.succeeds(deepcopy(again)), aws.succeeds(again)
    assert first == second


class TestProgress:
    def test_accepted_change_is_not_repeated(self, aws: StubbedAws) -> None:
        again = starts_and_continues(aws)
        aws.kinesis.shows_only("ACTIVE", times=3)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(again)

    def test_accepted_change_that_another_caller_reverted_is_reported(
        self, aws: StubbedAws
    ) -> None:
        again = starts_and_continues(aws)
        aws.kinesis.keeps_showing("ACTIVE", OTHER_KEY)
        assert "another caller has changed it" in aws.fails(again)

    def test_change_of_another_caller_is_followed_by_the_propagation_wait(
        self, aws: StubbedAws
    ) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        again = continues_later(aws)
        aws.kinesis.shows_only("ACTIVE", KEY, times=2)
        began = aws.clock.elapsed
        aws.succeeds(again)
        assert aws.clock.elapsed == began + 5

    def test_change_without_a_response_has_a_consistency_window(self, aws: StubbedAws) -> None:
        aws.kinesis.takes("DescribeStreamSummary", aws.clock, 119)
        starts = aws.rejects_starts([ReadTimeoutError(endpoint_url="https://kinesis")])
        aws.succeeds(continues_later(aws))
        assert len(starts) == 2
        assert starts[1] - starts[0] >= 10

    def test_quota_is_retried_for_four_minutes_in_total(self, aws: StubbedAws) -> None:
        spent = "Rate exceeded for stream orders under account 111122223333."
        aws.rejects_starts(repeat(refused("LimitExceededException", spent)))
        events = aws.invokes_itself(2)
        aws.invoke(LONG)
        while not aws.puts:
            aws.invoke(events[-1])
        assert aws.puts[0]["Reason"].startswith(f"LIMIT_EXCEEDED: Stream {STREAM} has used its 25")
        assert aws.clock.elapsed == pytest.approx(240, abs=10)
        assert len(events) == 2


class TestInvoking:
    """Starting the continuation is retried until only the response reserve is left."""

    @pytest.mark.parametrize(
        "error",
        [
            refused("TooManyRequestsException", "Rate exceeded"),
            refused("AccessDeniedException", "no resource-based policy allows it"),
            ReadTimeoutError(endpoint_url="https://lambda"),
        ],
        ids=str,
    )
    def test_transient_error_is_retried(self, aws: StubbedAws, error: Exception) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        client, attempts = aws.functions.client, []

        def invoke(**arguments: Any) -> dict[str, Any]:
            attempts.append(arguments)
            if len(attempts) == 1:
                raise error
            return {"StatusCode": 202}

        client.invoke = invoke
        aws.invoke(LONG)
        assert len(attempts) == 2
        assert aws.puts == []

    def test_missing_permission_is_reported_in_time(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        aws.functions.keeps_failing("invoke", "AccessDeniedException", "no policy allows it")
        reason = aws.fails(LONG)
        assert "could not continue in a new invocation (lambda:InvokeFunction" in reason
        assert "Allow lambda:InvokeFunction in the identity-based policies of the" in reason
        assert aws.clock.elapsed == pytest.approx(180 - 18, abs=0.1)

    def test_policy_type_of_the_denial_is_reported(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        message = "because no permissions boundary allows the lambda:InvokeFunction action"
        aws.functions.keeps_failing("invoke", "AccessDeniedException", message)
        remedy = "Allow lambda:InvokeFunction in the permissions boundary of the function's role."
        assert remedy in aws.fails(LONG)

    def test_missing_endpoint_is_reported_in_time(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        attempts = aws.functions.hangs("invoke", aws.clock, 2, ConnectTimeoutError)
        reason = aws.fails(LONG)
        assert "ConnectTimeoutError" in reason
        assert "In a VPC, provide access to the Lambda endpoint." in reason
        assert len(attempts) > 3
        assert aws.clock.elapsed < 175

    def test_maximum_of_four_continuations(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        events = aws.invokes_itself(4)
        aws.invoke(LONG)
        while not aws.puts:
            aws.invoke(events[-1])
        assert len(events) == 4
        assert "was not confirmed ACTIVE" in aws.puts[0]["Reason"]
        assert aws.clock.elapsed == pytest.approx(4 * 120 + 164), "the last one waits to its end"


@pytest.mark.parametrize("field", [{"Version": 0}, {"Version": "1"}, {}, [], "text", None])
def test_field_of_another_version_is_ignored(aws: StubbedAws, field: object) -> None:
    """When a stack is rolled back, older code may find what newer code has events over."""
    aws.kinesis.shows("ACTIVE")
    aws.changes()
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    if isinstance(field, dict):
        field = {**field, "Count": 9, "Issued": 0, "Progress": {"accepted": True, "since": 0}}
    aws.succeeds({**event(), "Continuation": field})


def test_presigned_url_is_not_logged(aws: StubbedAws) -> None:
    aws.kinesis.keeps_showing("UPDATING")
    aws.functions.fails("invoke", "TooManyRequestsException", status=429)
    continues_later(aws)
    assert "Signature" not in aws.log_text
