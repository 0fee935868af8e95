"""Checks: the described state decides what is reported, the stored state whether it is again."""

from __future__ import annotations

from typing import Any

import pytest

from simulated_aws.client import client_error
from simulated_aws.service import ServiceError, arn
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
from tests.unit.stubs import ACCOUNT, KEY, KEY_ID, OTHER_KEY

STOP, START = event("StopStreamEncryption"), event("StartStreamEncryption")
ALIAS = arn("kms", "alias/orders")


def test_stop_is_reported_immediately_with_caller_and_remedy(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    assert stubs.handle(STOP) is None
    (notification,) = stubs.notifications
    assert notification.when == stubs.clock.now()
    assert notification.subject == "Stream orders is unencrypted"
    assert notification.state == "unencrypted"
    assert notification.lines["Stream"] == arn("kinesis", "stream/orders")
    assert notification.lines["Observed key"] == "none"
    assert notification.lines["Desired key"] == KEY
    assert notification.lines["Changed by"] == ALICE
    assert notification.lines["Call"].startswith("StopStreamEncryption at 2026-11-01T11:59:30")
    assert "another revision" in notification.lines["Remedy"]
    assert (
        "aws kinesis start-stream-encryption --stream-name orders --encryption-type KMS"
        f" --key-id {KEY}"
    ) in notification.lines["Remedy"]
    row = stubs.table.row("orders")
    assert (row["state"], row["key"], row["caller"]) == ("unencrypted", "", ALICE)
    assert row["call"] == "StopStreamEncryption"
    assert row["created"] == "2026-10-31T12:00:00.000+00:00"
    assert row["since"] == row["checked"] == "2026-11-01T12:00:00.000+00:00"
    assert stubs.metric("Checks") == [1]


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (KEY, "compliant"),
        (KEY_ID, "compliant"),
        (OTHER_KEY, "other key"),
        (None, "unencrypted"),
        (ALIAS, "compliant"),
        ("alias/orders", "compliant"),
        ("alias/others", "other key"),
        ("alias/unknown", "unknown"),
        ("alias/denied", "unknown"),
        (ALIAS.replace(ACCOUNT, "999999999999"), "other key"),
    ],
)
def test_described_state_decides(stubs: GuardStubs, found: str | None, state: str) -> None:
    stubs.aliases = {
        ALIAS: KEY,
        arn("kms", "alias/others"): OTHER_KEY,
        arn("kms", "alias/denied"): ServiceError("AccessDeniedException", "no"),
    }
    stubs.add("orders", key=found)
    stubs.handle(SCAN)
    stubs.run()
    assert stubs.state("orders") == state
    assert stubs.reported == ([state] if state in {"unencrypted", "other key"} else [])


@pytest.mark.parametrize("code", ["AccessDeniedException", "NotFoundException"])
def test_alias_that_can_no_longer_be_resolved_does_not_end_drift(
    stubs: GuardStubs, code: str
) -> None:
    stubs.aliases = {ALIAS: OTHER_KEY}
    stubs.add("orders", key=ALIAS)
    stubs.send(SCAN)
    stubs.run(HOUR)
    assert stubs.state("orders") == "other key"
    stubs.aliases = {ALIAS: ServiceError(code, "no")}
    stubs.handle(START)
    assert stubs.state("orders") == "other key"
    assert stubs.reported == ["other key"]


def test_desired_alias_that_does_not_exist_is_a_dead_letter_with_the_reason() -> None:
    """Without it nothing can be evaluated, and nothing would be reported."""
    stubs = GuardStubs(key="alias/typo")
    stubs.add("orders", key=OTHER_KEY)
    stubs.send(START)
    stubs.run(MINUTE)
    (dead,) = stubs.dead
    assert dead.reason == f"the desired key {arn('kms', 'alias/typo')} does not exist"
    assert stubs.metric("DeadLetters") == [1]


def test_desired_alias_may_propagate_for_some_seconds() -> None:
    stubs = GuardStubs(key="alias/new")
    stubs.add("orders", key=OTHER_KEY)
    message = stubs.send(START)
    stubs.run(10)
    stubs.aliases = {arn("kms", "alias/new"): OTHER_KEY}
    stubs.run(MINUTE)
    assert (stubs.state("orders"), stubs.dead) == ("compliant", [])
    assert message.receives > 1


