"""Sweeps: all streams, at a pace, in messages that lead to the next."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

import pytest

from stream_encryption.guard.scan import MAX_DELAY
from tests.simulation.guard.services import QUEUE
from tests.simulation.service import ServiceError
from tests.unit.guard.world import DAY, HOUR, KEY, SCAN, World, event


def checked(world: World) -> Counter[str]:
    return Counter(line["name"] for line in world.log if line["message"] == "checked the stream")


def test_every_stream_is_checked_once() -> None:
    world = World()
    for number in range(250):
        world.add(f"s{number:03}")
    world.send(SCAN)
    world.run()
    assert checked(world) == Counter(f"s{number:03}" for number in range(250))
    assert world.calls.count("ListStreams") == 3


def test_checks_are_spread_over_time_and_invocations() -> None:
    world = World()
    for number in range(4600):
        world.add(f"s{number:04}")
    world.handle(SCAN)
    waiting = world.sqs.queues[QUEUE].values()
    due = Counter(int(message.visible) for message in waiting if '"check"' in message.body)
    assert max(due.values()) <= 5
    assert sum(due.values()) == 4500
    (step,) = (message for message in waiting if '"scan"' in message.body)
    assert json.loads(step.body)["scan"] == {
        "started": pytest.approx(world.clock.now(), abs=30),
        "after": "s4499",
        "listed": False,
    }
    assert step.visible - world.clock.now() == MAX_DELAY
    world.run()
    assert len(checked(world)) == 4600
    assert set(checked(world).values()) == {1}


def test_scan_ends_after_its_checks() -> None:
    """SQS has no order, and streams that are checked later would be missing in the counts."""
    world = World()
    for number in range(3):
        world.add(f"s{number}")
    world.handle(SCAN)
    waiting = world.sqs.queues[QUEUE].values()
    last = max(message.visible for message in waiting if '"check"' in message.body)
    (step,) = (message for message in waiting if '"scan"' in message.body)
    assert step.visible - last >= 10


def test_streams_are_listed_slowly() -> None:
    world = World()
    for number in range(1000):
        world.add(f"s{number:04}")
    began = world.clock.now()
    world.handle(SCAN)
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
def test_streams_are_selected(settings: dict[str, object], expected: set[str]) -> None:
    world = World(**settings)
    world.add("orders", tags={"class": "none"})
    world.add("prod-a")
    world.add("prod-b", tags={"class": "pii"})
    world.send(SCAN)
    world.run()
    assert set(checked(world)) == expected
    listed = "ListStreams" in world.calls
    assert listed == (not {"names", "tag"} & set(settings))


def test_named_stream_that_does_not_exist_stores_nothing() -> None:
    world = World(names=["orders"])
    world.send(SCAN)
    world.run()
    assert (world.table.items, world.dead) == ({}, [])


def test_exemptions_are_read_once_in_a_scan() -> None:
    world = World(exempt_tag_key="exempt")
    for number in range(120):
        world.add(
            f"s{number:03}",
            key=None if number % 2 else KEY,
            tags={"exempt": ""} if number % 2 else {},
        )
    for _ in range(2):
        world.send(SCAN)
        world.run(HOUR)
    first, second = world.calls.count("GetResources"), world.calls.count("ListTagsForStream")
    assert first == 4, "two pages each"
    assert second == 60, "at the first sight of those that are said to be exempt"
    assert world.notifications == []


def test_tags_are_read_again_before_a_finding_is_reported() -> None:
    world = World(exempt_tag_key="exempt")
    world.add("orders", key=None, tags={"exempt": ""})
    world.handle(event("StopStreamEncryption"))
    world.indexed = {}  # the tagging API does not know the tag yet
    world.send(SCAN)
    world.run()
    assert (world.state("orders"), world.notifications) == ("exempt", [])


def test_tags_are_read_again_after_the_grace_period() -> None:
    world = World(exempt_tag_key="exempt")
    world.add("orders", key=None)
    world.send(SCAN)
    world.run(5 * 60)
    assert world.state("orders") == "unencrypted"
    world.tags["orders"] = {"exempt": ""}  # and no event tells of it
    world.run()
    assert (world.state("orders"), world.notifications) == ("exempt", [])


def test_deletion_without_an_event_is_found() -> None:
    world = World()
    world.add("orders", key=None)
    world.add("others")
    world.handle(SCAN)
    world.run()
    del world.streams["orders"], world.streams["others"]
    world.handle(SCAN)
    world.run()
    assert (world.state("orders"), world.state("others")) == ("deleted", "deleted")
    assert [notification.state for notification in world.notifications] == [
        "unencrypted",
        "deleted",
    ]
    calls = world.calls.count("DescribeStreamSummary")
    world.handle(SCAN)
    world.run()
    assert world.calls.count("DescribeStreamSummary") == calls


def test_loss_of_the_selecting_tag_without_an_event_is_found() -> None:
    world = World(tag=["class", "pii"])
    world.add("orders", tags={"class": "pii"})
    world.handle(SCAN)
    world.run()
    world.tags["orders"] = {}
    world.handle(SCAN)
    world.run()
    assert world.state("orders") == "exempt"
    assert [notification.state for notification in world.notifications] == ["exempt"]


def test_stream_that_is_no_longer_selected_is_not_counted_and_expires() -> None:
    world = World()
    world.add("orders", key=None)
    world.handle(SCAN)
    world.run()
    row = world.table.row("orders")
    world.restart(names=["others"])
    world.handle(SCAN)
    world.run()
    assert [line["Streams"] for line in world.log if line.get("State") == "unencrypted"] == [1, 0]
    assert world.table.row("orders") == row
    checked_at = datetime.fromisoformat(row["checked"]).timestamp()
    assert int(row["expires"]) - checked_at == pytest.approx(90 * DAY, abs=2)


def test_streams_are_counted_by_state_at_the_end() -> None:
    world = World()
    world.add("a")
    world.add("b", key=None)
    world.add("c", key=None)
    world.handle(SCAN)
    world.run()
    counted = {line["State"]: line["Streams"] for line in world.log if "Streams" in line}
    assert counted == {
        "compliant": 1,
        "unencrypted": 2,
        "other key": 0,
        "unknown": 0,
        "exempt": 0,
        "deleted": 0,
    }


def test_scan_that_sqs_rejects_in_part_is_retried() -> None:
    world = World()
    world.add("orders")
    serve = world.sqs.serve
    refused: list[object] = []

    def refuse(operation: str, params: object, hops: int = 0) -> dict[str, object]:
        if operation == "SendMessageBatch" and not refused:
            refused.append(params)
            return {"Failed": [{"Id": "0", "SenderFault": False, "Code": "InternalError"}]}
        return serve(operation, params, hops)  # type: ignore[arg-type]

    world.sqs.serve = refuse  # type: ignore[method-assign]
    world.send(SCAN)
    world.run(DAY)
    assert world.state("orders") == "compliant"
    assert world.metric("Failures") == [1]


def test_throttled_scan_is_retried() -> None:
    world = World()
    world.add("orders")
    world.failing["ListStreams"] = [ServiceError("LimitExceededException", "Rate exceeded")]
    world.send(SCAN)
    world.run()
    assert world.state("orders") == "compliant"
