"""Remediation: encryption that was stopped is restored once, within the limits, and reported."""

from __future__ import annotations

import itertools
import json
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from simulated_aws.service import ServiceError, arn
from simulated_aws.sqs import REMEDIATION
from tests.unit.guard.stubs import (
    ALICE,
    DAY,
    HOUR,
    MINUTE,
    SCAN,
    Crash,
    GuardStubs,
    crash,
    event,
    lost,
)
from tests.unit.stubs import KEY, OTHER_KEY

CHECK: dict[str, Any] = {"check": "orders", "exempt": None}
REFUSED = ServiceError("InternalError", "no", 500)


def known_good(*names: str, limits: dict[str, Any] | None = None, **settings: Any) -> GuardStubs:
    """Start with streams that a check has found compliant."""
    stubs = GuardStubs(limits=limits or {}, **settings)
    for name in names or ("orders",):
        stubs.add(name)
        stubs.handle({"check": name, "exempt": None})
    return stubs


@pytest.fixture
def stubs() -> GuardStubs:
    return known_good()


def stop(stubs: GuardStubs, name: str = "orders") -> None:
    """Stop encryption, and let the check function have the event."""
    stubs.clock.time += 30
    stubs.change(name, None)
    stubs.handle(event("StopStreamEncryption", name, age=5, now=stubs.clock.now()))


def remediations(stubs: GuardStubs) -> list[dict[str, Any]]:
    """Messages in the queue of remediation."""
    return [json.loads(each.body) for each in stubs.sqs.queues[REMEDIATION].values()]


def record(stubs: GuardStubs, name: str = "orders") -> dict[str, str]:
    item = stubs.table.items["remediation#" + arn("kinesis", f"stream/{name}")]
    return {key: next(iter(value.values())) for key, value in item.items()}


def test_stopped_encryption_is_restored_and_reported(stubs: GuardStubs) -> None:
    stop(stubs)
    began = stubs.clock.now()
    stubs.run(HOUR)
    ((when, name, key),) = stubs.starts
    assert (name, key, when - began < 5) == ("orders", KEY, True)
    assert stubs.reported == ["unencrypted", "restored"]
    report = stubs.notifications[1]
    assert report.subject == "Stream orders: encryption is restored"
    assert report.lines["Found"].startswith("unencrypted since 2026-11-01T12:00:30")
    assert report.lines["Changed by"].startswith(f"{ALICE} (StopStreamEncryption at 2026-11-01T12:")
    assert report.lines["To stop the guard"] == "deploy the guard without remediation"
    assert stubs.state("orders") == "compliant"
    assert (record(stubs)["outcome"], record(stubs)["remediations"]) == ("restored", "1")
    assert [line["Outcome"] for line in stubs.log if "Outcome" in line] == ["restored"]
    assert stubs.metric("Remediations") == [1]
    assert stubs.metric("NoncompliantStreams")[-1] == 0
    assert not stubs.dead


def test_report_names_the_exempt_tag() -> None:
    stubs = known_good(exempt_tag_key="exempt")
    stop(stubs)
    stubs.run(HOUR)
    assert stubs.notifications[1].lines["To stop the guard"] == (
        "tag the stream with exempt, or deploy the guard without remediation"
    )


def test_without_remediation_nothing_is_sent_or_changed() -> None:
    stubs = GuardStubs()
    stubs.add("orders")
    stubs.handle(CHECK)
    stop(stubs)
    stubs.run(HOUR)
    assert (stubs.starts, remediations(stubs)) == ([], [])


def test_drift_without_a_stop_call_waits_for_the_grace_period(stubs: GuardStubs) -> None:
    stubs.change("orders", None)
    stubs.send(CHECK)
    stubs.run(9 * MINUTE)
    assert stubs.starts == []
    stubs.run(2 * MINUTE)
    assert len(stubs.starts) == 1


@pytest.mark.parametrize("key", [OTHER_KEY, "alias/unknown"])
def test_encrypted_stream_is_never_changed(stubs: GuardStubs, key: str) -> None:
    stubs.change("orders", key)
    stubs.send(CHECK)
    stubs.run(HOUR)
    assert stubs.starts == []


