"""A wait that outlasts its invocation goes on in the next, which knows what this one knew."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from tests.unit.stubs import KEY, OTHER_KEY, STREAM, StubbedAws, event, refused

LONG = event(ServiceTimeout="3600")


@pytest.fixture(autouse=True)
def _short_invocations(aws: StubbedAws) -> None:
    aws.function_timeout = 180


def hands_over(aws: StubbedAws, sent: dict[str, Any] = LONG) -> dict[str, Any]:
    """Let an invocation hand its wait over; return the event of the next."""
    handed = aws.invokes_itself()
    aws.invoke(sent)
    assert aws.puts == []
    return handed[-1]


def starts_and_hands_over(aws: StubbedAws) -> dict[str, Any]:
    aws.kinesis.shows("ACTIVE")
    aws.changes()
    aws.kinesis.keeps_showing("UPDATING", KEY)
    return hands_over(aws)


def test_wait_goes_on_and_is_answered_once(aws: StubbedAws) -> None:
    again = starts_and_hands_over(aws)
    assert aws.clock.elapsed == pytest.approx(120, abs=2), "a minute before the end"
    assert {name: again[name] for name in LONG} == LONG
    aws.kinesis.shows_only("UPDATING", KEY, times=10)
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    answer = aws.succeeds(again)
    assert answer["PhysicalResourceId"] == STREAM
    assert answer["Data"]["KeyArn"] == KEY
    assert aws.logged("settling")
    assert len(aws.puts) == 1


def test_wait_that_ends_in_time_asks_nobody(aws: StubbedAws) -> None:
    aws.function_timeout = 900
    aws.kinesis.keeps_showing("UPDATING")
    aws.fails(event(ServiceTimeout="660"))
    assert aws.clients_made == ["kinesis"]


def test_delivered_twice_it_does_no_harm(aws: StubbedAws) -> None:
    again = starts_and_hands_over(aws)
    aws.kinesis.shows_only("ACTIVE", KEY, times=4)
    first, second = aws.succeeds(deepcopy(again)), aws.succeeds(again)
    assert first == second


class TestWhatIsKnown:
    def test_accepted_change_is_not_asked_for_again(self, aws: StubbedAws) -> None:
        again = starts_and_hands_over(aws)
        aws.kinesis.shows_only("ACTIVE", times=3)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(again)

    def test_accepted_change_that_others_undid_is_told(self, aws: StubbedAws) -> None:
        again = starts_and_hands_over(aws)
        aws.kinesis.keeps_showing("ACTIVE", OTHER_KEY)
        assert "somebody else changed it" in aws.fails(again)

    def test_change_of_others_is_settled(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        again = hands_over(aws)
        aws.kinesis.shows_only("ACTIVE", KEY, times=2)
        began = aws.clock.elapsed
        aws.succeeds(again)
        assert aws.clock.elapsed == began + 5

    def test_change_without_an_answer_is_given_time_to_show(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()
        aws.kinesis.takes("DescribeStreamSummary", aws.clock, 119)

        def answer(number: int) -> None:
            if number == 1:
                raise ReadTimeoutError(endpoint_url="https://kinesis")
            aws.kinesis.shows_only("ACTIVE", KEY, times=2)

        asked = aws.kinesis.asks(aws.clock, answer)
        aws.succeeds(hands_over(aws))
        assert len(asked) == 2
        assert asked[1] - asked[0] >= 10

    def test_spent_quota_is_borne_for_four_minutes_in_all(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()
        spent = "Rate exceeded for stream orders under account 111122223333."

        def answer(_: int) -> None:
            raise refused("LimitExceededException", spent)

        aws.kinesis.asks(aws.clock, answer)
        handed = aws.invokes_itself(2)
        aws.invoke(LONG)
        while not aws.puts:
            aws.invoke(handed[-1])
        assert aws.puts[0]["Reason"].startswith(f"Stream {STREAM} has spent its 25")
        assert aws.clock.elapsed == pytest.approx(240, abs=10)
        assert len(handed) == 2


class TestInvoking:
    """The next invocation is asked for until there is no time left for more than an answer."""

    @pytest.mark.parametrize(
        "error",
        [
            refused("TooManyRequestsException", "Rate exceeded"),
            refused("AccessDeniedException", "no resource-based policy allows it"),
            ReadTimeoutError(endpoint_url="https://lambda"),
        ],
        ids=str,
    )
    def test_passing_trouble_is_borne(self, aws: StubbedAws, error: Exception) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        client, tries = aws.functions.client, []

        def invoke(**arguments: Any) -> dict[str, Any]:
            tries.append(arguments)
            if len(tries) == 1:
                raise error
            return {"StatusCode": 202}

        client.invoke = invoke
        aws.invoke(LONG)
        assert len(tries) == 2
        assert aws.puts == []

    def test_lacking_right_is_named_in_time(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        aws.functions.keeps_failing("invoke", "AccessDeniedException", "no policy allows it")
        reason = aws.fails(LONG)
        assert "could not go on in another invocation (lambda:InvokeFunction" in reason
        assert "Allow lambda:InvokeFunction in the identity-based policies of the" in reason
        assert aws.clock.elapsed == pytest.approx(180 - 18, abs=0.1)

    def test_kind_of_policy_that_denies_it_is_named(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        message = "because no permissions boundary allows the lambda:InvokeFunction action"
        aws.functions.keeps_failing("invoke", "AccessDeniedException", message)
        remedy = "Allow lambda:InvokeFunction in the permissions boundary of the function's role."
        assert remedy in aws.fails(LONG)

    def test_lacking_endpoint_is_named_in_time(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        tries = aws.functions.hangs("invoke", aws.clock, 2, ConnectTimeoutError)
        reason = aws.fails(LONG)
        assert "ConnectTimeoutError" in reason
        assert "In a VPC, provide access to the Lambda endpoint." in reason
        assert len(tries) > 3
        assert aws.clock.elapsed < 175

    def test_there_are_four_hops_at_most(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        handed = aws.invokes_itself(4)
        aws.invoke(LONG)
        while not aws.puts:
            aws.invoke(handed[-1])
        assert len(handed) == 4
        assert "was not confirmed ACTIVE" in aws.puts[0]["Reason"]
        assert aws.clock.elapsed == pytest.approx(4 * 120 + 164), "the last waits to its end"


@pytest.mark.parametrize("field", [{"Version": 0}, {"Version": "1"}, {}, [], "text", None])
def test_what_other_code_has_written_is_left_aside(aws: StubbedAws, field: object) -> None:
    """When a stack is rolled back, older code may find what newer code has handed over."""
    aws.kinesis.shows("ACTIVE")
    aws.changes()
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    if isinstance(field, dict):
        field = {**field, "Count": 9, "Issued": 0, "Progress": {"accepted": True, "since": 0}}
    aws.succeeds({**event(), "Continuation": field})


def test_presigned_url_is_not_logged(aws: StubbedAws) -> None:
    aws.kinesis.keeps_showing("UPDATING")
    aws.functions.fails("invoke", "TooManyRequestsException", status=429)
    hands_over(aws)
    assert "Signature" not in aws.log_text
