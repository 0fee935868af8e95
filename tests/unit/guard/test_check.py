"""Checks: the described state decides what is reported, the stored state whether it is again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.guard.services import client_error
from tests.simulation.service import ServiceError, arn
from tests.unit.guard.world import ALICE, DAY, HOUR, MINUTE, SCAN, World, event, lost
from tests.unit.stubs import ACCOUNT, KEY, KEY_ID, OTHER_KEY

STOP, START = event("StopStreamEncryption"), event("StartStreamEncryption")
ALIAS = arn("kms", "alias/orders")


def test_stop_is_reported_immediately_with_caller_and_remedy() -> None:
    world = World()
    world.add("orders", key=None)
    assert world.handle(STOP) is None
    (notification,) = world.notifications
    assert notification.when == world.clock.now()
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
    row = world.table.row("orders")
    assert (row["state"], row["key"], row["caller"]) == ("unencrypted", "", ALICE)
    assert row["call"] == "StopStreamEncryption"
    assert row["created"] == "2026-10-31T12:00:00.000+00:00"
    assert row["since"] == row["checked"] == "2026-11-01T12:00:00.000+00:00"
    assert world.metric("Checks") == [1]


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
def test_described_state_decides(found: str | None, state: str) -> None:
    world = World()
    world.aliases = {
        ALIAS: KEY,
        arn("kms", "alias/others"): OTHER_KEY,
        arn("kms", "alias/denied"): ServiceError("AccessDeniedException", "no"),
    }
    world.add("orders", key=found)
    world.handle(SCAN)
    world.run()
    assert world.state("orders") == state
    assert [notification.state for notification in world.notifications] == (
        [state] if state in {"unencrypted", "other key"} else []
    )


@pytest.mark.parametrize("code", ["AccessDeniedException", "NotFoundException"])
def test_alias_that_can_no_longer_be_resolved_does_not_end_drift(code: str) -> None:
    world = World()
    world.aliases = {ALIAS: OTHER_KEY}
    world.add("orders", key=ALIAS)
    world.send(SCAN)
    world.run(HOUR)
    assert world.state("orders") == "other key"
    world.aliases = {ALIAS: ServiceError(code, "no")}
    world.handle(START)
    assert world.state("orders") == "other key"
    assert [notification.state for notification in world.notifications] == ["other key"]


def test_desired_alias_that_does_not_exist_is_a_dead_letter_with_the_reason() -> None:
    """Without it nothing can be evaluated, and nothing would be reported."""
    world = World(key="alias/typo")
    world.add("orders", key=OTHER_KEY)
    world.send(START)
    world.run(MINUTE)
    (dead,) = world.dead
    assert dead.reason == f"the desired key {arn('kms', 'alias/typo')} does not exist"
    assert world.metric("DeadLetters") == [1]


def test_desired_alias_may_propagate_for_some_seconds() -> None:
    world = World(key="alias/new")
    world.add("orders", key=OTHER_KEY)
    message = world.send(START)
    world.run(10)
    world.aliases = {arn("kms", "alias/new"): OTHER_KEY}
    world.run(MINUTE)
    assert (world.state("orders"), world.dead) == ("compliant", [])
    assert message.receives > 1


def test_failed_describe_key_is_retried() -> None:
    world = World()
    world.aliases = {ALIAS: ServiceError("ExpiredTokenException", "no")}
    world.add("orders", key=ALIAS)
    assert world.handle(START) is not None
    assert world.metric("Failures") == [1]
    world.aliases = {ALIAS: KEY}
    world.run()
    assert world.state("orders") == "compliant"


def test_without_a_desired_key_every_kms_key_is_compliant() -> None:
    world = World(key=None)
    world.add("orders", key=OTHER_KEY)
    world.add("returns", key=None)
    world.handle(SCAN)
    world.run()
    assert (world.state("orders"), world.state("returns")) == ("compliant", "unencrypted")
    assert "DescribeKey" not in world.calls
    (notification,) = world.notifications
    assert notification.lines["Desired key"] == "any KMS key"
    assert notification.lines["Remedy"].endswith("--key-id alias/aws/kinesis")


def test_event_does_not_decide() -> None:
    world = World()
    world.add("orders")
    assert world.handle(STOP) is None
    assert world.notifications == []
    assert world.state("orders") == "compliant"


@pytest.mark.parametrize(
    "parameters",
    [
        {"streamName": "orders"},
        {"streamARN": arn("kinesis", "stream/orders")},
        {"streamName": None, "streamARN": arn("kinesis", "stream/orders")},
        {"resourceARN": arn("kinesis", "stream/orders/consumer/one:1")},
    ],
)
def test_event_names_the_stream_in_any_form(parameters: dict[str, Any]) -> None:
    world = World()
    world.add("orders", key=None)
    world.handle(event("StopStreamEncryption", parameters=parameters))
    assert world.notifications[0].stream == "orders"


@pytest.mark.parametrize("name", [None, "elsewhere"])
def test_event_of_another_stream_is_dropped(name: str | None) -> None:
    world = World(names=["orders"])
    assert world.handle(event("StopStreamEncryption", name)) is None
    assert world.calls == []


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
    ],
)
def test_caller_is_named_by_the_best_attribute_of_the_event(
    identity: dict[str, str], shown: str
) -> None:
    world = World()
    world.add("orders", key=None)
    stop = event("StopStreamEncryption")
    stop["detail"]["userIdentity"] = identity
    world.handle(stop)
    assert world.notifications[0].lines["Changed by"] == shown


def test_repeated_and_late_events_are_not_reported_again() -> None:
    world = World()
    world.add("orders", key=None)
    for _ in range(3):
        world.handle(STOP)
    world.clock.sleep(2 * HOUR)
    world.handle(STOP)
    world.handle(SCAN)
    world.run()
    assert len(world.notifications) == 1


def test_end_of_drift_is_reported_once_and_the_next_drift_again() -> None:
    world = World()
    world.add("orders", key=None)
    world.handle(STOP)
    world.change("orders", KEY)
    for _ in range(2):
        world.handle(event("StartStreamEncryption", caller="bob"))
    world.change("orders", None)
    world.handle(STOP)
    assert [notification.state for notification in world.notifications] == [
        "unencrypted",
        "compliant",
        "unencrypted",
    ]
    assert world.notifications[1].subject == "Stream orders is compliant again"
    assert world.notifications[1].lines["Changed by"] == "bob"
    assert world.notifications[1].lines["Last notified"].startswith("unencrypted")


def test_start_with_another_key_is_reported_after_the_grace_period() -> None:
    world = World()
    world.add("orders")
    world.handle(SCAN)
    world.run()
    world.change("orders", OTHER_KEY)
    began = world.clock.now()
    parameters = {"streamName": "orders", "keyId": OTHER_KEY}
    world.send(event("StartStreamEncryption", parameters=parameters, now=began))
    world.run(9 * MINUTE)
    assert world.notifications == []
    assert world.state("orders") == "other key"
    world.run(2 * MINUTE)
    (notification,) = world.notifications
    assert 600 <= notification.when - began <= 603
    assert (notification.lines["Observed key"], notification.lines["Changed by"]) == (
        OTHER_KEY,
        ALICE,
    )


def test_switch_that_is_undone_within_the_grace_period_is_not_reported() -> None:
    world = World()
    world.add("orders", key=OTHER_KEY)
    world.send(START)
    world.run(9 * MINUTE)
    world.change("orders", KEY)
    world.run()
    assert world.notifications == []
    assert world.state("orders") == "compliant"


def test_stream_that_is_encrypted_after_its_creation_is_not_reported() -> None:
    world = World()
    world.add("orders", key=None, status="CREATING", age=1)
    world.send(event("CreateStream", age=1))
    world.run(20)
    assert world.state("orders") == ""
    world.change("orders", None)
    world.run(9 * MINUTE)
    assert world.state("orders") == "unencrypted"
    world.change("orders", KEY)
    world.run()
    assert world.notifications == []


def test_stream_that_stays_unencrypted_after_its_creation_is_reported() -> None:
    world = World()
    world.add("orders", key=None, status="CREATING", age=1)
    world.send(event("CreateStream", age=1))
    world.run(100)
    world.change("orders", None)
    active = world.clock.now()
    world.run()
    (notification,) = world.notifications
    assert 600 <= notification.when - active <= 660
    assert notification.lines["Call"].startswith("CreateStream")


def test_scan_waits_for_the_grace_period() -> None:
    world = World()
    world.add("orders", key=None, age=5)
    world.send(SCAN)
    world.run(9 * MINUTE)
    assert world.notifications == []
    world.change("orders", KEY)
    world.run()
    assert world.notifications == []


@pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
def test_stream_that_is_not_active_is_checked_again(status: str) -> None:
    world = World()
    world.add("orders", key=KEY, status=status)
    world.send(STOP)
    world.run(200)
    assert world.notifications == []
    assert 10 < world.calls.count("DescribeStreamSummary") < 30
    world.change("orders", None)
    ready = world.clock.now()
    world.run()
    (notification,) = world.notifications
    assert notification.when - ready <= 61


def test_drift_that_begins_at_the_end_of_the_wait_is_reported() -> None:
    world = World()
    world.add("orders", key=None, status="UPDATING")
    world.send(START)
    world.run(55 * MINUTE)
    world.change("orders", OTHER_KEY)
    world.run()
    assert [notification.state for notification in world.notifications] == ["other key"]
    assert world.dead == []


def test_slow_checks_do_not_exceed_the_receive_count() -> None:
    """After a hundred receipts SQS moves a message to the dead-letter queue, without a reason."""
    world = World()
    world.add("orders", key=None)
    checks = 0

    def slow() -> None:
        nonlocal checks
        checks += 1
        world.clock.sleep(3.5)
        world.after["DescribeStreamSummary"] = [slow]

    world.after["DescribeStreamSummary"] = [slow]
    message = world.send(STOP)
    world.run()
    assert checks == message.receives < 100
    assert "a deployment may have ended" in world.dead[0].reason


def test_wait_for_a_stream_ends_after_an_hour() -> None:
    world = World()
    world.add("orders", status="UPDATING")
    message = world.send(STOP)
    world.run()
    assert [dead.reason for dead in world.dead] == ["the stream is UPDATING"]
    assert world.dead[0].body == message.body
    assert message.receives < 100
    assert world.metric("DeadLetters") == [1]


def test_stop_that_is_not_visible_yet_is_checked_again() -> None:
    world = World()
    world.add("orders", KEY)
    world.send(event("StopStreamEncryption", age=1))
    world.run(5)
    world.change("orders", None)
    world.run()
    (notification,) = world.notifications
    assert notification.state == "unencrypted"


def test_stop_during_a_change_is_reported_with_its_own_caller() -> None:
    """Not with the caller who created the stream unencrypted and had it encrypted."""
    world = World()
    world.add("orders", key=None, age=60)
    assert world.handle(event("CreateStream", caller="terraform"))
    world.change("orders", key=None, status="UPDATING")
    assert world.handle({"check": "orders", "exempt": False})
    world.clock.time += HOUR
    world.change("orders", key=None)
    assert world.handle({"check": "orders", "exempt": False})
    assert world.notifications == []
    assert world.handle(event("StopStreamEncryption", now=world.clock.now())) is None
    (notification,) = world.notifications
    assert notification.lines["Changed by"] == ALICE


def test_resharding_keeps_the_caller() -> None:
    world = World(topic=None)
    world.add("orders", key=None)
    world.handle(STOP)
    world.change("orders", None, "UPDATING")
    world.handle({"check": "orders", "exempt": None})
    world.change("orders", None)
    world.handle({"check": "orders", "exempt": None})
    assert world.table.row("orders")["caller"] == ALICE


@pytest.mark.parametrize("call", ["AddTagsToStream", "UntagResource"])
def test_tag_change_is_not_reported_as_the_cause_of_a_key(call: str) -> None:
    world = World(exempt_tag_key="exempt")
    world.add("orders", key=OTHER_KEY, tags={"team": "one"})
    parameters = {"streamName": "orders", "keyId": OTHER_KEY}
    world.send(event("StartStreamEncryption", parameters=parameters))
    world.run(MINUTE)
    world.send(event(call, caller="tagger", now=world.clock.now()))
    world.run()
    (notification,) = world.notifications
    assert notification.lines["Changed by"] == ALICE
    world.handle(event(call, caller="tagger", now=world.clock.now()))
    assert world.table.row("orders")["caller"] == ALICE


def test_earlier_call_does_not_replace_a_later_one() -> None:
    world = World()
    world.add("orders", key=None)
    world.handle(STOP)
    world.handle(event("StopStreamEncryption", age=HOUR, caller="bob"))
    assert world.table.row("orders")["caller"] == ALICE


def test_late_creation_of_a_previous_stream_is_not_reported_as_the_cause() -> None:
    world = World()
    world.add("orders", key=None, age=2 * MINUTE)
    world.send(event("CreateStream", age=HOUR))
    world.run()
    assert world.notifications[0].lines["Changed by"] == "unknown (no CloudTrail event received)"


def test_late_stop_of_a_previous_stream_does_not_skip_the_grace_period() -> None:
    world = World()
    world.add("orders", key=None, age=60)
    world.send(event("StopStreamEncryption", age=HOUR))
    world.run(8 * MINUTE)
    assert world.notifications == []
    world.run()
    assert world.notifications[0].lines["Changed by"] == "unknown (no CloudTrail event received)"


def test_stop_does_not_skip_the_grace_period_of_another_key() -> None:
    world = World()
    world.add("orders", OTHER_KEY)
    world.send(STOP)
    world.run(8 * MINUTE)
    assert world.notifications == []


def test_call_with_another_key_than_observed_is_not_reported_as_the_cause() -> None:
    world = World()
    world.add("orders", OTHER_KEY)
    parameters = {"streamName": "orders", "keyId": "alias/something"}
    world.send(event("StartStreamEncryption", parameters=parameters))
    world.run()
    assert world.notifications[0].lines["Changed by"] == "unknown (no CloudTrail event received)"


def test_recreated_stream_is_another_stream() -> None:
    world = World()
    world.add("orders", key=None)
    world.handle(STOP)
    world.clock.sleep(HOUR)
    world.add("orders", key=None, age=60)
    world.send(event("CreateStream", age=60, now=world.clock.now()))
    world.run()
    assert [notification.state for notification in world.notifications] == [
        "unencrypted",
        "unencrypted",
    ]
    first, second = (notification.lines["Last notified"] for notification in world.notifications)
    assert first == "nothing"
    assert "created 2026-10-31" in second


def test_deletion_ends_drift() -> None:
    world = World()
    world.add("orders", key=None)
    world.handle(STOP)
    world.change("orders", None, "DELETING")
    world.handle(event("DeleteStream", caller="bob"))
    assert world.state("orders") == "deleted"
    assert [notification.state for notification in world.notifications] == [
        "unencrypted",
        "deleted",
    ]
    assert world.notifications[1].lines["Changed by"] == "bob"
    assert float(world.table.row("orders")["expires"]) > world.clock.now()
    del world.streams["orders"]
    world.handle(event("DeleteStream"))
    assert len(world.notifications) == 2


def test_deletion_of_a_compliant_stream_is_not_reported() -> None:
    world = World()
    world.add("orders")
    world.handle(START)
    del world.streams["orders"]
    world.handle(event("DeleteStream"))
    assert (world.state("orders"), world.notifications) == ("deleted", [])


def test_deletion_of_an_unknown_stream_stores_nothing() -> None:
    world = World()
    assert world.handle(event("DeleteStream")) is None
    assert world.table.items == {}


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
    status: str, quiet: bool
) -> None:
    world = World()
    world.add("orders", key=None)
    world.stack.status = status
    comes_back = world.handle(STOP)
    assert (comes_back is None) == bool(world.notifications) == quiet
    assert world.state("orders") == "unencrypted"
    world.stack.status = "UPDATE_COMPLETE"
    world.run(61)
    assert len(world.notifications) == 1


def test_deployment_that_ends_during_a_slow_check_is_not_reported() -> None:
    """The invocation may have read key and stream before its end."""
    world = World()
    world.add("orders", key=OTHER_KEY, age=DAY)
    world.send(START)
    world.run(5 * MINUTE)
    world.clock.sleep(HOUR)

    def meanwhile() -> None:
        world.clock.sleep(20)
        world.change("orders", KEY)

    world.after["DescribeStreamSummary"] = [meanwhile]
    world.run()
    assert world.notifications == []


def test_drift_held_back_by_a_failed_stack_is_reported_by_a_later_scan() -> None:
    world = World()
    world.add("orders", key=None)
    world.stack.status = "UPDATE_ROLLBACK_FAILED"
    world.send(STOP)
    world.run()
    assert world.notifications == []
    assert [dead.reason for dead in world.dead] == [
        "the guard's own stack is UPDATE_ROLLBACK_FAILED"
    ]
    world.stack.status = "UPDATE_ROLLBACK_COMPLETE"
    world.send(SCAN)
    world.run()
    (notification,) = world.notifications
    assert notification.lines["Changed by"] == ALICE


def test_key_switch_of_the_own_stack_is_not_reported() -> None:
    world = World()
    world.add("orders")
    world.handle(START)
    world.stack.status = "UPDATE_IN_PROGRESS"
    world.change("orders", OTHER_KEY)
    world.send(event("StartStreamEncryption", now=world.clock.now()))
    world.run(30 * MINUTE)
    assert world.state("orders") == "other key"
    world.restart(key=OTHER_KEY)
    world.stack.status = "UPDATE_COMPLETE"
    world.run()
    assert (world.state("orders"), world.notifications) == ("compliant", [])


def test_exempt_stream_is_not_reported() -> None:
    world = World(exempt_tag_key="exempt")
    world.add("orders", key=None, tags={"exempt": ""})
    world.handle(STOP)
    assert (world.state("orders"), world.notifications) == ("exempt", [])
    del world.tags["orders"]["exempt"]
    world.send(event("RemoveTagsFromStream"))
    world.run()
    assert [notification.state for notification in world.notifications] == ["unencrypted"]


def test_exemption_of_a_guarded_stream_is_reported() -> None:
    world = World(exempt_tag_key="exempt")
    world.add("orders")
    world.handle(START)
    world.tags["orders"] = {"exempt": "yes"}
    for _ in range(2):
        world.handle(event("AddTagsToStream"))
    (notification,) = world.notifications
    assert notification.subject == "Stream orders is exempt"
    assert notification.lines["Call"].startswith("AddTagsToStream")
    assert notification.lines["Remedy"] == "none, if this is intended"


def test_stream_that_lost_the_selecting_tag_is_exempt() -> None:
    world = World(tag=["class", "pii"])
    world.add("orders", tags={"class": "pii"})
    world.add("others", key=None, tags={"class": "none"})
    for name in ("orders", "others"):
        world.handle(event("AddTagsToStream", name))
    assert list(world.table.items) == [arn("kinesis", "stream/orders")]
    world.tags["orders"] = {}
    world.handle(event("UntagResource"))
    assert [notification.state for notification in world.notifications] == ["exempt"]
    assert world.state("orders") == "exempt"


def test_exempting_tag_may_be_one_of_many() -> None:
    world = World(exempt_tag_key="zebra")
    world.add("orders", key=None, tags={f"tag-{number:02}": "" for number in range(60)})
    world.tags["orders"]["zebra"] = ""
    world.handle(STOP)
    assert (world.state("orders"), world.notifications) == ("exempt", [])


def test_tags_are_not_read_unless_they_decide() -> None:
    world = World()
    world.add("orders", key=None)
    world.handle(STOP)
    assert "ListTagsForStream" not in world.calls


def test_without_a_topic_the_finding_is_stored() -> None:
    world = World(topic=None)
    world.add("orders", key=None)
    world.handle(STOP)
    assert (world.state("orders"), world.notifications) == ("unencrypted", [])
    assert world.table.row("orders")["notifying_since"] == ""


def test_failed_publish_is_retried() -> None:
    world = World()
    world.add("orders", key=None)
    world.failing["Publish"] = [ServiceError("InternalError", "busy", 500)]
    world.send(STOP)
    world.run(5 * MINUTE)
    assert len(world.notifications) == 1
    assert world.metric("Failures") == [1]


def test_notification_survives_a_topic_that_rejects_it() -> None:
    world = World()
    world.add("orders", key=None)
    world.failing["Publish"] = [ServiceError("AuthorizationError", "no") for _ in range(99)]
    world.send(STOP)
    world.run()
    assert world.notifications == []
    (dead,) = world.dead
    assert dead.reason.endswith("AuthorizationError) when calling the Publish operation: no") or (
        "another invocation is publishing" in dead.reason
    )
    world.failing.clear()
    world.handle(SCAN)
    world.run()
    assert len(world.notifications) == 1


def test_deletion_that_could_not_be_reported_is_reported_by_a_scan() -> None:
    world = World()
    world.add("orders", key=None)
    world.handle(STOP)
    world.failing["Publish"] = [ServiceError("AuthorizationError", "no") for _ in range(99)]
    del world.streams["orders"]
    world.send(event("DeleteStream"))
    world.run()
    assert len(world.dead) == 1
    world.failing.clear()
    world.handle(SCAN)
    world.run()
    assert [notification.state for notification in world.notifications] == [
        "unencrypted",
        "deleted",
    ]


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "DescribeStreamSummary", "Publish"])
def test_call_without_a_response_is_retried(operation: str) -> None:
    world = World()
    world.add("orders", key=None)
    world.failing[operation] = [lost(operation)]
    world.send(STOP)
    world.run(5 * MINUTE)
    assert len(world.notifications) == 1


def killed_after_the_notification(world: World) -> None:
    def crash() -> None:
        raise KeyboardInterrupt

    world.after["Publish"] = [crash]
    with pytest.raises(KeyboardInterrupt):
        world.receive(world.send(STOP))


def test_crash_after_the_notification_repeats_it() -> None:
    """At least once: it is unknown whether it was published before the crash."""
    world = World()
    world.add("orders", key=None)
    killed_after_the_notification(world)
    assert world.handle(STOP) is not None, "another invocation may be publishing"
    world.run()
    assert len(world.notifications) == 2
    world.handle(STOP)
    assert len(world.notifications) == 2


def test_end_of_drift_is_reported_after_a_crash() -> None:
    world = World()
    world.add("orders", key=None)
    killed_after_the_notification(world)
    world.change("orders", KEY)
    world.run()
    assert [notification.state for notification in world.notifications] == [
        "unencrypted",
        "compliant",
    ]
    assert world.notifications[-1].lines["Last notified"] == "nothing", "as far as the table shows"
    assert world.table.row("orders")["notifying_since"] == ""


def test_rejected_publish_does_not_hide_a_crash() -> None:
    """The notification of the crashed invocation may have been published."""
    world = World()
    world.add("orders", key=None)
    killed_after_the_notification(world)
    world.failing["Publish"] = [ServiceError("AuthorizationError", "no")]
    world.clock.time += 2 * MINUTE
    assert world.handle(STOP) is not None
    world.change("orders", KEY)
    world.run()
    assert [notification.state for notification in world.notifications] == [
        "unencrypted",
        "compliant",
    ]


def test_lost_response_followed_by_an_error_counts_as_maybe_published() -> None:
    world = World()
    world.add("orders", key=None)
    refused = client_error(ServiceError("Throttled", "Rate exceeded"), "Publish")
    refused.response["ResponseMetadata"]["RetryAttempts"] = 1

    def refuse() -> None:
        raise refused

    world.after["Publish"] = [refuse]
    assert world.handle(STOP) is not None
    world.change("orders", KEY)
    world.run()
    assert [notification.state for notification in world.notifications] == [
        "unencrypted",
        "compliant",
    ]


def test_notification_survives_a_crash_before_it() -> None:
    world = World()
    world.add("orders", key=None)

    def crash() -> None:
        world.after["PutItem"] = [really]

    def really() -> None:
        raise KeyboardInterrupt

    world.after["PutItem"] = [crash]
    with pytest.raises(KeyboardInterrupt):
        world.receive(world.send(STOP))
    assert world.table.row("orders")["notifying_since"]
    world.run()
    assert len(world.notifications) == 1


def test_check_between_describe_and_write_of_another_wins() -> None:
    """The later of two descriptions decides, in whichever order they are written."""
    world = World()
    world.add("orders", key=None)

    def meanwhile() -> None:
        world.change("orders", KEY)
        world.handle(START)

    world.after["DescribeStreamSummary"] = [meanwhile]
    world.send(STOP)
    world.run(10)
    assert (world.state("orders"), world.notifications) == ("compliant", [])


def test_conflicting_check_is_retried_soon() -> None:
    world = World()
    world.add("orders", key=None, status="UPDATING")
    message = world.send(STOP)
    world.run(20 * MINUTE)
    world.change("orders", None)
    world.clock.time = message.visible
    world.after["DescribeStreamSummary"] = [
        lambda: world.handle({"check": "orders", "exempt": None})
    ]
    assert world.receive(message) == pytest.approx(3)
    world.run(5)
    assert [notification.state for notification in world.notifications] == ["unencrypted"]


def test_item_of_another_format_is_ignored_and_overwritten() -> None:
    """A previous or a later version of the guard wrote it."""
    world = World()
    world.add("orders", key=None)
    world.handle(STOP)
    (item,) = world.table.items.values()
    item |= {"format_version": {"N": "0"}, "state": {"S": "unheard of"}}
    world.send(SCAN)
    world.run()
    assert world.state("orders") == "unencrypted"
    assert world.table.row("orders")["format_version"] == "1"
    assert len(world.notifications) == 2


def test_unexpected_errors_are_retried() -> None:
    world = World()
    world.add("orders", key=None)
    world.failing["DescribeStreamSummary"] = [KeyError("StreamStatus"), RuntimeError("bug")]
    world.send(STOP)
    world.run(5 * MINUTE)
    assert len(world.notifications) == 1
    assert world.metric("Failures") == [1, 1]


@pytest.mark.parametrize(
    "body", ["", "[]", "7", "null", "{}", '{"check": "x"}', '{"scan": {"x": 1}}', '{"detail": {}}']
)
def test_malformed_message_is_a_dead_letter_immediately(body: str) -> None:
    world = World()
    assert world.handle(body) is None
    (dead,) = world.dead
    assert dead.body == body
    assert dead.reason.startswith("malformed message: ")
    assert world.metric("DeadLetters") == [1]


def test_message_that_cannot_be_moved_stays_in_the_queue() -> None:
    world = World()
    world.failing["SendMessage"] = [ServiceError("AccessDenied", "no")]
    assert world.handle("nonsense") == 120
    assert world.dead == []


def test_message_is_retried_after_the_visibility_timeout_if_it_cannot_be_changed() -> None:
    world = World()
    world.add("orders", status="UPDATING")
    world.failing["ChangeMessageVisibility"] = [ServiceError("AccessDenied", "no")]
    assert world.handle(STOP) == 120


def test_long_stream_name_fits_a_subject() -> None:
    world = World()
    name = "o" * 128
    world.add(name, key=None)
    world.handle(event("StopStreamEncryption", name))
    assert len(world.notifications[0].subject) == 100


def test_checks_only_read() -> None:
    """The fakes refuse everything else; a day of all kinds of events is one more proof."""
    world = World(exempt_tag_key="exempt")
    world.add("orders", key=None)
    for call in ("Start", "Stop"):
        world.handle(event(f"{call}StreamEncryption"))
    world.run(DAY)
    assert not any(call.endswith("StreamEncryption") for call in world.calls)