@pytest.mark.parametrize("gone", [False, True])
def test_deleted_stream_is_not_changed(stubs: GuardStubs, gone: bool) -> None:
    stop(stubs)
    if gone:
        del stubs.streams["orders"]
    else:
        stubs.change("orders", None, "DELETING")
    stubs.run(2 * HOUR)
    assert (stubs.starts, stubs.dead) == ([], [])
    assert "failed" not in stubs.reported


@pytest.mark.parametrize("key", [OTHER_KEY, None])
def test_stream_that_was_not_known_good_is_not_changed(key: str | None) -> None:
    stubs = GuardStubs(limits={})
    stubs.add("orders", key)
    stubs.handle(CHECK)
    stop(stubs)
    stubs.run(HOUR)
    assert stubs.starts == []


def test_known_good_ends_when_another_key_is_seen(stubs: GuardStubs) -> None:
    stubs.change("orders", OTHER_KEY)
    stubs.handle(CHECK)
    stop(stubs)
    stubs.run(HOUR)
    assert stubs.starts == []


@pytest.mark.parametrize(("seconds", "starts"), [(DAY - MINUTE, 1), (DAY, 0)])
def test_known_good_lasts_for_its_time(stubs: GuardStubs, seconds: float, starts: int) -> None:
    stubs.clock.time += seconds
    stop(stubs)
    stubs.run(HOUR)
    assert len(stubs.starts) == starts


def test_another_stream_of_the_name_is_not_changed(stubs: GuardStubs) -> None:
    stubs.add("orders", None, age=0)
    stubs.handle(CHECK)
    stubs.run(HOUR)
    assert stubs.starts == []


