"""Every wait ends with a reason before CloudFormation and Lambda end it."""

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
    """Build an event with ServiceTimeout in one place, in both, or in none."""
    sent = event(kind, ServiceTimeout=None)
    if properties:
        sent["ResourceProperties"]["ServiceTimeout"] = properties
    return sent | ({"ServiceTimeout": top} if top else {})


def test_wait_ends_a_minute_early_and_reports_the_last_state(aws: StubbedAws) -> None:
    starts_and_never_finishes(aws)
    response = aws.response_to(event(ServiceTimeout="180"))
    assert "within 120 s" in response["Reason"]
    assert f"last state: UPDATING, encryption KMS with key {KEY}" in response["Reason"]
    assert aws.clock.elapsed == pytest.approx(120, abs=1)
    assert response["PhysicalResourceId"] == STREAM


@pytest.mark.parametrize("kind", ["Create", "Update"])
@pytest.mark.parametrize(
    ("top", "properties"), [("30", None), (None, "30"), ("30", "660"), ("660", "30")]
)
def test_shorter_service_timeout_of_both_places_applies(
    aws: StubbedAws, kind: str, top: str | None, properties: str | None
) -> None:
    """On Create, AWS sends it at the top level of the event, on Update in the properties."""
    aws.kinesis.keeps_showing("UPDATING")
    reason = aws.fails(with_timeouts(kind, top, properties))
    assert "was not confirmed ACTIVE" in reason
    assert aws.clock.elapsed == pytest.approx(15, abs=1)


def test_default_service_timeout_is_an_hour(aws: StubbedAws) -> None:
    aws.function_timeout = 3700
    aws.kinesis.keeps_showing("UPDATING")
    aws.fails(with_timeouts("Create", None, None))
    assert aws.clock.elapsed == pytest.approx(3540, abs=1)


VERSION_2 = (
    "https://bucket.s3.example/response?AWSAccessKeyId=AKIA&Expires={}&Signature=not-to-be-logged"
)


class TestIssueTime:
    """Time counts from when CloudFormation sent the request, according to the response URL."""

    def test_url_of_signature_version_4_contains_the_date(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        aws.fails(event("Update", ServiceTimeout="300", age=100))
        assert aws.clock.elapsed == pytest.approx(140, abs=1)

    def test_url_of_signature_version_2_contains_the_end_of_two_hours(
        self, aws: StubbedAws
    ) -> None:
        sent = BEGIN - timedelta(seconds=20)
        url = VERSION_2.format(int(sent.timestamp()) + 7200)
        aws.kinesis.keeps_showing("UPDATING")
        aws.fails({**event("Update", ServiceTimeout="60"), "ResponseURL": url})
        assert aws.clock.elapsed == pytest.approx(10, abs=1)

    @pytest.mark.parametrize(
        "query",
        ["", "X-Amz-Date=yesterday", "Expires=soon", "Expires=nan", "X-Amz-Date=29991231T000000Z"],
    )
    def test_url_without_a_valid_date_counts_from_its_arrival(
        self, aws: StubbedAws, query: str
    ) -> None:
        aws.kinesis.keeps_showing("UPDATING")
        url = f"https://bucket.s3.example/response?{query}"
        aws.fails({**event("Update", ServiceTimeout="60"), "ResponseURL": url})
        assert aws.clock.elapsed == pytest.approx(30, abs=1)

    @pytest.mark.parametrize(
        "query", ["", f"Expires={BEGIN.timestamp() + 7200:.0f}"], ids=["none", "version 2"]
    )
    def test_every_invocation_counts_from_the_same_time(self, aws: StubbedAws, query: str) -> None:
        aws.function_timeout = 180
        sent = event("Update", ServiceTimeout="600")
        sent["ResponseURL"] = f"https://bucket.s3.example/response?{query}"
        events = aws.invokes_itself(4)
        aws.kinesis.keeps_showing("UPDATING")
        aws.invoke(sent)
        while not aws.puts:
            aws.invoke(events[-1])
        assert aws.clock.elapsed == pytest.approx(540, abs=1)


def test_request_after_its_service_timeout_is_not_performed(aws: StubbedAws) -> None:
    assert "arrived 301 s after" in aws.fails(event(ServiceTimeout="300", age=301))


@pytest.mark.parametrize(
    ("timeout", "function_timeout", "seconds"),
    [
        ("3600", 900, 897),
        ("300", 900, 297),
        ("11", 900, 8),
        ("1", 900, 8),  # however late it is, one call has the time to return
        ("660", 10, 7),
        ("660", 2, 0),
    ],
)
def test_timeout_guard_responds_once_for_a_hanging_call(
    aws: StubbedAws, timeout: str, function_timeout: float, seconds: float
) -> None:
    def hang(**_: str) -> None:
        aws.clock.sleep(2000)
        raise RuntimeError("too late")

    aws.function_timeout = function_timeout
    aws.kinesis.client.describe_stream_summary = hang
    aws.invoke(event(ServiceTimeout=timeout))
    assert aws.clock.fired == [seconds]
    assert [response["Status"] for response in aws.puts] == ["FAILED"]
    assert "(time ran out: a call was slow or did not return, or" in aws.puts[0]["Reason"]
    assert aws.puts[0]["PhysicalResourceId"] == STREAM
