"""Every wait ends by itself, with its reason, before CloudFormation and Lambda end it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.stubs import BEGIN, KEY, STREAM, StubbedAws, event


def starts_and_never_finishes(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE")
    aws.changes()
    aws.kinesis.keeps_showing("UPDATING", KEY)


def with_timeouts(kind: str, top: str | None, properties: str | None) -> dict[str, Any]:
    """Build an event whose ServiceTimeout is in one place, in both or in none."""
    sent = event(kind, ServiceTimeout=None)
    if properties:
        sent["ResourceProperties"]["ServiceTimeout"] = properties
    return sent | ({"ServiceTimeout": top} if top else {})


def test_wait_ends_a_minute_early_and_tells_what_was_seen_last(aws: StubbedAws) -> None:
    starts_and_never_finishes(aws)
    answer = aws.answer_to(event(ServiceTimeout="180"))
    assert "within 120 s" in answer["Reason"]
    assert f"last seen: UPDATING, encryption KMS with key {KEY}" in answer["Reason"]
    assert aws.clock.elapsed == pytest.approx(120, abs=1)
    assert answer["PhysicalResourceId"] == STREAM


@pytest.mark.parametrize("kind", ["Create", "Update"])
@pytest.mark.parametrize(
    ("top", "properties"), [("30", None), (None, "30"), ("30", "660"), ("660", "30")]
)
def test_service_timeout_is_read_in_both_places_and_the_shorter_counts(
    aws: StubbedAws, kind: str, top: str | None, properties: str | None
) -> None:
    """On Create, AWS has it at the top level of the event, on Update among the properties."""
    aws.kinesis.keeps_showing("UPDATING")
    reason = aws.fails(with_timeouts(kind, top, properties))
    assert "was not confirmed ACTIVE" in reason
    assert aws.clock.elapsed == pytest.approx(15, abs=1)


def test_without_service_timeout_it_is_an_hour(aws: StubbedAws) -> None:
    aws.function_timeout = 3700
    aws.kinesis.keeps_showing("UPDATING")
    aws.fails(with_timeouts("Create", None, None))
    assert aws.clock.elapsed == pytest.approx(3540, abs=1)


VERSION_2 = (
    "https://bucket.s3.example/answer?AWSAccessKeyId=AKIA&Expires={}&Signature=not-to-be-logged"
)


class TestIssueTime:
    """Time counts from when CloudFormation sent the request, as the answer's URL tells it."""

    def test_url_of_signature_version_4_has_the_date(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        aws.fails(event("Update", ServiceTimeout="300", age=100))
        assert aws.clock.elapsed == pytest.approx(140, abs=1)

    def test_url_of_signature_version_2_has_the_end_of_two_hours(self, aws: StubbedAws) -> None:
        sent = BEGIN - timedelta(seconds=20)
        url = VERSION_2.format(int(sent.timestamp()) + 7200)
        aws.kinesis.keeps_showing("UPDATING")
        aws.fails({**event("Update", ServiceTimeout="60"), "ResponseURL": url})
        assert aws.clock.elapsed == pytest.approx(10, abs=1)

    @pytest.mark.parametrize(
        "query",
        ["", "X-Amz-Date=yesterday", "Expires=soon", "X-Amz-Date=29991231T000000Z"],
    )
    def test_url_without_a_date_that_makes_sense_counts_from_its_arrival(
        self, aws: StubbedAws, query: str
    ) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        url = f"https://bucket.s3.example/answer?{query}"
        aws.fails({**event("Update", ServiceTimeout="60"), "ResponseURL": url})
        assert aws.clock.elapsed == pytest.approx(30, abs=1)

    @pytest.mark.parametrize(
        "query", ["", f"Expires={BEGIN.timestamp() + 7200:.0f}"], ids=["none", "version 2"]
    )
    def test_every_invocation_counts_from_the_same_time(self, aws: StubbedAws, query: str) -> None:
        aws.function_timeout = 180
        sent = event("Update", ServiceTimeout="600")
        sent["ResponseURL"] = f"https://bucket.s3.example/answer?{query}"
        handed = aws.invokes_itself(4)
        aws.kinesis.keeps_showing("UPDATING")
        aws.invoke(sent)
        while not aws.puts:
            aws.invoke(handed[-1])
        assert aws.clock.elapsed == pytest.approx(540, abs=1)


def test_request_past_its_service_timeout_is_not_carried_out(aws: StubbedAws) -> None:
    assert "was delivered 301 s after" in aws.fails(event(ServiceTimeout="300", age=301))


@pytest.mark.parametrize(
    ("timeout", "function_timeout", "seconds"),
    [
        ("3600", 900, 897),
        ("300", 900, 297),
        ("11", 900, 8),
        ("1", 900, 8),  # however late it is, a call has a chance to come back
        ("660", 10, 7),
        ("660", 2, 0),
    ],
)
def test_hanging_call_is_answered_for_once(
    aws: StubbedAws, timeout: str, function_timeout: float, seconds: float
) -> None:
    def hang(**_: str) -> None:
        aws.clock.sleep(2000)
        raise RuntimeError("too late")

    aws.function_timeout = function_timeout
    aws.kinesis.client.describe_stream_summary = hang
    aws.invoke(event(ServiceTimeout=timeout))
    assert aws.clock.rung == [seconds]
    assert [answer["Status"] for answer in aws.puts] == ["FAILED"]
    assert "(the end came first: a call was slow or hung, or" in aws.puts[0]["Reason"]
    assert aws.puts[0]["PhysicalResourceId"] == STREAM
