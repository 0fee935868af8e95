"""The number of noncompliant streams, and what an alarm makes of it."""

from __future__ import annotations

from collections import defaultdict

import pytest

from stream_encryption.guard import check
from tests.simulation.service import ServiceError
from tests.unit.guard.world import HOUR, KEY, MINUTE, OTHER_KEY, SCAN, World, event

STOP = "StopStreamEncryption"
ALARM_PERIOD = 60


def in_alarm(world: World) -> bool | None:
    """State of an alarm on the maximum of each minute, with missing data ignored."""
    maxima: dict[int, int] = defaultdict(int)
    for line in world.log:
        if "NoncompliantStreams" in line:
            period = line["_aws"]["Timestamp"] // 1000 // ALARM_PERIOD
            maxima[period] = max(maxima[period], line["NoncompliantStreams"])
    return maxima[max(maxima)] > 0 if maxima else None


def stop(world: World, name: str = "orders") -> None:
    world.change(name, None)
    world.handle(event(STOP, name, now=world.clock.now()))


def restore(world: World, name: str = "orders") -> None:
    world.change(name, KEY)
    world.handle(event("StartStreamEncryption", name, now=world.clock.now()))


def test_alarm_lasts_as_long_as_a_stream_is_noncompliant() -> None:
    world = World()
    world.add("orders")
    world.add("payments")
    world.handle(SCAN)
    world.run(MINUTE)
    assert in_alarm(world) is False
    stop(world)
    world.run(3 * MINUTE)
    stop(world, "payments")
    world.run(HOUR)
    restore(world)
    world.run(HOUR)
    assert in_alarm(world) is True
    restore(world, "payments")
    world.run(HOUR)
    assert in_alarm(world) is False
    assert world.metric("NoncompliantStreams") == [0, 1, 2, 1, 0]


@pytest.mark.parametrize("changes", range(1, 8))
@pytest.mark.parametrize("pause", [1, 7, 31, 59, 89])
def test_alarm_shows_the_last_of_several_changes(changes: int, pause: int) -> None:
    """An alarm sees the maximum of a minute, in which a stream may have been both."""
    assert check.COUNT_DELAY > ALARM_PERIOD
    world = World()
    world.add("orders")
    for number in range(changes):
        (restore if number % 2 else stop)(world)
        world.run(pause)
    world.run(5 * MINUTE)
    assert in_alarm(world) is bool(changes % 2)


def test_drift_counts_once_the_grace_period_is_over() -> None:
    world = World()
    world.add("orders")
    world.change("orders", OTHER_KEY)
    world.send(event("StartStreamEncryption", now=world.clock.now()))
    world.run(9 * MINUTE)
    assert in_alarm(world) is None
    world.run(5 * MINUTE)
    assert in_alarm(world) is True


def test_key_switch_of_the_own_stack_does_not_count() -> None:
    world = World()
    world.add("orders")
    world.stack.status = "UPDATE_IN_PROGRESS"
    world.change("orders", OTHER_KEY)
    world.send(event("StartStreamEncryption", now=world.clock.now()))
    world.run(20 * MINUTE)
    world.restart(key=OTHER_KEY)
    world.stack.status = "UPDATE_COMPLETE"
    world.run(HOUR)
    assert in_alarm(world) is None


def test_rollback_of_a_deployment_that_ended_drift_counts_it_again() -> None:
    """The notification of that drift is still valid, so that it is not repeated."""
    world = World()
    world.add("orders")
    world.change("orders", OTHER_KEY)
    world.send(event("StartStreamEncryption", now=world.clock.now()))
    world.run(20 * MINUTE)
    world.stack.status = "UPDATE_IN_PROGRESS"
    world.restart(key=OTHER_KEY)
    world.send(SCAN)
    world.run(5 * MINUTE)
    assert in_alarm(world) is False
    world.restart()
    world.stack.status = "UPDATE_ROLLBACK_COMPLETE"
    world.run(5 * MINUTE)
    assert in_alarm(world) is True
    assert len(world.notifications) == 1


@pytest.mark.parametrize("topic", [None, "rejects"])
def test_drift_counts_whether_or_not_it_can_be_notified(topic: str | None) -> None:
    world = World(**({} if topic else {"topic": None}))
    world.add("orders")
    world.failing["Publish"] = [ServiceError("AuthorizationError", "no") for _ in range(999)]
    stop(world)
    world.run(5 * MINUTE)
    assert in_alarm(world) is True
    restore(world)
    world.run(5 * MINUTE)
    assert in_alarm(world) is False


def test_crash_between_count_and_write_does_not_lose_the_count() -> None:
    world = World()
    world.add("orders")
    world.handle(SCAN)
    world.run(MINUTE)

    def crash() -> None:
        raise KeyboardInterrupt

    world.after["SendMessage"] = [crash]
    world.change("orders", None)
    message = world.send(event(STOP, now=world.clock.now()))
    with pytest.raises(KeyboardInterrupt):
        world.receive(message)
    world.run(10 * MINUTE)
    assert in_alarm(world) is True


@pytest.mark.parametrize("key", [KEY, None])
def test_scan_counts_again(key: str | None) -> None:
    """It corrects the alarm, whatever was lost before."""
    world = World()
    world.add("orders", key=key)
    world.handle(SCAN)
    world.run(HOUR)
    world.log.clear()
    world.handle(SCAN)
    world.run(HOUR)
    assert in_alarm(world) is (key is None)


def test_streams_that_are_no_longer_selected_do_not_count() -> None:
    world = World()
    world.add("orders")
    stop(world)
    world.run(5 * MINUTE)
    assert in_alarm(world) is True
    world.restart(names=["payments"])
    world.handle(SCAN)
    world.run(HOUR)
    assert in_alarm(world) is False


def test_exemption_and_deletion_end_noncompliance() -> None:
    world = World(exempt_tag_key="exempt")
    world.add("orders")
    world.add("payments")
    stop(world)
    stop(world, "payments")
    world.run(5 * MINUTE)
    world.tags["orders"] = {"exempt": ""}
    world.handle(event("AddTagsToStream", now=world.clock.now()))
    world.run(5 * MINUTE)
    assert in_alarm(world) is True
    del world.streams["payments"]
    world.handle(event("DeleteStream", "payments", now=world.clock.now()))
    world.run(5 * MINUTE)
    assert in_alarm(world) is False
