"""Scans: all streams, at a pace, in messages that lead to the next."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

import pytest

from simulated_aws.service import ServiceError
from simulated_aws.sqs import QUEUE
from stream_encryption.guard.scan import MAX_DELAY
from tests.unit.guard.stubs import DAY, HOUR, SCAN, GuardStubs, event
from tests.unit.stubs import KEY


def checked(stubs: GuardStubs) -> Counter[str]:
    return Counter(line["name"] for line in stubs.log if line["message"] == "checked the stream")


def test_every_stream_is_checked_once(stubs: GuardStubs) -> None:
    for number in range(250):
        stubs.add(f"s{number:03}")
    stubs.send(SCAN)
    stubs.run()
    assert checked(stubs) == Counter(f"s{number:03}" for number in range(250))
    assert stubs.calls.count("ListStreams") == 3


def test_checks_are_spread_over_time_and_invocations(stubs: GuardStubs) -> None:
    for number in range(4600):
        stubs.add(f"s{number:04}")
    stubs.handle(SCAN)
    waiting = stubs.sqs.queues[QUEUE].values()
    due = Counter(int(message.visible) for message in waiting if '"check"' in message.body)
    assert max(due.values()) <= 5
    assert sum(due.values()) == 4500
    (step,) = (message for message in waiting if '"scan"' in message.body)
    assert json.loads(step.body)["scan"] == {
        "started": pytest.approx(stubs.clock.now(), abs=30),
        "after": "s4499",
        "listed": False,
    }
    assert step.visible - stubs.clock.now() == MAX_DELAY
    stubs.run()
    assert len(checked(stubs)) == 4600
    assert set(checked(stubs).values()) == {1}


def test_scan_ends_after_its_checks(stubs: GuardStubs) -> None:
    """SQS has no order, and streams that are checked later would be missing in the counts."""
    for number in range(3):
        stubs.add(f"s{number}")
    stubs.handle(SCAN)
    waiting = stubs.sqs.queues[QUEUE].values()
    last = max(message.visible for message in waiting if '"check"' in message.body)
    (step,) = (message for message in waiting if '"scan"' in message.body)
    assert step.visible - last >= 10


def test_streams_are_listed_slowly(stubs: GuardStubs) -> None:
    for number in range(1000):
        stubs.add(f"s{number:04}")
    began = stubs.clock.now()
    stubs.handle(SCAN)
    assert stubs.calls.count("ListStreams") / (stubs.clock.now() - began) < 3


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
    stubs = GuardStubs(**settings)
    stubs.add("orders", tags={"class": "none"})
    stubs.add("prod-a")
    stubs.add("prod-b", tags={"class": "pii"})
    stubs.send(SCAN)
    stubs.run()
    assert set(checked(stubs)) == expected
    listed = "ListStreams" in stubs.calls
    assert listed == (not {"names", "tag"} & set(settings))


def test_named_stream_that_does_not_exist_stores_nothing() -> None:
    stubs = GuardStubs(names=["orders"])
    stubs.send(SCAN)
    stubs.run()
    assert (stubs.table.items, stubs.dead) == ({}, [])


def test_exemptions_are_read_once_in_a_scan() -> None:
    stubs = GuardStubs(exempt_tag_key="exempt")
    for number in range(120):
        stubs.add(
            f"s{number:03}",
            key=None if number % 2 else KEY,
            tags={"exempt": ""} if number % 2 else {},
        )
    for _ in range(2):
        stubs.send(SCAN)
        stubs.run(HOUR)
    first, second = stubs.calls.count("GetResources"), stubs.calls.count("ListTagsForStream")
    assert first == 4, "two pages each"
    assert second == 60, "only once per stream that the table does not list as exempt"
    assert stubs.notifications == []


def test_tags_are_read_again_before_a_finding_is_reported() -> None:
    stubs = GuardStubs(exempt_tag_key="exempt")
    stubs.add("orders", key=None, tags={"exempt": ""})
    stubs.handle(event("StopStreamEncryption"))
    stubs.indexed = {}  # the tagging API does not know the tag yet
    stubs.send(SCAN)
    stubs.run()
    assert (stubs.state("orders"), stubs.notifications) == ("exempt", [])


def test_tags_are_read_again_after_the_grace_period() -> None:
    stubs = GuardStubs(exempt_tag_key="exempt")
    stubs.add("orders", key=None)
    stubs.send(SCAN)
    stubs.run(5 * 60)
    assert stubs.state("orders") == "unencrypted"
    stubs.tags["orders"] = {"exempt": ""}  # and no event reports it
    stubs.run()
    assert (stubs.state("orders"), stubs.notifications) == ("exempt", [])


def test_deletion_without_an_event_is_found(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.add("others")
    stubs.handle(SCAN)
    stubs.run()
    del stubs.streams["orders"], stubs.streams["others"]
    stubs.handle(SCAN)
    stubs.run()
    assert (stubs.state("orders"), stubs.state("others")) == ("deleted", "deleted")
    assert stubs.reported == ["unencrypted", "deleted"]
    calls = stubs.calls.count("DescribeStreamSummary")
    stubs.handle(SCAN)
    stubs.run()
    assert stubs.calls.count("DescribeStreamSummary") == calls


def test_loss_of_the_selecting_tag_without_an_event_is_found() -> None:
    stubs = GuardStubs(tag=["class", "pii"])
    stubs.add("orders", tags={"class": "pii"})
    stubs.handle(SCAN)
    stubs.run()
    stubs.tags["orders"] = {}
    stubs.handle(SCAN)
    stubs.run()
    assert stubs.state("orders") == "exempt"
    assert stubs.reported == ["exempt"]


def test_stream_that_is_no_longer_selected_is_not_counted_and_expires(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.add("others")
    stubs.handle(SCAN)
    stubs.run()
    row = stubs.table.row("orders")
    stubs.restart(names=["others"])
    stubs.handle(SCAN)
    stubs.run()
    for state, counts in {"unencrypted": [1, 0], "compliant": [1, 1]}.items():
        assert [line["Streams"] for line in stubs.log if line.get("State") == state] == counts
    assert stubs.table.row("orders") == row
    checked_at = datetime.fromisoformat(row["checked"]).timestamp()
    assert int(row["expires"]) - checked_at == pytest.approx(90 * DAY, abs=2)


def test_streams_are_counted_by_state_at_the_end(stubs: GuardStubs) -> None:
    stubs.add("a")
    stubs.add("b", key=None)
    stubs.add("c", key=None)
    stubs.handle(SCAN)
    stubs.run()
    counted = {line["State"]: line["Streams"] for line in stubs.log if "Streams" in line}
    assert counted == {
        "compliant": 1,
        "unencrypted": 2,
        "other key": 0,
        "unknown": 0,
        "exempt": 0,
        "deleted": 0,
    }


def test_scan_that_sqs_rejects_in_part_is_retried(stubs: GuardStubs) -> None:
    stubs.add("orders")
    serve = stubs.sqs.serve
    refused: list[object] = []

    def refuse(operation: str, params: object, continuations: int = 0) -> dict[str, object]:
        if operation == "SendMessageBatch" and not refused:
            refused.append(params)
            return {"Failed": [{"Id": "0", "SenderFault": False, "Code": "InternalError"}]}
        return serve(operation, params, continuations)  # type: ignore[arg-type]

    stubs.sqs.serve = refuse  # type: ignore[method-assign]
    stubs.send(SCAN)
    stubs.run(DAY)
    assert stubs.state("orders") == "compliant"
    assert stubs.metric("Failures") == [1]


def test_throttled_scan_is_retried(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stubs.failing["ListStreams"] = [ServiceError("LimitExceededException", "Rate exceeded")]
    stubs.send(SCAN)
    stubs.run()
    assert stubs.state("orders") == "compliant"
