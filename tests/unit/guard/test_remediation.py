"""Remediation: encryption that was stopped is restored once, within the limits, and reported."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.simulation.guard.services import REMEDIATION
from tests.simulation.service import ServiceError, arn
from tests.unit.guard.world import ALICE, DAY, HOUR, KEY, MINUTE, OTHER_KEY, World, event, lost

CHECK: dict[str, Any] = {"check": "orders", "exempt": None}


def known_good(*names: str, limits: dict[str, Any] | None = None, **settings: Any) -> World:
    """Start with streams that a check has found compliant."""
    world = World(limits=limits or {}, **settings)
    for name in names or ("orders",):
        world.add(name)
        world.handle({"check": name, "exempt": None})
    return world


def stop(world: World, name: str = "orders", *, handle: bool = True) -> None:
    """Stop encryption, and let the check function have the event."""
    world.clock.time += 30
    world.change(name, None)
    stopped = event("StopStreamEncryption", name, age=5, now=world.clock.now())
    world.handle(stopped) if handle else world.send(stopped)


def outcomes(world: World) -> list[str]:
    return [each.state for each in world.notifications]


def remediations(world: World) -> list[dict[str, Any]]:
    """Messages in the queue of remediation."""
    return [json.loads(each.body) for each in world.sqs.queues[REMEDIATION].values()]


def record(world: World, name: str = "orders") -> dict[str, str]:
    item = world.table.items["remediation#" + arn("kinesis", f"stream/{name}")]
    return {key: next(iter(value.values())) for key, value in item.items()}


def test_stopped_encryption_is_restored_and_reported() -> None:
    world = known_good()
    stop(world)
    began = world.clock.now()
    world.run(HOUR)
    ((when, name, key),) = world.starts
    assert (name, key, when - began < 5) == ("orders", KEY, True)
    assert outcomes(world) == ["unencrypted", "restored"]
    report = world.notifications[1]
    assert report.subject == "Stream orders: encryption is restored"
    assert report.lines["Found"].startswith("unencrypted since 2026-11-01T12:00:30")
    assert report.lines["Changed by"].startswith(f"{ALICE} (StopStreamEncryption at 2026-11-01T12:")
    assert report.lines["To stop the guard"] == "deploy the guard without remediation"
    assert world.state("orders") == "compliant"
    assert (record(world)["outcome"], record(world)["remediations"]) == ("restored", "1")
    assert [line["Outcome"] for line in world.log if "Outcome" in line] == ["restored"]
    assert world.metric("NoncompliantStreams")[-1] == 0
    assert not world.dead


def test_report_names_the_exempt_tag() -> None:
    world = known_good(exempt_tag_key="exempt")
    stop(world)
    world.run(HOUR)
    assert world.notifications[1].lines["To stop the guard"] == (
        "tag the stream with exempt, or deploy the guard without remediation"
    )


def test_without_remediation_nothing_is_sent_or_changed() -> None:
    world = World()
    world.add("orders")
    world.handle(CHECK)
    stop(world)
    world.run(HOUR)
    assert (world.starts, remediations(world)) == ([], [])


def test_drift_without_a_stop_call_waits_for_the_grace_period() -> None:
    world = known_good()
    world.change("orders", None)
    world.send(CHECK)
    world.run(9 * MINUTE)
    assert world.starts == []
    world.run(2 * MINUTE)
    assert len(world.starts) == 1


@pytest.mark.parametrize("key", [OTHER_KEY, "alias/unknown"])
def test_encrypted_stream_is_never_changed(key: str) -> None:
    world = known_good()
    world.change("orders", key)
    world.send(CHECK)
    world.run(HOUR)
    assert world.starts == []


@pytest.mark.parametrize("key", [OTHER_KEY, None])
def test_stream_that_was_not_known_good_is_not_changed(key: str | None) -> None:
    world = World(limits={})
    world.add("orders", key)
    world.handle(CHECK)
    stop(world)
    world.run(HOUR)
    assert world.starts == []


def test_known_good_ends_when_another_key_is_seen() -> None:
    world = known_good()
    world.change("orders", OTHER_KEY)
    world.handle(CHECK)
    stop(world)
    world.run(HOUR)
    assert world.starts == []


def test_known_good_expires() -> None:
    world = known_good()
    world.clock.time += DAY
    stop(world)
    world.run(HOUR)
    assert world.starts == []


def test_known_good_lasts_for_its_time() -> None:
    world = known_good()
    world.clock.time += DAY - MINUTE
    stop(world)
    world.run(HOUR)
    assert len(world.starts) == 1


def test_another_stream_of_the_name_is_not_changed() -> None:
    world = known_good()
    world.add("orders", None, age=0)
    world.handle(CHECK)
    world.run(HOUR)
    assert world.starts == []


def test_exempt_stream_is_not_changed() -> None:
    world = known_good(exempt_tag_key="exempt")
    stop(world)
    world.tags["orders"] = {"exempt": ""}
    world.run(HOUR)
    assert (world.starts, outcomes(world)) == ([], ["unencrypted"])


def test_stream_that_becomes_exempt_while_the_job_waits_is_not_changed() -> None:
    world = known_good(exempt_tag_key="exempt")
    stop(world)

    def exempt() -> None:
        world.tags["orders"] = {"exempt": ""}

    world.after["DescribeKey"] = [exempt]
    world.run(HOUR)
    assert (world.starts, outcomes(world)) == ([], ["unencrypted"])
    assert (record(world)["remediations"], record(world)["changed"]) == ("0", "0")


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"])
def test_nothing_is_changed_while_the_own_stack_is_not_idle(status: str) -> None:
    world = known_good()
    stop(world)
    world.stack.status = status
    world.run(HOUR / 2)
    assert world.starts == []
    world.stack.status = "UPDATE_COMPLETE"
    world.run(HOUR)
    assert len(world.starts) == 1


def test_deployment_during_the_job_ends_it() -> None:
    """Its key may be that of before."""
    world = known_good()
    stop(world)

    def deploy() -> None:
        world.stack.updated = datetime.fromtimestamp(world.clock.now(), UTC)

    world.after["DescribeKey"] = [deploy]
    world.run(1)
    assert world.starts == []
    world.run(HOUR)
    assert len(world.starts) == 1


def test_owner_who_insists_prevails() -> None:
    world = known_good()
    for _ in range(6):
        stop(world)
        world.run(5 * MINUTE)
    assert len(world.starts) == 3
    (yielded,) = [each for each in world.notifications if each.state == "yielded"]
    # The fourth call, not the one before the last change.
    assert "StopStreamEncryption at 2026-11-01T12:16:55" in yielded.lines["Changed by"]
    assert world.state("orders") == "unencrypted"
    world.send({"release": {"stream": "orders"}}, REMEDIATION)
    world.run(HOUR)
    assert len(world.starts) == 4


def test_guard_resumes_when_the_stream_became_compliant_without_it() -> None:
    world = known_good(limits={"max_changes_per_stream": 1})
    for _ in range(2):
        stop(world)
        world.run(5 * MINUTE)
    assert len(world.starts) == 1
    world.change("orders")
    world.handle(CHECK)
    stop(world)
    world.run(5 * MINUTE)
    assert len(world.starts) == 2


def test_changes_of_a_day_are_limited_even_if_the_owner_restores_now_and_then() -> None:
    world = known_good()
    for _ in range(12):
        stop(world)
        world.run(5 * MINUTE)
        world.change("orders", None)
        world.handle(CHECK)
        world.change("orders")
        world.handle(CHECK)
        world.run(5 * MINUTE)
    assert len(world.starts) == 5


def test_circuit_breaker_opens_and_only_an_operator_releases_it() -> None:
    names = [f"s{number}" for number in range(4)]
    world = known_good(*names, limits={"max_streams_per_hour": 2})
    for name in names:
        stop(world, name)
    world.run(5 * MINUTE)
    assert len(world.starts) == 2
    assert outcomes(world).count("circuit breaker opened") == 1
    (opened,) = [each for each in world.notifications if "halted" in each.subject]
    assert '{"release": {}} to ' + REMEDIATION in opened.lines["Remedy"]
    world.run(DAY / 2)
    for name in names:
        world.handle({"check": name, "exempt": None})
    world.run(HOUR)
    assert len(world.starts) == 2
    world.send({"release": {}}, REMEDIATION)
    world.run(2 * HOUR)
    assert len(world.starts) == 4


def test_failure_is_reported_and_retried_after_an_hour_and_thrice() -> None:
    world = known_good()
    disabled = ServiceError("KMSDisabledException", "it is disabled")
    world.failing["StartStreamEncryption"] = [disabled] * 1000
    stop(world)
    for _ in range(20):
        world.run(HOUR / 2 + MINUTE)
        world.handle(CHECK)
    failed = [each for each in world.notifications if each.state == "failed"]
    assert len(failed) == 4
    assert "it is disabled" in failed[0].lines["Reason"]
    assert record(world)["remediations"] == "0"


def test_duplicates_change_a_stream_once() -> None:
    world = known_good()
    stop(world)
    (body,) = remediations(world)
    for _ in range(3):
        world.send(body, REMEDIATION)
    world.run(HOUR)
    world.send(body, REMEDIATION)
    world.run(HOUR)
    assert len(world.starts) == 1
    assert outcomes(world) == ["unencrypted", "restored"]


def test_another_caller_was_faster() -> None:
    world = known_good()
    stop(world)
    world.after["DescribeStacks"] = [lambda: world.change("orders")]
    world.run(HOUR)
    assert (world.starts, outcomes(world)) == ([], ["unencrypted"])
    assert (record(world)["remediations"], record(world)["claimed_until"]) == ("0", "0")


def test_another_caller_has_encrypted_it_with_another_key() -> None:
    world = known_good()
    stop(world)
    world.after["DescribeStacks"] = [lambda: world.change("orders", OTHER_KEY)]
    world.run(HOUR)
    assert (world.starts, outcomes(world)) == ([], ["unencrypted"])
    assert (record(world)["remediations"], record(world)["claimed_until"]) == ("0", "0")


def test_lost_response_is_confirmed_from_the_described_state() -> None:
    world = known_good()
    stop(world)
    real = world._start

    def start(name: str, key: str) -> dict[str, Any]:
        real(name, key)
        raise lost("StartStreamEncryption")

    world._start = start  # type: ignore[method-assign]
    world.run(HOUR)
    assert len(world.starts) == 1
    assert outcomes(world) == ["unencrypted", "restored"]


class Crash(BaseException):
    """The process ends."""


@pytest.mark.parametrize("operation", ["StartStreamEncryption", "Publish"])
def test_crash_after_the_change_is_completed_later(operation: str) -> None:
    world = known_good()
    stop(world)

    def crash() -> None:
        raise Crash

    world.after[operation] = [crash]
    with pytest.raises(Crash):
        world.run(HOUR)
    world.run(2 * HOUR)
    assert len(world.starts) == 1
    # A crash after a report repeats it, as it may not have been published.
    assert outcomes(world) == ["unencrypted", *["restored"] * (1 + (operation == "Publish"))]


def test_crash_before_the_change_is_reported_and_the_stream_restored() -> None:
    world = known_good()
    stop(world)

    def crash() -> None:
        raise Crash

    world.after["DescribeKey"] = [crash]
    with pytest.raises(Crash):
        world.run(HOUR)
    world.run(2 * HOUR)
    assert len(world.starts) == 1
    assert outcomes(world) == ["unencrypted", "unconfirmed", "restored"]
    assert record(world)["remediations"] == "2"


@pytest.mark.parametrize("operation", ["DescribeStacks", "ListTagsForStream", "GetItem"])
def test_what_cannot_be_verified_is_not_changed(operation: str) -> None:
    world = known_good(exempt_tag_key="exempt")
    stop(world)
    world.failing[operation] = [ServiceError("AccessDeniedException", "no")] * 5
    world.run(1)
    assert world.starts == []
    world.run(HOUR)
    assert len(world.starts) == 1


def test_message_of_the_other_queue_is_a_dead_letter() -> None:
    world = known_good()
    world.handle({"remediate": {"stream": "orders", "drift": "now"}})
    world.receive(world.send(CHECK, REMEDIATION))
    assert [each.reason for each in world.dead] == [
        "malformed message: it is for the guard's other queue"
    ] * 2


def test_items_can_still_be_read_by_the_release_before() -> None:
    """It reads every text attribute as a field of its own."""
    world = known_good()
    item = world.table.items[arn("kinesis", "stream/orders")]
    texts = {name for name, value in item.items() if "S" in value}
    assert texts == {
        *("arn", "state", "key", "created", "since", "checked", "caller", "call", "call_time"),
        *("last_notified", "notifying_since", "confirmed"),
    }
