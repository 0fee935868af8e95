"""Log lines: JSON with request, level, and described state."""

from __future__ import annotations

import pytest

from tests.unit.stubs import KEY, STREAM, StubbedAws, event

DESCRIBED = "described the stream"


def test_description_and_decision_are_logged_with_the_request(aws: StubbedAws) -> None:
    aws.kinesis.shows("UPDATING", KEY)
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    aws.succeeds(event("Update"))
    line = aws.logged(DESCRIBED)[0]
    assert (
        line.items()
        >= {
            "request": event()["RequestId"],
            "type": "Update",
            "stream": STREAM,
            "key": KEY,
            "description": f"UPDATING, encryption KMS with key {KEY}",
            "step": "WAIT",
        }.items()
    )


def test_response_is_logged_with_its_attributes(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    response = aws.succeeds(event("Update"))
    line = aws.logged("sending the response")[0]
    assert (line["status"], line["data"]) == ("SUCCESS", response["Data"])


def test_elapsed_seconds_count_from_the_invocation_to_the_millisecond(aws: StubbedAws) -> None:
    aws.clock.sleep(100)
    aws.kinesis.takes("DescribeStreamSummary", aws.clock, 0, 0.12345)
    aws.kinesis.shows("UPDATING")
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    aws.succeeds(event("Update", age=-100))
    assert [line["elapsed"] for line in aws.logged(DESCRIBED)[:2]] == [0, 0.723]


@pytest.mark.parametrize(
    ("message", "level"),
    [(DESCRIBED, "INFO"), ("retrying the call", "WARNING"), ("sending the response", "ERROR")],
)
def test_level_indicates_the_severity(aws: StubbedAws, message: str, level: str) -> None:
    aws.kinesis.fails("describe_stream_summary", "ThrottlingException")
    aws.kinesis.shows("UPDATING")
    aws.kinesis.shows("DELETING")
    aws.fails(event("Update"))
    assert aws.logged(message)[0]["level"] == level