def test_failed_describe_key_is_retried(stubs: GuardStubs) -> None:
    stubs.aliases = {ALIAS: ServiceError("ExpiredTokenException", "no")}
    stubs.add("orders", key=ALIAS)
    assert stubs.handle(START) is not None
    assert stubs.metric("Failures") == [1]
    stubs.aliases = {ALIAS: KEY}
    stubs.run()
    assert stubs.state("orders") == "compliant"


def test_without_a_desired_key_every_kms_key_is_compliant() -> None:
    stubs = GuardStubs(key=None)
    stubs.add("orders", key=OTHER_KEY)
    stubs.add("returns", key=None)
    stubs.handle(SCAN)
    stubs.run()
    assert (stubs.state("orders"), stubs.state("returns")) == ("compliant", "unencrypted")
    assert "DescribeKey" not in stubs.calls
    (notification,) = stubs.notifications
    assert notification.lines["Desired key"] == "any KMS key"
    assert notification.lines["Remedy"].endswith("--key-id alias/aws/kinesis")


def test_event_does_not_decide(stubs: GuardStubs) -> None:
    stubs.add("orders")
    assert stubs.handle(STOP) is None
    assert stubs.notifications == []
    assert stubs.state("orders") == "compliant"


@pytest.mark.parametrize(
    "parameters",
    [
        {"streamName": "orders"},
        {"streamARN": arn("kinesis", "stream/orders")},
        {"streamName": None, "streamARN": arn("kinesis", "stream/orders")},
        {"resourceARN": arn("kinesis", "stream/orders/consumer/one:1")},
    ],
)
def test_event_names_the_stream_in_any_form(stubs: GuardStubs, parameters: dict[str, Any]) -> None:
    stubs.add("orders", key=None)
    stubs.handle(event("StopStreamEncryption", parameters=parameters))
    assert stubs.notifications[0].stream == "orders"


@pytest.mark.parametrize("name", [None, "elsewhere"])
def test_event_of_another_stream_is_dropped(name: str | None) -> None:
    stubs = GuardStubs(names=["orders"])
    assert stubs.handle(event("StopStreamEncryption", name)) is None
    assert stubs.calls == []


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/bob"}, "arn:aws:iam::1:user/bob"),
        (
            {"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"},
            "cloudformation.amazonaws.com",
        ),
        ({"type": "Unknown", "principalId": "AIDA"}, "AIDA"),
        ({"type": "Unknown"}, "Unknown"),
        (None, "unknown"),
    ],
)
def test_caller_is_named_by_the_best_attribute_of_the_event(
    stubs: GuardStubs, identity: dict[str, str] | None, shown: str
) -> None:
    stubs.add("orders", key=None)
    stop = event("StopStreamEncryption")
    stop["detail"]["userIdentity"] = identity
    stubs.handle(stop)
    assert stubs.notifications[0].lines["Changed by"] == shown


def test_event_without_parameters_names_no_stream(stubs: GuardStubs) -> None:
    stop = event("StopStreamEncryption")
    del stop["detail"]["requestParameters"]
    assert stubs.handle(stop) is None
    assert (stubs.calls, stubs.dead) == ([], [])