def test_another_stream_that_no_check_has_seen_is_not_changed(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.add("orders", None, age=0)
    (message,) = stubs.sqs.queues[REMEDIATION].values()
    assert stubs.receive(message) is None
    assert stubs.starts == []


def test_message_of_another_drift_is_ignored(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.sqs.queues[REMEDIATION].clear()
    for drift in ("", "2026-01-01T00:00:00.000+00:00"):
        body = {"remediate": {"stream": "orders", "drift": drift}}
        assert stubs.receive(stubs.send(body, REMEDIATION)) is None
    assert stubs.starts == []


def test_stream_that_is_no_longer_guarded_is_not_changed(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.restart(limits={}, prefix="prod-")
    stubs.run(HOUR)
    assert (stubs.starts, stubs.dead) == ([], [])


def test_message_of_an_unknown_stream_is_ignored(stubs: GuardStubs) -> None:
    body = {"remediate": {"stream": "unknown", "drift": ""}}
    assert stubs.receive(stubs.send(body, REMEDIATION)) is None
    assert "Failures" not in json.dumps(stubs.log)


def test_exempt_stream_is_not_changed() -> None:
    stubs = known_good(exempt_tag_key="exempt")
    stop(stubs)
    stubs.tags["orders"] = {"exempt": ""}
    stubs.run(HOUR)
    assert (stubs.starts, stubs.reported) == ([], ["unencrypted"])


@pytest.mark.parametrize("key", [None, KEY, OTHER_KEY])
def test_exemption_keeps_the_known_good_key_unless_another_one_is_seen(key: str | None) -> None:
    stubs = known_good(exempt_tag_key="exempt")
    stubs.tags["orders"] = {"exempt": ""}
    stubs.change("orders", key)
    stubs.handle(CHECK)
    del stubs.tags["orders"]
    stubs.change("orders", None)
    stubs.send(CHECK)
    stubs.run(HOUR)
    assert len(stubs.starts) == (key != OTHER_KEY)


def test_stream_that_becomes_exempt_while_the_job_waits_is_not_changed() -> None:
    stubs = known_good(exempt_tag_key="exempt")
    stop(stubs)
    stubs.after["DescribeKey"] = [lambda: stubs.tags.update(orders={"exempt": ""})]
    stubs.run(HOUR)
    assert (stubs.starts, stubs.reported) == ([], ["unencrypted"])
    assert (record(stubs)["remediations"], record(stubs)["changed"]) == ("0", "0")


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"])
def test_nothing_is_changed_while_the_own_stack_is_not_idle(stubs: GuardStubs, status: str) -> None:
    stop(stubs)
    stubs.stack.status = status
    stubs.run(HOUR / 2)
    assert stubs.starts == []
    stubs.stack.status = "UPDATE_COMPLETE"
    stubs.run(HOUR)
    assert len(stubs.starts) == 1


def test_deployment_during_the_job_ends_it(stubs: GuardStubs) -> None:
    """Its key may be that of before."""
    stop(stubs)

    def deploy() -> None:
        stubs.stack.updated = datetime.fromtimestamp(stubs.clock.now(), UTC)

    stubs.after["DescribeKey"] = [deploy]
    stubs.run(1)
    assert stubs.starts == []
    stubs.run(HOUR)
    assert len(stubs.starts) == 1


def test_owner_who_insists_prevails(stubs: GuardStubs) -> None:
    for _ in range(6):
        stop(stubs)
        stubs.run(5 * MINUTE)
    assert len(stubs.starts) == 3
    (yielded,) = [each for each in stubs.notifications if each.state == "yielded"]
    # The fourth call, not the one before the last change.
    assert "StopStreamEncryption at 2026-11-01T12:16:55" in yielded.lines["Changed by"]
    assert stubs.state("orders") == "unencrypted"
    stubs.send({"release": {"stream": "orders"}}, REMEDIATION)
    stubs.run(HOUR)
    assert len(stubs.starts) == 4


def test_guard_resumes_when_the_stream_became_compliant_without_it() -> None:
    stubs = known_good(limits={"max_changes_per_stream": 1})
    for _ in range(2):
        stop(stubs)
        stubs.run(5 * MINUTE)
    assert len(stubs.starts) == 1
    stubs.change("orders")
    stubs.handle(CHECK)
    stop(stubs)
    stubs.run(5 * MINUTE)
    assert len(stubs.starts) == 2


def test_guard_resumes_though_the_owner_had_insisted_at_once() -> None:
    """A stop within the consistency window of the guard's own change is a drift of its own."""
    stubs = known_good(limits={"max_changes_per_stream": 1})
    stop(stubs)
    stubs.run(12)
    stubs.change("orders", None)
    stubs.handle(event("StopStreamEncryption", age=1, now=stubs.clock.now()))
    stubs.run(5 * MINUTE)
    assert stubs.reported[-2:] == ["unencrypted", "yielded"]
    stubs.change("orders")
    stubs.handle(CHECK)
    stubs.run(HOUR)
    stop(stubs)
    stubs.run(HOUR)
    assert len(stubs.starts) == 2


def test_yield_is_reported_again_after_the_limit_was_raised() -> None:
    stubs = known_good(limits={"max_changes_per_stream": 1})
    for _ in range(2):
        stop(stubs)
        stubs.run(5 * MINUTE)
    stubs.restart(limits={"max_changes_per_stream": 2})
    stubs.send(CHECK)
    stubs.run(5 * MINUTE)
    stop(stubs)
    stubs.run(5 * MINUTE)
    assert (len(stubs.starts), stubs.reported.count("yielded")) == (2, 2)


def test_release_cancels_an_interrupted_report_of_a_yield() -> None:
    stubs = known_good(limits={"max_changes_per_stream": 1})
    stop(stubs)
    stubs.run(10 * MINUTE)
    stop(stubs)
    (message,) = stubs.sqs.queues[REMEDIATION].values()
    stubs.failing["Publish"] = [REFUSED]
    stubs.receive(message)
    stubs.clock.time += 2 * MINUTE
    stubs.receive(stubs.send({"release": {"stream": "orders"}}, REMEDIATION))
    stubs.run(HOUR)
    assert (len(stubs.starts), stubs.reported.count("yielded")) == (2, 0)


def test_changes_of_a_day_are_limited_even_if_the_owner_restores_now_and_then(
    stubs: GuardStubs,
) -> None:
    for _ in range(12):
        stop(stubs)
        stubs.run(5 * MINUTE)
        stubs.change("orders", None)
        stubs.handle(CHECK)
        stubs.change("orders")
        stubs.handle(CHECK)
        stubs.run(5 * MINUTE)
    assert len(stubs.starts) == 5


def test_guard_yields_once_though_the_stream_was_updating_in_between() -> None:
    stubs = known_good(limits={"max_changes_per_stream": 5})
    for _ in range(6):
        stop(stubs)
        stubs.run(5 * MINUTE)
    stubs.change("orders")
    stubs.handle(CHECK)
    stop(stubs)
    stubs.run(5 * MINUTE)
    assert stubs.reported.count("yielded") == 2  # by its own limit, and by that of the day
    stubs.change("orders", None, "UPDATING")
    stubs.send(CHECK)
    stubs.run(MINUTE)
    stubs.change("orders", None)
    stubs.run(HOUR)
    assert (len(stubs.starts), stubs.reported.count("yielded")) == (5, 2)


def test_circuit_breaker_opens_and_only_an_operator_releases_it() -> None:
    names = [f"s{number}" for number in range(4)]
    stubs = known_good(*names, limits={"max_streams_per_hour": 2})
    for name in names:
        stop(stubs, name)
    stubs.run(5 * MINUTE)
    assert len(stubs.starts) == 2
    assert stubs.reported.count("circuit breaker opened") == 1
    (opened,) = [each for each in stubs.notifications if "halted" in each.subject]
    assert '{"release": {}} to ' + REMEDIATION in opened.lines["Remedy"]
    stubs.run(DAY / 2)
    for name in names:
        stubs.handle({"check": name, "exempt": None})
    stubs.run(HOUR)
    assert len(stubs.starts) == 2
    stubs.send({"release": {}}, REMEDIATION)
    stubs.run(2 * HOUR)
    assert len(stubs.starts) == 4


def test_circuit_breaker_counts_the_streams_of_an_hour() -> None:
    names = ["s0", "s1", "s2"]
    stubs = known_good(*names, limits={"max_streams_per_hour": 1})
    for name in names:
        stop(stubs, name)
        stubs.run(HOUR + MINUTE)
    assert [name for _, name, _ in stubs.starts] == names


@pytest.mark.parametrize("crashes", [False, True])
def test_open_circuit_breaker_is_reported_once_unless_the_report_is_interrupted(
    crashes: bool,
) -> None:
    stubs = known_good("s0", "s1", limits={"max_streams_per_hour": 1})
    stop(stubs, "s0")
    stubs.run(10 * MINUTE)
    stop(stubs, "s1")
    (body,) = remediations(stubs)
    parallel = partial(stubs.send, body, REMEDIATION)
    stubs.after["Publish"] = [crash] if crashes else [lambda: stubs.receive(parallel())]
    with pytest.raises(Crash) if crashes else nullcontext():
        stubs.run(MINUTE)
    stubs.change("s1")
    stubs.handle({"check": "s1", "exempt": None})
    stubs.run(HOUR)
    assert stubs.reported.count("circuit breaker opened") == 1 + crashes
    assert ([name for _, name, _ in stubs.starts], stubs.dead) == (["s0"], [])


def test_failure_is_reported_and_retried_after_an_hour_and_thrice(stubs: GuardStubs) -> None:
    disabled = ServiceError("KMSDisabledException", "it is disabled")
    stubs.failing["StartStreamEncryption"] = [disabled] * 1000
    stop(stubs)
    failed, counts = [], []
    for _ in range(20):
        stubs.run(HOUR / 2 - MINUTE)
        failed = [each for each in stubs.notifications if each.state == "failed"]
        counts.append(len(failed))
        stubs.handle(CHECK)
    assert counts == [1, 1, 1, 2, 2, 2, 3, 3, 3, *[4] * 11]
    assert "it is disabled" in failed[0].lines["Reason"]
    assert record(stubs)["remediations"] == "0"


def test_failure_is_not_retried_earlier_because_the_stream_was_updating(stubs: GuardStubs) -> None:
    """As when shards are split."""
    disabled = ServiceError("KMSDisabledException", "it is disabled")
    stubs.failing["StartStreamEncryption"] = [disabled] * 1000
    stop(stubs)
    for _ in range(8):
        stubs.run(5 * MINUTE)
        stubs.change("orders", None, "UPDATING")
        stubs.send(CHECK)
        stubs.run(20)
        stubs.change("orders", None)
    assert stubs.reported.count("failed") == 1


def test_spent_quota_is_reported(stubs: GuardStubs) -> None:
    stop(stubs)
    spent = ServiceError("LimitExceededException", "Rate exceeded for stream orders.")
    stubs.failing["StartStreamEncryption"] = [spent] * 100
    stubs.run(MINUTE)
    assert stubs.reported == ["unencrypted", "failed"]
    assert stubs.notifications[1].lines["Reason"].startswith("LIMIT_EXCEEDED: ")


def test_throttled_descriptions_delay_the_change_only(stubs: GuardStubs) -> None:
    """Two at once are all that other callers leave of the account's quota."""
    stop(stubs)
    tokens, last, real = 2.0, stubs.clock.now(), stubs._describe

    def describe(name: str) -> dict[str, Any]:
        nonlocal tokens, last
        now = stubs.clock.now()
        tokens, last = min(2.0, tokens + 2 * (now - last)), now
        if tokens < 1:
            raise ServiceError("LimitExceededException", "Rate exceeded for account 1.")
        tokens -= 1
        return real(name)

    stubs._describe = describe  # type: ignore[method-assign]
    stubs.run(HOUR)
    assert (len(stubs.starts), stubs.dead) == (1, [])


def test_failing_verification_does_not_multiply_messages(stubs: GuardStubs) -> None:
    stop(stubs)
    real, calls = stubs.stack.serve, itertools.count()

    def serve(*args: Any) -> dict[str, Any]:
        if next(calls) % 2:
            raise ServiceError("Throttling", "Rate exceeded")
        return real(*args)

    stubs.stack.serve = serve  # type: ignore[assignment, method-assign]
    sent = stubs.sqs.sent
    stubs.run(HOUR / 2)
    assert (stubs.starts, stubs.sqs.sent) == ([], sent)


@pytest.mark.parametrize("operation", ["DescribeKey", "StartStreamEncryption"])
def test_outage_of_the_topic_does_not_multiply_messages(stubs: GuardStubs, operation: str) -> None:
    stop(stubs)
    stubs.after[operation] = [crash]
    with pytest.raises(Crash):
        stubs.run(MINUTE)
    stubs.failing["Publish"], sent = [REFUSED] * 1000, stubs.sqs.sent
    stubs.run(50 * MINUTE)
    assert stubs.sqs.sent - sent < 5


def test_end_of_a_drift_is_reported_after_a_long_outage_of_the_topic(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.failing["Publish"] = [REFUSED] * 1000
    stubs.run(2 * HOUR)
    stubs.failing.clear()
    for _ in range(3):
        stubs.send(SCAN)
        stubs.run(HOUR)
    assert stubs.reported == ["unencrypted", "compliant"]


def test_next_drift_is_notified_after_an_outage_of_the_topic(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.failing["Publish"] = [REFUSED] * 1000
    stubs.run(MINUTE)
    stubs.handle(CHECK)
    stubs.failing.clear()
    stubs.run(5 * MINUTE)
    stop(stubs)
    stubs.run(5 * MINUTE)
    assert stubs.reported.count("unencrypted") == 2


def test_long_change_is_reported_though_its_message_is_given_up(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.stack.status = "UPDATE_IN_PROGRESS"
    stubs.run(30 * MINUTE)
    stubs.stack.status = "UPDATE_COMPLETE"
    stubs.after["StartStreamEncryption"] = [lambda: stubs.change("orders", KEY, "UPDATING")]
    stubs.run(40 * MINUTE)
    assert len(stubs.dead) == 1
    stubs.change("orders")
    stubs.run(HOUR)
    assert (len(stubs.starts), stubs.reported[-1]) == (1, "restored")


def test_change_that_outlasts_the_function_is_reported_once_it_is_done(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.after["StartStreamEncryption"] = [lambda: stubs.change("orders", KEY, "UPDATING")]
    stubs.run(8 * MINUTE)
    assert stubs.reported == ["unencrypted"]
    stubs.change("orders")
    stubs.run(8 * MINUTE)
    assert (len(stubs.starts), stubs.reported) == (1, ["unencrypted", "restored"])


def test_duplicates_change_a_stream_once(stubs: GuardStubs) -> None:
    stop(stubs)
    (body,) = remediations(stubs)
    for _ in range(3):
        stubs.send(body, REMEDIATION)
    stubs.run(HOUR)
    stubs.send(body, REMEDIATION)
    stubs.run(HOUR)
    assert len(stubs.starts) == 1
    assert stubs.reported == ["unencrypted", "restored"]


@pytest.mark.parametrize("operation", ["DescribeKey", "StartStreamEncryption"])
def test_duplicate_during_an_attempt_waits_for_its_end(stubs: GuardStubs, operation: str) -> None:
    stop(stubs)
    (body,) = remediations(stubs)
    stubs.after[operation] = [lambda: stubs.receive(stubs.send(body, REMEDIATION))]
    stubs.run(HOUR)
    assert len(stubs.starts) == 1
    assert stubs.reported == ["unencrypted", "restored"]


@pytest.mark.parametrize("operation", ["DescribeKey", "StartStreamEncryption"])
def test_release_waits_for_an_attempt(stubs: GuardStubs, operation: str) -> None:
    stop(stubs)
    release = partial(stubs.send, {"release": {"stream": "orders"}}, REMEDIATION)
    stubs.after[operation] = [lambda: stubs.receive(release())]
    stubs.run(MINUTE)
    assert (len(stubs.starts), stubs.reported) == (1, ["unencrypted", "restored"])
    assert record(stubs)["remediations"] == "1"
    stubs.run(HOUR)
    assert record(stubs)["remediations"] == "0"


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_another_caller_was_faster(stubs: GuardStubs, key: str) -> None:
    stop(stubs)
    stubs.after["DescribeStacks"] = [lambda: stubs.change("orders", key)]
    stubs.run(HOUR)
    assert (stubs.starts, stubs.reported) == ([], ["unencrypted"])
    assert (record(stubs)["remediations"], record(stubs)["claimed_until"]) == ("0", "0")


def test_lost_response_is_confirmed_from_the_described_state(stubs: GuardStubs) -> None:
    stop(stubs)
    real = stubs._start

    def start(name: str, key: str) -> dict[str, Any]:
        real(name, key)
        raise lost("StartStreamEncryption")

    stubs._start = start  # type: ignore[method-assign]
    stubs.run(HOUR)
    assert len(stubs.starts) == 1
    assert stubs.reported == ["unencrypted", "restored"]


@pytest.mark.parametrize("operation", ["StartStreamEncryption", "Publish"])
def test_crash_after_the_change_is_completed_later(stubs: GuardStubs, operation: str) -> None:
    stop(stubs)
    stubs.after[operation] = [crash]
    with pytest.raises(Crash):
        stubs.run(HOUR)
    stubs.run(2 * HOUR)
    assert len(stubs.starts) == 1
    # A crash after a report repeats it, as it may not have been published.
    assert stubs.reported == ["unencrypted", *["restored"] * (1 + (operation == "Publish"))]


def test_restored_is_recognized_by_the_key_id_alone(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.after["DescribeKey"] = [crash]
    with pytest.raises(Crash):
        stubs.run(HOUR)
    stubs.change("orders", KEY.rsplit("/", 1)[1])
    stubs.run(HOUR)
    assert "unconfirmed" not in stubs.reported


def test_crash_is_completed_though_a_duplicate_of_the_message_was_deleted(
    stubs: GuardStubs,
) -> None:
    stop(stubs)
    (message,) = stubs.sqs.queues[REMEDIATION].values()
    stubs.after["StartStreamEncryption"] = [crash]
    with pytest.raises(Crash):
        stubs.receive(message)
    stubs.sqs.delete(message)
    stubs.run(HOUR)
    assert (len(stubs.starts), stubs.reported) == (1, ["unencrypted", "restored"])


def test_crash_before_the_change_is_reported_and_the_stream_restored(stubs: GuardStubs) -> None:
    stop(stubs)
    stubs.after["DescribeKey"] = [crash]
    with pytest.raises(Crash):
        stubs.run(HOUR)
    stubs.run(2 * HOUR)
    assert len(stubs.starts) == 1
    assert stubs.reported == ["unencrypted", "unconfirmed", "restored"]
    assert record(stubs)["remediations"] == "2"


@pytest.mark.parametrize("operation", ["DescribeStacks", "ListTagsForStream", "GetItem"])
def test_what_cannot_be_verified_is_not_changed(operation: str) -> None:
    stubs = known_good(exempt_tag_key="exempt")
    stop(stubs)
    stubs.failing[operation] = [ServiceError("AccessDeniedException", "no")] * 5
    stubs.run(1)
    assert stubs.starts == []
    stubs.run(HOUR)
    assert len(stubs.starts) == 1


def test_message_of_the_other_queue_is_a_dead_letter(stubs: GuardStubs) -> None:
    stubs.handle({"remediate": {"stream": "orders", "drift": "now"}})
    stubs.receive(stubs.send(CHECK, REMEDIATION))
    assert [each.reason for each in stubs.dead] == [
        "malformed message: it is for the guard's other queue"
    ] * 2
