"""Log lines: JSON, each with its request, its level and what was seen."""

from __future__ import annotations

import pytest

from tests.unit.stubs import KEY, STREAM, StubbedAws, event

LOOKED = "looked at the stream"


def test_look_tells_what_was_found_and_decided_of_which_request(aws: StubbedAws) -> None:
    aws.kinesis.shows("UPDATING", KEY)
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    aws.succeeds(event("Update"))
    line = aws.logged(LOOKED)[0]
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


def test_answer_is_logged_with_its_attributes(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    answer = aws.succeeds(event("Update"))
    line = aws.logged("answering")[0]
    assert (line["status"], line["data"]) == ("SUCCESS", answer["Data"])


def test_elapsed_seconds_count_from_the_invocation_to_the_millisecond(aws: StubbedAws) -> None:
    aws.clock.sleep(100)
    aws.kinesis.takes("DescribeStreamSummary", aws.clock, 0, 0.12345)
    aws.kinesis.shows("UPDATING")
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    aws.succeeds(event("Update", age=-100))
    assert [line["elapsed"] for line in aws.logged(LOOKED)[:2]] == [0, 0.723]


@pytest.mark.parametrize(
    ("message", "level"),
    [(LOOKED, "INFO"), ("the call is tried again", "WARNING"), ("answering", "ERROR")],
)
def test_level_tells_how_bad_it_is(aws: StubbedAws, message: str, level: str) -> None:
    aws.kinesis.fails("describe_stream_summary", "ThrottlingException")
    aws.kinesis.shows("UPDATING")
    aws.kinesis.shows("DELETING")
    aws.fails(event("Update"))
    assert aws.logged(message)[0]["level"] == level