def test_repeated_and_late_events_are_not_reported_again(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    for _ in range(3):
        stubs.handle(STOP)
    stubs.clock.sleep(2 * HOUR)
    stubs.handle(STOP)
    stubs.handle(SCAN)
    stubs.run()
    assert len(stubs.notifications) == 1


def test_end_of_drift_is_reported_once_and_the_next_drift_again(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    stubs.change("orders", KEY)
    for _ in range(2):
        stubs.handle(event("StartStreamEncryption", caller="bob"))
    stubs.change("orders", None)
    stubs.handle(STOP)
    assert stubs.reported == ["unencrypted", "compliant", "unencrypted"]
    assert stubs.notifications[1].subject == "Stream orders is compliant again"
    assert stubs.notifications[1].lines["Changed by"] == "bob"
    assert stubs.notifications[1].lines["Last notified"].startswith("unencrypted")


def test_start_with_another_key_is_reported_after_the_grace_period(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stubs.handle(SCAN)
    stubs.run()
    stubs.change("orders", OTHER_KEY)
    began = stubs.clock.now()
    parameters = {"streamName": "orders", "keyId": OTHER_KEY}
    stubs.send(event("StartStreamEncryption", parameters=parameters, now=began))
    stubs.run(9 * MINUTE)
    assert stubs.notifications == []
    assert stubs.state("orders") == "other key"
    stubs.run(2 * MINUTE)
    (notification,) = stubs.notifications
    assert 600 <= notification.when - began <= 603
    assert (notification.lines["Observed key"], notification.lines["Changed by"]) == (
        OTHER_KEY,
        ALICE,
    )


def test_switch_that_is_undone_within_the_grace_period_is_not_reported(stubs: GuardStubs) -> None:
    stubs.add("orders", key=OTHER_KEY)
    stubs.send(START)
    stubs.run(9 * MINUTE)
    stubs.change("orders", KEY)
    stubs.run()
    assert stubs.notifications == []
    assert stubs.state("orders") == "compliant"


def test_stream_that_is_encrypted_after_its_creation_is_not_reported(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None, status="CREATING", age=1)
    stubs.send(event("CreateStream", age=1))
    stubs.run(20)
    assert stubs.state("orders") == ""
    stubs.change("orders", None)
    stubs.run(9 * MINUTE)
    assert stubs.state("orders") == "unencrypted"
    stubs.change("orders", KEY)
    stubs.run()
    assert stubs.notifications == []


def test_stream_that_stays_unencrypted_after_its_creation_is_reported(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None, status="CREATING", age=1)
    stubs.send(event("CreateStream", age=1))
    stubs.run(100)
    stubs.change("orders", None)
    active = stubs.clock.now()
    stubs.run()
    (notification,) = stubs.notifications
    assert 600 <= notification.when - active <= 660
    assert notification.lines["Call"].startswith("CreateStream")


def test_scan_waits_for_the_grace_period(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None, age=5)
    stubs.send(SCAN)
    stubs.run(9 * MINUTE)
    assert stubs.notifications == []
    stubs.change("orders", KEY)
    stubs.run()
    assert stubs.notifications == []


@pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
def test_stream_that_is_not_active_is_checked_again(stubs: GuardStubs, status: str) -> None:
    stubs.add("orders", key=KEY, status=status)
    stubs.send(STOP)
    stubs.run(200)
    assert stubs.notifications == []
    assert 10 < stubs.calls.count("DescribeStreamSummary") < 30
    stubs.change("orders", None)
    ready = stubs.clock.now()
    stubs.run()
    (notification,) = stubs.notifications
    assert notification.when - ready <= 61


def test_drift_that_begins_at_the_end_of_the_wait_is_reported(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None, status="UPDATING")
    stubs.send(START)
    stubs.run(55 * MINUTE)
    stubs.change("orders", OTHER_KEY)
    stubs.run()
    assert stubs.reported == ["other key"]
    assert stubs.dead == []


def test_slow_checks_do_not_exceed_the_receive_count(stubs: GuardStubs) -> None:
    """After a hundred receipts SQS moves a message to the dead-letter queue, without a reason."""
    stubs.add("orders", key=None)
    checks = 0

    def slow() -> None:
        nonlocal checks
        checks += 1
        stubs.clock.sleep(3.5)
        stubs.after["DescribeStreamSummary"] = [slow]

    stubs.after["DescribeStreamSummary"] = [slow]
    message = stubs.send(STOP)
    stubs.run()
    assert checks == message.receives < 100
    assert "a deployment may have ended" in stubs.dead[0].reason


def test_wait_for_a_stream_ends_after_an_hour(stubs: GuardStubs) -> None:
    stubs.add("orders", status="UPDATING")
    message = stubs.send(STOP)
    stubs.run()
    assert [dead.reason for dead in stubs.dead] == ["the stream is UPDATING"]
    assert stubs.dead[0].body == message.body
    assert message.receives < 100
    assert stubs.metric("DeadLetters") == [1]


def test_stop_that_is_not_visible_yet_is_checked_again(stubs: GuardStubs) -> None:
    stubs.add("orders", KEY)
    stubs.send(event("StopStreamEncryption", age=1))
    stubs.run(5)
    stubs.change("orders", None)
    stubs.run()
    (notification,) = stubs.notifications
    assert notification.state == "unencrypted"


def test_stop_during_a_change_is_reported_with_its_own_caller(stubs: GuardStubs) -> None:
    """Not with the caller who created the stream unencrypted and had it encrypted."""
    stubs.add("orders", key=None, age=60)
    assert stubs.handle(event("CreateStream", caller="terraform"))
    stubs.change("orders", key=None, status="UPDATING")
    assert stubs.handle({"check": "orders", "exempt": False})
    stubs.clock.time += HOUR
    stubs.change("orders", key=None)
    assert stubs.handle({"check": "orders", "exempt": False})
    assert stubs.notifications == []
    assert stubs.handle(event("StopStreamEncryption", now=stubs.clock.now())) is None
    (notification,) = stubs.notifications
    assert notification.lines["Changed by"] == ALICE


def test_resharding_keeps_the_caller() -> None:
    stubs = GuardStubs(topic=None)
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    stubs.change("orders", None, "UPDATING")
    stubs.handle({"check": "orders", "exempt": None})
    stubs.change("orders", None)
    stubs.handle({"check": "orders", "exempt": None})
    assert stubs.table.row("orders")["caller"] == ALICE


@pytest.mark.parametrize("call", ["AddTagsToStream", "UntagResource"])
def test_tag_change_is_not_reported_as_the_cause_of_a_key(call: str) -> None:
    stubs = GuardStubs(exempt_tag_key="exempt")
    stubs.add("orders", key=OTHER_KEY, tags={"team": "one"})
    parameters = {"streamName": "orders", "keyId": OTHER_KEY}
    stubs.send(event("StartStreamEncryption", parameters=parameters))
    stubs.run(MINUTE)
    stubs.send(event(call, caller="tagger", now=stubs.clock.now()))
    stubs.run()
    (notification,) = stubs.notifications
    assert notification.lines["Changed by"] == ALICE
    stubs.handle(event(call, caller="tagger", now=stubs.clock.now()))
    assert stubs.table.row("orders")["caller"] == ALICE


def test_earlier_call_does_not_replace_a_later_one(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    stubs.handle(event("StopStreamEncryption", age=HOUR, caller="bob"))
    assert stubs.table.row("orders")["caller"] == ALICE


def test_late_creation_of_a_previous_stream_is_not_reported_as_the_cause(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None, age=2 * MINUTE)
    stubs.send(event("CreateStream", age=HOUR))
    stubs.run()
    assert stubs.notifications[0].lines["Changed by"] == "unknown (no CloudTrail event received)"


def test_late_stop_of_a_previous_stream_does_not_skip_the_grace_period(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None, age=60)
    stubs.send(event("StopStreamEncryption", age=HOUR))
    stubs.run(8 * MINUTE)
    assert stubs.notifications == []
    stubs.run()
    assert stubs.notifications[0].lines["Changed by"] == "unknown (no CloudTrail event received)"


def test_stop_does_not_skip_the_grace_period_of_another_key(stubs: GuardStubs) -> None:
    stubs.add("orders", OTHER_KEY)
    stubs.send(STOP)
    stubs.run(8 * MINUTE)
    assert stubs.notifications == []


def test_call_with_another_key_than_observed_is_not_reported_as_the_cause(
    stubs: GuardStubs,
) -> None:
    stubs.add("orders", OTHER_KEY)
    parameters = {"streamName": "orders", "keyId": "alias/something"}
    stubs.send(event("StartStreamEncryption", parameters=parameters))
    stubs.run()
    assert stubs.notifications[0].lines["Changed by"] == "unknown (no CloudTrail event received)"


def test_recreated_stream_is_another_stream(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    stubs.clock.sleep(HOUR)
    stubs.add("orders", key=None, age=60)
    stubs.send(event("CreateStream", age=60, now=stubs.clock.now()))
    stubs.run()
    assert stubs.reported == ["unencrypted", "unencrypted"]
    first, second = (notification.lines["Last notified"] for notification in stubs.notifications)
    assert first == "nothing"
    assert "created 2026-10-31" in second


def test_deletion_ends_drift(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    stubs.change("orders", None, "DELETING")
    stubs.handle(event("DeleteStream", caller="bob"))
    assert stubs.state("orders") == "deleted"
    assert stubs.reported == ["unencrypted", "deleted"]
    assert stubs.notifications[1].lines["Changed by"] == "bob"
    assert float(stubs.table.row("orders")["expires"]) > stubs.clock.now()
    del stubs.streams["orders"]
    stubs.handle(event("DeleteStream"))
    assert len(stubs.notifications) == 2


def test_deletion_of_a_compliant_stream_is_not_reported(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stubs.handle(START)
    del stubs.streams["orders"]
    stubs.handle(event("DeleteStream"))
    assert (stubs.state("orders"), stubs.notifications) == ("deleted", [])


def test_deletion_of_an_unknown_stream_stores_nothing(stubs: GuardStubs) -> None:
    assert stubs.handle(event("DeleteStream")) is None
    assert stubs.table.items == {}


@pytest.mark.parametrize(
    ("status", "quiet"),
    [
        ("CREATE_COMPLETE", True),
        ("UPDATE_COMPLETE", True),
        ("UPDATE_ROLLBACK_COMPLETE", True),
        ("CREATE_IN_PROGRESS", False),
        ("UPDATE_IN_PROGRESS", False),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", False),
        ("UPDATE_ROLLBACK_IN_PROGRESS", False),
        ("UPDATE_ROLLBACK_FAILED", False),
        ("ROLLBACK_FAILED", False),
    ],
)
def test_nothing_is_reported_while_the_own_stack_is_in_progress_or_failed(
    stubs: GuardStubs, status: str, quiet: bool
) -> None:
    stubs.add("orders", key=None)
    stubs.stack.status = status
    comes_back = stubs.handle(STOP)
    assert (comes_back is None) == bool(stubs.notifications) == quiet
    assert stubs.state("orders") == "unencrypted"
    stubs.stack.status = "UPDATE_COMPLETE"
    stubs.run(61)
    assert len(stubs.notifications) == 1


def test_deployment_that_ends_during_a_slow_check_is_not_reported(stubs: GuardStubs) -> None:
    """The invocation may have read key and stream before its end."""
    stubs.add("orders", key=OTHER_KEY, age=DAY)
    stubs.send(START)
    stubs.run(5 * MINUTE)
    stubs.clock.sleep(HOUR)
    stubs.after["DescribeStreamSummary"] = [
        lambda: stubs.clock.sleep(20),
        lambda: stubs.change("orders", KEY),
    ]
    stubs.run()
    assert stubs.notifications == []


def test_drift_held_back_by_a_failed_stack_is_reported_by_a_later_scan(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.stack.status = "UPDATE_ROLLBACK_FAILED"
    stubs.send(STOP)
    stubs.run()
    assert stubs.notifications == []
    assert [dead.reason for dead in stubs.dead] == [
        "the guard's own stack is UPDATE_ROLLBACK_FAILED"
    ]
    stubs.stack.status = "UPDATE_ROLLBACK_COMPLETE"
    stubs.send(SCAN)
    stubs.run()
    (notification,) = stubs.notifications
    assert notification.lines["Changed by"] == ALICE


def test_key_switch_of_the_own_stack_is_not_reported(stubs: GuardStubs) -> None:
    stubs.add("orders")
    stubs.handle(START)
    stubs.stack.status = "UPDATE_IN_PROGRESS"
    stubs.change("orders", OTHER_KEY)
    stubs.send(event("StartStreamEncryption", now=stubs.clock.now()))
    stubs.run(30 * MINUTE)
    assert stubs.state("orders") == "other key"
    stubs.restart(key=OTHER_KEY)
    stubs.stack.status = "UPDATE_COMPLETE"
    stubs.run()
    assert (stubs.state("orders"), stubs.notifications) == ("compliant", [])


def test_exempt_stream_is_not_reported() -> None:
    stubs = GuardStubs(exempt_tag_key="exempt")
    stubs.add("orders", key=None, tags={"exempt": ""})
    stubs.handle(STOP)
    assert (stubs.state("orders"), stubs.notifications) == ("exempt", [])
    del stubs.tags["orders"]["exempt"]
    stubs.send(event("RemoveTagsFromStream"))
    stubs.run()
    assert stubs.reported == ["unencrypted"]


def test_exemption_of_a_guarded_stream_is_reported() -> None:
    stubs = GuardStubs(exempt_tag_key="exempt")
    stubs.add("orders")
    stubs.handle(START)
    stubs.tags["orders"] = {"exempt": "yes"}
    for _ in range(2):
        stubs.handle(event("AddTagsToStream"))
    (notification,) = stubs.notifications
    assert notification.subject == "Stream orders is exempt"
    assert notification.lines["Call"].startswith("AddTagsToStream")
    assert notification.lines["Remedy"] == "none, if this is intended"


def test_stream_that_lost_the_selecting_tag_is_exempt() -> None:
    stubs = GuardStubs(tag=["class", "pii"])
    stubs.add("orders", tags={"class": "pii"})
    stubs.add("others", key=None, tags={"class": "none"})
    for name in ("orders", "others"):
        stubs.handle(event("AddTagsToStream", name))
    assert list(stubs.table.items) == [arn("kinesis", "stream/orders")]
    stubs.tags["orders"] = {}
    stubs.handle(event("UntagResource"))
    assert stubs.reported == ["exempt"]
    assert stubs.state("orders") == "exempt"


@pytest.mark.parametrize("exempt", ["zebra", "aardvark"])
def test_exempting_tag_may_be_one_of_many(exempt: str) -> None:
    """In two pages, whatever their order."""
    names = ["zoo", *(f"tag-{number:02}" for number in range(60)), exempt]
    stubs = GuardStubs(exempt_tag_key=exempt)
    stubs.add("orders", key=None)
    pages = iter([dict.fromkeys(names, "")] * 2)
    stubs.lists.tags = lambda _: next(pages)
    stubs.handle(STOP)
    assert (stubs.state("orders"), stubs.notifications) == ("exempt", [])


def test_tags_are_not_read_unless_they_decide(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    assert "ListTagsForStream" not in stubs.calls


def test_without_a_topic_the_finding_is_stored() -> None:
    stubs = GuardStubs(topic=None)
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    assert (stubs.state("orders"), stubs.notifications) == ("unencrypted", [])
    assert stubs.table.row("orders")["notifying_since"] == ""


@pytest.mark.parametrize(
    ("operation", "errors"),
    [
        ("Publish", [ServiceError("InternalError", "busy", 500)]),
        ("DescribeStreamSummary", [KeyError("StreamStatus"), RuntimeError("bug")]),
        *(
            (operation, [lost(operation)])
            for operation in ("GetItem", "PutItem", "DescribeStreamSummary", "Publish")
        ),
    ],
)
def test_failed_call_is_retried(stubs: GuardStubs, operation: str, errors: list[Exception]) -> None:
    stubs.add("orders", key=None)
    stubs.failing[operation] = [*errors]
    stubs.send(STOP)
    stubs.run(5 * MINUTE)
    assert len(stubs.notifications) == 1
    assert stubs.metric("Failures") == [1 for _ in errors]


def test_notification_survives_a_topic_that_rejects_it(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.failing["Publish"] = [ServiceError("AuthorizationError", "no") for _ in range(99)]
    stubs.send(STOP)
    stubs.run()
    assert stubs.notifications == []
    (dead,) = stubs.dead
    assert dead.reason.endswith("AuthorizationError) when calling the Publish operation: no") or (
        "another invocation is publishing" in dead.reason
    )
    stubs.failing.clear()
    stubs.handle(SCAN)
    stubs.run()
    assert len(stubs.notifications) == 1


def test_deletion_that_could_not_be_reported_is_reported_by_a_scan(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    stubs.failing["Publish"] = [ServiceError("AuthorizationError", "no") for _ in range(99)]
    del stubs.streams["orders"]
    stubs.send(event("DeleteStream"))
    stubs.run()
    assert len(stubs.dead) == 1
    stubs.failing.clear()
    stubs.handle(SCAN)
    stubs.run()
    assert stubs.reported == ["unencrypted", "deleted"]


def killed_after_the_notification(stubs: GuardStubs) -> None:
    stubs.after["Publish"] = [crash]
    with pytest.raises(Crash):
        stubs.receive(stubs.send(STOP))


def test_crash_after_the_notification_repeats_it(stubs: GuardStubs) -> None:
    """At least once: it is unknown whether it was published before the crash."""
    stubs.add("orders", key=None)
    killed_after_the_notification(stubs)
    assert stubs.handle(STOP) is not None, "another invocation may be publishing"
    stubs.run()
    assert len(stubs.notifications) == 2
    stubs.handle(STOP)
    assert len(stubs.notifications) == 2


def test_end_of_drift_is_reported_after_a_crash(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    killed_after_the_notification(stubs)
    stubs.change("orders", KEY)
    stubs.run()
    assert stubs.reported == ["unencrypted", "compliant"]
    assert stubs.notifications[-1].lines["Last notified"] == "nothing", "as far as the table shows"
    assert stubs.table.row("orders")["notifying_since"] == ""


def test_rejected_publish_does_not_hide_a_crash(stubs: GuardStubs) -> None:
    """The notification of the crashed invocation may have been published."""
    stubs.add("orders", key=None)
    killed_after_the_notification(stubs)
    stubs.failing["Publish"] = [ServiceError("AuthorizationError", "no")]
    stubs.clock.time += 2 * MINUTE
    assert stubs.handle(STOP) is not None
    stubs.change("orders", KEY)
    stubs.run()
    assert stubs.reported == ["unencrypted", "compliant"]


def test_lost_response_followed_by_an_error_counts_as_maybe_published(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    refused = client_error(ServiceError("Throttled", "Rate exceeded"), "Publish")
    refused.response["ResponseMetadata"]["RetryAttempts"] = 1

    def refuse() -> None:
        raise refused

    stubs.after["Publish"] = [refuse]
    assert stubs.handle(STOP) is not None
    stubs.change("orders", KEY)
    stubs.run()
    assert stubs.reported == ["unencrypted", "compliant"]


def test_notification_survives_a_crash_before_it(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None)
    stubs.after["PutItem"] = [lambda: stubs.after.update(PutItem=[crash])]
    with pytest.raises(Crash):
        stubs.receive(stubs.send(STOP))
    assert stubs.table.row("orders")["notifying_since"]
    stubs.run()
    assert len(stubs.notifications) == 1


def test_check_between_describe_and_write_of_another_wins(stubs: GuardStubs) -> None:
    """The later of two descriptions decides, in whichever order they are written."""
    stubs.add("orders", key=None)
    stubs.after["DescribeStreamSummary"] = [
        lambda: stubs.change("orders", KEY),
        lambda: stubs.handle(START),
    ]
    stubs.send(STOP)
    stubs.run(10)
    assert (stubs.state("orders"), stubs.notifications) == ("compliant", [])


def test_conflicting_check_is_retried_soon(stubs: GuardStubs) -> None:
    stubs.add("orders", key=None, status="UPDATING")
    message = stubs.send(STOP)
    stubs.run(20 * MINUTE)
    stubs.change("orders", None)
    stubs.clock.time = message.visible
    stubs.after["DescribeStreamSummary"] = [
        lambda: stubs.handle({"check": "orders", "exempt": None})
    ]
    assert stubs.receive(message) == pytest.approx(3)
    stubs.run(5)
    assert stubs.reported == ["unencrypted"]


def test_item_of_another_format_is_ignored_and_overwritten(stubs: GuardStubs) -> None:
    """A previous or a later version of the guard wrote it."""
    stubs.add("orders", key=None)
    stubs.handle(STOP)
    (item,) = stubs.table.items.values()
    item |= {"format_version": {"N": "0"}, "state": {"S": "unheard of"}}
    stubs.send(SCAN)
    stubs.run()
    assert stubs.state("orders") == "unencrypted"
    assert stubs.table.row("orders")["format_version"] == "2"
    assert len(stubs.notifications) == 2


@pytest.mark.parametrize(
    "body", ["", "[]", "7", "null", "{}", '{"check": "x"}', '{"scan": {"x": 1}}', '{"detail": {}}']
)
def test_malformed_message_is_a_dead_letter_immediately(stubs: GuardStubs, body: str) -> None:
    assert stubs.handle(body) is None
    (dead,) = stubs.dead
    assert dead.body == body
    assert dead.reason.startswith("malformed message: ")
    assert stubs.metric("DeadLetters") == [1]


def test_message_that_cannot_be_moved_stays_in_the_queue(stubs: GuardStubs) -> None:
    stubs.failing["SendMessage"] = [ServiceError("AccessDenied", "no")]
    assert stubs.handle("nonsense") == 120
    assert stubs.dead == []


def test_message_is_retried_after_the_visibility_timeout_if_it_cannot_be_changed(
    stubs: GuardStubs,
) -> None:
    stubs.add("orders", status="UPDATING")
    stubs.failing["ChangeMessageVisibility"] = [ServiceError("AccessDenied", "no")]
    assert stubs.handle(STOP) == 120


def test_long_stream_name_fits_a_subject(stubs: GuardStubs) -> None:
    name = "o" * 128
    stubs.add(name, key=None)
    stubs.handle(event("StopStreamEncryption", name))
    assert len(stubs.notifications[0].subject) == 100


def test_checks_only_read() -> None:
    """The fakes refuse everything else; a day of all kinds of events is one more proof."""
    stubs = GuardStubs(exempt_tag_key="exempt")
    stubs.add("orders", key=None)
    for call in ("Start", "Stop"):
        stubs.handle(event(f"{call}StreamEncryption"))
    stubs.run(DAY)
    assert not any(call.endswith("StreamEncryption") for call in stubs.calls)
