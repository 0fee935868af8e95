"""Sweeps: all streams, at a pace, in messages that lead to the next."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

import pytest

from stream_encryption.guard.sweep import LONGEST_DELAY
from tests.simulation.guard.services import QUEUE
from tests.simulation.service import ServiceError
from tests.unit.guard.world import DAY, HOUR, KEY, SWEEP, World, event


def looked_at(world: World) -> Counter[str]:
    return Counter(line["name"] for line in world.log if line["message"] == "looked at the stream")


def test_every_stream_is_looked_at_once() -> None:
    world = World()
    for number in range(250):
        world.has(f"s{number:03}")
    world.send(SWEEP)
    world.run()
    assert looked_at(world) == Counter(f"s{number:03}" for number in range(250))
    assert world.calls.count("ListStreams") == 3


def test_looks_are_spread_over_time_and_hops() -> None:
    world = World()
    for number in range(4600):
        world.has(f"s{number:04}")
    world.handle(SWEEP)
    waiting = world.sqs.queues[QUEUE].values()
    due = Counter(int(message.visible) for message in waiting if '"look"' in message.body)
    assert max(due.values()) <= 5
    assert sum(due.values()) == 4500
    (step,) = (message for message in waiting if '"sweep"' in message.body)
    assert json.loads(step.body)["sweep"] == {
        "began": pytest.approx(world.clock.now(), abs=30),
        "after": "s4499",
        "listed": False,
    }
    assert step.visible - world.clock.now() == LONGEST_DELAY
    world.run()
    assert len(looked_at(world)) == 4600
    assert set(looked_at(world).values()) == {1}


def test_lists_are_read_slowly() -> None:
    world = World()
    for number in range(1000):
        world.has(f"s{number:04}")
    began = world.clock.now()
    world.handle(SWEEP)
    assert world.calls.count("ListStreams") / (world.clock.now() - began) < 3


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"orders", "prod-a", "prod-b"}),
        ({"prefix": "prod-"}, {"prod-a", "prod-b"}),
        ({"names": ["orders", "prod-a"]}, {"orders", "prod-a"}),
        ({"tag": ["class", "pii"]}, {"prod-b"}),
    ],
)
def test_streams_are_chosen(settings: dict[str, object], expected: set[str]) -> None:
    world = World(**settings)
    world.has("orders", tags={"class": "none"})
    world.has("prod-a")
    world.has("prod-b", tags={"class": "pii"})
    world.send(SWEEP)
    world.run()
    assert set(looked_at(world)) == expected
    listed = "ListStreams" in world.calls
    assert listed == (not {"names", "tag"} & set(settings))


def test_named_stream_that_is_not_there_leaves_nothing() -> None:
    world = World(names=["orders"])
    world.send(SWEEP)
    world.run()
    assert (world.table.items, world.dead) == ({}, [])


def test_exemptions_are_read_once_a_sweep() -> None:
    world = World(exempt_tag="exempt")
    for number in range(120):
        world.has(
            f"s{number:03}",
            key=None if number % 2 else KEY,
            tags={"exempt": ""} if number % 2 else {},
        )
    for _ in range(2):
        world.send(SWEEP)
        world.run(HOUR)
    first, second = world.calls.count("GetResources"), world.calls.count("ListTagsForStream")
    assert first == 4, "two pages each"
    assert second == 60, "at the first sight of those that are said to be exempt"
    assert world.told == []


def test_what_a_sweep_found_of_tags_is_not_believed_when_it_tells_something_new() -> None:
    world = World(exempt_tag="exempt")
    world.has("orders", key=None, tags={"exempt": ""})
    world.handle(event("StopStreamEncryption"))
    world.indexed = {}  # the tagging API does not know the tag yet
    world.send(SWEEP)
    world.run()
    assert (world.state("orders"), world.told) == ("exempt", [])


def test_what_a_sweep_found_of_tags_is_not_believed_ten_minutes_later() -> None:
    world = World(exempt_tag="exempt")
    world.has("orders", key=None)
    world.send(SWEEP)
    world.run(5 * 60)
    assert world.state("orders") == "plaintext"
    world.tags["orders"] = {"exempt": ""}  # and no event tells of it
    world.run()
    assert (world.state("orders"), world.told) == ("exempt", [])


def test_stream_that_is_gone_without_an_event_is_found_out() -> None:
    world = World()
    world.has("orders", key=None)
    world.has("others")
    world.handle(SWEEP)
    world.run()
    del world.streams["orders"], world.streams["others"]
    world.handle(SWEEP)
    world.run()
    assert (world.state("orders"), world.state("others")) == ("gone", "gone")
    assert [told.state for told in world.told] == ["plaintext", "gone"]
    calls = world.calls.count("DescribeStreamSummary")
    world.handle(SWEEP)
    world.run()
    assert world.calls.count("DescribeStreamSummary") == calls


def test_stream_that_lost_its_tag_without_an_event_is_found_out() -> None:
    world = World(tag=["class", "pii"])
    world.has("orders", tags={"class": "pii"})
    world.handle(SWEEP)
    world.run()
    world.tags["orders"] = {}
    world.handle(SWEEP)
    world.run()
    assert world.state("orders") == "exempt"
    assert [told.state for told in world.told] == ["exempt"]


def test_stream_that_is_not_chosen_any_more_is_not_counted_and_expires() -> None:
    world = World()
    world.has("orders", key=None)
    world.handle(SWEEP)
    world.run()
    row = world.table.row("orders")
    world.restart(names=["others"])
    world.handle(SWEEP)
    world.run()
    assert [line["Streams"] for line in world.log if line.get("State") == "plaintext"] == [1, 0]
    assert world.table.row("orders") == row
    seen = datetime.fromisoformat(row["seen"]).timestamp()
    assert int(row["expires"]) - seen == pytest.approx(90 * DAY, abs=2)


def test_streams_are_counted_by_state_at_the_end() -> None:
    world = World()
    world.has("a")
    world.has("b", key=None)
    world.has("c", key=None)
    world.handle(SWEEP)
    world.run()
    counted = {line["State"]: line["Streams"] for line in world.log if "Streams" in line}
    assert counted == {
        "as wanted": 1,
        "plaintext": 2,
        "other key": 0,
        "unknown": 0,
        "exempt": 0,
        "gone": 0,
    }


def test_sweep_that_sqs_refuses_in_part_is_made_again() -> None:
    world = World()
    world.has("orders")
    serve = world.sqs.serve
    refused: list[object] = []

    def refuse(operation: str, params: object, hops: int = 0) -> dict[str, object]:
        if operation == "SendMessageBatch" and not refused:
            refused.append(params)
            return {"Failed": [{"Id": "0", "SenderFault": False, "Code": "InternalError"}]}
        return serve(operation, params, hops)  # type: ignore[arg-type]

    world.sqs.serve = refuse  # type: ignore[method-assign]
    world.send(SWEEP)
    world.run(DAY)
    assert world.state("orders") == "as wanted"
    assert world.metric("Failures") == [1]


def test_throttled_list_is_read_again_later() -> None:
    world = World()
    world.has("orders")
    world.failing["ListStreams"] = [ServiceError("LimitExceededException", "Rate exceeded")]
    world.send(SWEEP)
    world.run()
    assert world.state("orders") == "as wanted"
