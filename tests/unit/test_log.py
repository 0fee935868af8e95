"""Log lines: JSON, each with its request, its level and what was seen."""

from __future__ import annotations

import pytest

from tests.unit.world import KEY, STREAM, World, event

LOOKED = "looked at the stream"


def test_look_tells_what_was_found_and_decided_of_which_request(world: World) -> None:
    world.kinesis.shows("UPDATING", KEY)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event("Update"))
    line = world.logged(LOOKED)[0]
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


def test_answer_is_logged_with_its_attributes(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY)
    answer = world.succeeds(event("Update"))
    line = world.logged("answering")[0]
    assert (line["status"], line["data"]) == ("SUCCESS", answer["Data"])


def test_elapsed_seconds_count_from_the_invocation_to_the_millisecond(world: World) -> None:
    world.clock.sleep(100)
    world.kinesis.takes("DescribeStreamSummary", world.clock, 0, 0.12345)
    world.kinesis.shows("UPDATING")
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event("Update", age=-100))
    assert [line["elapsed"] for line in world.logged(LOOKED)[:2]] == [0, 0.723]


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
