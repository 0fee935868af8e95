"""The number of noncompliant streams, and what an alarm makes of it."""

from __future__ import annotations

from collections import defaultdict

import pytest

from simulated_aws.service import ServiceError
from stream_encryption.guard import check
from tests.unit.guard.stubs import HOUR, MINUTE, SCAN, Crash, GuardStubs, crash, event
from tests.unit.stubs import KEY, OTHER_KEY

STOP = "StopStreamEncryption"
ALARM_PERIOD = 60


def in_alarm(stubs: GuardStubs) -> bool | None:
    """State of an alarm on the maximum of each minute, with missing data ignored."""
    maxima: dict[int, int] = defaultdict(int)
    for line in stubs.log:
        if "NoncompliantStreams" in line:
            period = line["_aws"]["Timestamp"] // 1000 // ALARM_PERIOD
            maxima[period] = max(maxima[period], line["NoncompliantStreams"])
    return maxima[max(maxima)] > 0 if maxima else None


def stop(stubs: GuardStubs, name: str = "orders") -> None:
    stubs.change(name, None)
    stubs.handle(event(STOP, name, now=stubs.clock.now()))


def restore(stubs: GuardStubs, name: str = "orders") -> None:
    stubs.change(name, KEY)
    stubs.handle(event("StartStreamEncryption", name, now=stubs.clock.now()))


def test_alarm_lasts_as_long_as_a_stream_is_noncompliant(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stubs.add("payments")
    stubs.handle(SCAN)
    stubs.run(MINUTE)
    assert in_alarm(stubs) is False
    stop(stubs)
    stubs.run(3 * MINUTE)
    stop(stubs, "payments")
    stubs.run(HOUR)
    restore(stubs)
    stubs.run(HOUR)
    assert in_alarm(stubs) is True
    restore(stubs, "payments")
    stubs.run(HOUR)
    assert in_alarm(stubs) is False
    assert stubs.metric("NoncompliantStreams") == [0, 1, 2, 1, 0]


@pytest.mark.parametrize("changes", range(1, 8))
@pytest.mark.parametrize("pause", [1, 7, 31, 59, 89])
def test_alarm_shows_the_last_of_several_changes(
    stubs: GuardStubs, changes: int, pause: int
) -> None:
    """An alarm sees the maximum of a minute, in which a stream may have been both."""
    assert check.COUNT_DELAY > ALARM_PERIOD
    stubs.add("orders")
    for number in range(changes):
        (restore if number % 2 else stop)(stubs)
        stubs.run(pause)
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is bool(changes % 2)


def test_drift_counts_once_the_grace_period_is_over(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stubs.change("orders", OTHER_KEY)
    stubs.send(event("StartStreamEncryption", now=stubs.clock.now()))
    stubs.run(9 * MINUTE)
    assert in_alarm(stubs) is None
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is True


def test_key_switch_of_the_own_stack_does_not_count(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stubs.stack.status = "UPDATE_IN_PROGRESS"
    stubs.change("orders", OTHER_KEY)
    stubs.send(event("StartStreamEncryption", now=stubs.clock.now()))
    stubs.run(20 * MINUTE)
    stubs.restart(key=OTHER_KEY)
    stubs.stack.status = "UPDATE_COMPLETE"
    stubs.run(HOUR)
    assert in_alarm(stubs) is None


def test_rollback_of_a_deployment_that_ended_drift_counts_it_again(stubs: GuardStubs) -> None:
    """The notification of that drift is still valid, so that it is not repeated."""
    stubs.add("orders")
    stubs.change("orders", OTHER_KEY)
    stubs.send(event("StartStreamEncryption", now=stubs.clock.now()))
    stubs.run(20 * MINUTE)
    stubs.stack.status = "UPDATE_IN_PROGRESS"
    stubs.restart(key=OTHER_KEY)
    stubs.send(SCAN)
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is False
    stubs.restart()
    stubs.stack.status = "UPDATE_ROLLBACK_COMPLETE"
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is True
    assert len(stubs.notifications) == 1


@pytest.mark.parametrize("topic", [None, "rejects"])
def test_drift_counts_whether_or_not_it_can_be_notified(topic: str | None) -> None:
    stubs = GuardStubs(**({} if topic else {"topic": None}))
    stubs.add("orders")
    stubs.failing["Publish"] = [ServiceError("AuthorizationError", "no") for _ in range(999)]
    stop(stubs)
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is True
    restore(stubs)
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is False


def test_crash_between_count_and_write_does_not_lose_the_count(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stubs.handle(SCAN)
    stubs.run(MINUTE)
    stubs.after["SendMessage"] = [crash]
    stubs.change("orders", None)
    message = stubs.send(event(STOP, now=stubs.clock.now()))
    with pytest.raises(Crash):
        stubs.receive(message)
    stubs.run(10 * MINUTE)
    assert in_alarm(stubs) is True


@pytest.mark.parametrize("key", [KEY, None])
def test_scan_counts_again(stubs: GuardStubs, key: str | None) -> None:
    """It corrects the alarm, whatever was lost before."""
    stubs.add("orders", key=key)
    stubs.handle(SCAN)
    stubs.run(HOUR)
    stubs.log.clear()
    stubs.handle(SCAN)
    stubs.run(HOUR)
    assert in_alarm(stubs) is (key is None)


def test_streams_that_are_no_longer_selected_do_not_count(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stop(stubs)
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is True
    stubs.restart(names=["payments"])
    stubs.handle(SCAN)
    stubs.run(HOUR)
    assert in_alarm(stubs) is False


def test_exemption_and_deletion_end_noncompliance() -> None:
    stubs = GuardStubs(exempt_tag_key="exempt")
    stubs.add("orders")
    stubs.add("payments")
    stop(stubs)
    stop(stubs, "payments")
    stubs.run(5 * MINUTE)
    stubs.tags["orders"] = {"exempt": ""}
    stubs.handle(event("AddTagsToStream", now=stubs.clock.now()))
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is True
    del stubs.streams["payments"]
    stubs.handle(event("DeleteStream", "payments", now=stubs.clock.now()))
    stubs.run(5 * MINUTE)
    assert in_alarm(stubs) is False
