"""Log lines: JSON, each with its request, its level and what was seen, in the message too."""

from __future__ import annotations

import json

import pytest

from stream_encryption.log import Log
from tests.unit.world import KEY, STREAM, VirtualClock, World, event

LOOKED = "looked at the stream"


def test_look_tells_what_was_found_and_decided_of_which_request(world: World) -> None:
    world.kinesis.shows("UPDATING", KEY)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event("Update"))
    line = world.logged(LOOKED)[0]
    assert {name: line[name] for name in ("request", "type", "stream", "key")} == {
        "request": event()["RequestId"],
        "type": "Update",
        "stream": STREAM,
        "key": KEY,
    }
    assert line["found"] == f"UPDATING, encryption KMS with key {KEY}"
    assert line["step"] == "WAIT"


def test_message_alone_tells_what_was_found_and_decided(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY)
    world.succeeds(event("Update"))
    told = f"(found=ACTIVE, encryption KMS with key {KEY}, step=DONE)"
    assert world.logged(LOOKED)[0]["message"] == f"{LOOKED} {told}"


def test_message_alone_tells_the_answer_and_its_reason(world: World) -> None:
    world.kinesis.fails("describe_stream_summary", "ThrottlingException", "slow down")
    world.kinesis.shows("DELETING")
    reason = world.fails(event("Update"))
    error = "kinesis:DescribeStreamSummary: ThrottlingException: slow down"
    assert world.logged("the call is tried again")[0]["message"].endswith(f"(error={error})")
    line = world.logged("answering")[0]
    assert line["message"] == f"answering (status=FAILED, reason={reason})"
    assert line["data"] == {}


def test_answer_is_logged_with_its_attributes(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY)
    answer = world.succeeds(event("Update"))
    line = world.logged("answering")[0]
    assert (line["level"], line["status"], line["data"]) == ("INFO", "SUCCESS", answer["Data"])


def test_message_without_anything_to_tell_stands_alone(world: World) -> None:
    world.succeeds(event("Delete"))
    assert "retained" in [line["message"] for line in world.lines]


def test_elapsed_seconds_are_told_to_the_millisecond(world: World) -> None:
    world.clock.sleep(100)
    world.kinesis.takes("DescribeStreamSummary", world.clock, 0, 0.12345)
    world.kinesis.shows("UPDATING")
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event("Update", age=-100))
    assert [line["elapsed"] for line in world.logged(LOOKED)[:2]] == [0, 0.713]


@pytest.mark.parametrize(
    ("message", "level"),
    [(LOOKED, "INFO"), ("the call is tried again", "WARNING"), ("answering", "ERROR")],
)
def test_level_tells_how_bad_it_is(world: World, message: str, level: str) -> None:
    world.kinesis.fails("describe_stream_summary", "ThrottlingException")
    world.kinesis.shows("UPDATING")
    world.kinesis.shows("DELETING")
    world.fails(event("Update"))
    assert world.logged(message)[0]["level"] == level


def test_lines_are_printed_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    Log(VirtualClock()).info("ready", stream=STREAM)
    line = json.loads(capsys.readouterr().out)
    assert (line["message"], line["stream"]) == ("ready", STREAM)
