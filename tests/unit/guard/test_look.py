"""One look: what the stream is decides what is told, and what was told what is told again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.guard.services import client_error
from tests.simulation.service import ServiceError, arn
from tests.unit.guard.world import ALICE, DAY, HOUR, MINUTE, SWEEP, World, event, lost
from tests.unit.world import ACCOUNT, KEY, KEY_ID, OTHER_KEY

STOP, START = event("StopStreamEncryption"), event("StartStreamEncryption")
ALIAS = arn("kms", "alias/orders")


def test_stop_is_told_at_once_with_caller_and_remedy() -> None:
    world = World()
    world.has("orders", key=None)
    assert world.handle(STOP) is None
    (told,) = world.told
    assert told.when == world.clock.now()
    assert told.subject == "Stream orders is in plaintext"
    assert told.state == "plaintext"
    assert told.lines["Stream"] == arn("kinesis", "stream/orders")
    assert told.lines["Key found"] == "none"
    assert told.lines["Key wanted"] == KEY
    assert told.lines["Changed by"] == ALICE
    assert told.lines["Call"].startswith("StopStreamEncryption at 2026-11-01T11:59:30")
    assert "another revision" in told.lines["What to do"]
    assert (
        "aws kinesis start-stream-encryption --stream-name orders --encryption-type KMS"
        f" --key-id {KEY}"
    ) in told.lines["What to do"]
    row = world.table.row("orders")
    assert (row["state"], row["key"], row["caller"]) == ("plaintext", "", ALICE)
    assert row["call"] == "StopStreamEncryption"
    assert row["created"] == "2026-10-31T12:00:00.000+00:00"
    assert row["since"] == row["seen"] == "2026-11-01T12:00:00.000+00:00"
    assert world.metric("Drifts") == world.metric("Checks") == [1]


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (KEY, "as wanted"),
        (KEY_ID, "as wanted"),
        (OTHER_KEY, "other key"),
        (None, "plaintext"),
        (ALIAS, "as wanted"),
        ("alias/orders", "as wanted"),
        ("alias/others", "other key"),
        ("alias/nobody-knows", "unknown"),
        ("alias/denied", "unknown"),
        (ALIAS.replace(ACCOUNT, "999999999999"), "other key"),
    ],
)
def test_state_is_what_the_stream_is_described_to_be(found: str | None, state: str) -> None:
    world = World()
    world.aliases = {
        ALIAS: KEY,
        arn("kms", "alias/others"): OTHER_KEY,
        arn("kms", "alias/denied"): ServiceError("AccessDeniedException", "no"),
    }
    world.has("orders", key=found)
    world.handle(SWEEP)
    world.run()
    assert world.state("orders") == state
    assert [told.state for told in world.told] == (
        [state] if "ke" in state or "pl" in state else []
    )


@pytest.mark.parametrize("code", ["AccessDeniedException", "NotFoundException"])
def test_alias_that_cannot_be_looked_up_any_more_ends_no_drift(code: str) -> None:
    world = World()
    world.aliases = {ALIAS: OTHER_KEY}
    world.has("orders", key=ALIAS)
    world.send(SWEEP)
    world.run(HOUR)
    assert world.state("orders") == "other key"
    world.aliases = {ALIAS: ServiceError(code, "no")}
    world.handle(START)
    assert world.state("orders") == "other key"
    assert [told.state for told in world.told] == ["other key"]


def test_wanted_alias_that_does_not_exist_is_given_up_with_the_reason() -> None:
    """Nothing could be compared with it, and nobody would know."""
    world = World(key="alias/typo")
    world.has("orders", key=OTHER_KEY)
    world.handle(START)
    world.run(14)
    assert world.dead == []
    world.run(6)
    (dead,) = world.dead
    assert dead.reason == f"the wanted key {arn('kms', 'alias/typo')} does not exist"
    assert world.metric("DeadLetters") == [1]


def test_wanted_alias_that_kms_does_not_show_yet_is_waited_for() -> None:
    world = World(key=ALIAS)
    world.has("orders", key=KEY)
    world.handle(SWEEP)
    world.run(12)
    world.aliases = {ALIAS: KEY}
    world.run()
    assert world.dead == []
    assert world.state("orders") == "as wanted"


def test_look_at_an_alias_that_fails_is_made_again() -> None:
    world = World()
    world.aliases = {ALIAS: ServiceError("ExpiredTokenException", "no")}
    world.has("orders", key=ALIAS)
    assert world.handle(START) is not None
    assert world.metric("Failures") == [1]
    world.aliases = {ALIAS: KEY}
    world.run()
    assert world.state("orders") == "as wanted"


def test_without_a_wanted_key_any_kms_key_will_do() -> None:
    world = World(key=None)
    world.has("orders", key=OTHER_KEY)
    world.has("returns", key=None)
    world.handle(SWEEP)
    world.run()
    assert (world.state("orders"), world.state("returns")) == ("as wanted", "plaintext")
    assert "DescribeKey" not in world.calls
    (told,) = world.told
    assert told.lines["Key wanted"] == "any KMS key"
    assert told.lines["What to do"].endswith("--key-id alias/aws/kinesis")


def test_event_is_not_believed() -> None:
    world = World()
    world.has("orders")
    assert world.handle(STOP) is None
    assert world.told == []
    assert world.state("orders") == "as wanted"


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
    world.has("orders", key=None)
    world.handle(event("StopStreamEncryption", parameters=parameters))
    assert world.told[0].stream == "orders"


@pytest.mark.parametrize("name", [None, "elsewhere"])
def test_event_of_no_guarded_stream_is_done_with(name: str | None) -> None:
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
def test_caller_is_named_as_well_as_can_be(identity: dict[str, str], shown: str) -> None:
    world = World()
    world.has("orders", key=None)
    stop = event("StopStreamEncryption")
    stop["detail"]["userIdentity"] = identity
    world.handle(stop)
    assert world.told[0].lines["Changed by"] == shown


def test_repeated_late_and_parallel_events_tell_nothing_new() -> None:
    world = World()
    world.has("orders", key=None)
    for _ in range(3):
        world.handle(STOP)
    world.clock.sleep(2 * HOUR)
    world.handle(STOP)
    world.handle(SWEEP)
    world.run()
    assert len(world.told) == 1


def test_end_is_told_once_and_a_new_beginning_again() -> None:
    world = World()
    world.has("orders", key=None)
    world.handle(STOP)
    world.becomes("orders", KEY)
    for _ in range(2):
        world.handle(event("StartStreamEncryption", caller="bob"))
    world.becomes("orders", None)
    world.handle(STOP)
    assert [told.state for told in world.told] == ["plaintext", "as wanted", "plaintext"]
    assert world.told[1].subject == "Stream orders is encrypted as wanted again"
    assert world.told[1].lines["Changed by"] == "bob"
    assert world.told[1].lines["Told before"].startswith("plaintext")


def test_start_with_another_key_is_told_after_ten_minutes() -> None:
    world = World()
    world.has("orders")
    world.handle(SWEEP)
    world.run()
    world.becomes("orders", OTHER_KEY)
    began = world.clock.now()
    parameters = {"streamName": "orders", "keyId": OTHER_KEY}
    world.send(event("StartStreamEncryption", parameters=parameters, now=began))
    world.run(9 * MINUTE)
    assert world.told == []
    assert world.state("orders") == "other key"
    world.run(2 * MINUTE)
    (told,) = world.told
    assert 600 <= told.when - began <= 603
    assert (told.lines["Key found"], told.lines["Changed by"]) == (OTHER_KEY, ALICE)


def test_switch_that_is_undone_within_ten_minutes_is_not_told() -> None:
    world = World()
    world.has("orders", key=OTHER_KEY)
    world.send(START)
    world.run(9 * MINUTE)
    world.becomes("orders", KEY)
    world.run()
    assert world.told == []
    assert world.state("orders") == "as wanted"


def test_created_in_plaintext_and_encrypted_then_is_not_told() -> None:
    world = World()
    world.has("orders", key=None, status="CREATING", age=1)
    world.send(event("CreateStream", age=1))
    world.run(20)
    assert world.state("orders") == ""
    world.becomes("orders", None)
    world.run(9 * MINUTE)
    assert world.state("orders") == "plaintext"
    world.becomes("orders", KEY)
    world.run()
    assert world.told == []


def test_created_in_plaintext_and_left_so_is_told_ten_minutes_after_active() -> None:
    world = World()
    world.has("orders", key=None, status="CREATING", age=1)
    world.send(event("CreateStream", age=1))
    world.run(100)
    world.becomes("orders", None)
    active = world.clock.now()
    world.run()
    (told,) = world.told
    assert 600 <= told.when - active <= 660
    assert told.lines["Call"].startswith("CreateStream")


def test_sweep_waits_as_well() -> None:
    world = World()
    world.has("orders", key=None, age=5)
    world.send(SWEEP)
    world.run(9 * MINUTE)
    assert world.told == []
    world.becomes("orders", KEY)
    world.run()
    assert world.told == []


@pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
def test_stream_that_is_not_ready_is_looked_at_again(status: str) -> None:
    world = World()
    world.has("orders", key=KEY, status=status)
    world.send(STOP)
    world.run(200)
    assert world.told == []
    looks = world.calls.count("DescribeStreamSummary")
    assert 10 < looks < 30
    world.becomes("orders", None)
    ready = world.clock.now()
    world.run()
    (told,) = world.told
    assert told.when - ready <= 61


def test_drift_that_begins_when_the_wait_is_nearly_over_is_told() -> None:
    world = World()
    world.has("orders", key=None, status="UPDATING")
    world.send(START)
    world.run(55 * MINUTE)
    world.becomes("orders", OTHER_KEY)
    world.run()
    assert [told.state for told in world.told] == ["other key"]
    assert world.dead == []


def test_looks_that_take_long_do_not_come_back_too_often() -> None:
    """SQS gives a message up after a hundred receipts, without a reason."""
    world = World()
    world.has("orders", key=None)
    looks = 0

    def slow() -> None:
        nonlocal looks
        looks += 1
        world.clock.sleep(3.5)
        world.after["DescribeStreamSummary"] = [slow]

    world.after["DescribeStreamSummary"] = [slow]
    message = world.send(STOP)
    world.run()
    assert looks == message.receives < 100
    assert "a deployment may have ended" in world.dead[0].reason


def test_wait_for_a_stream_has_an_end() -> None:
    world = World()
    world.has("orders", status="UPDATING")
    message = world.send(STOP)
    world.run()
    assert [dead.reason for dead in world.dead] == ["the stream is UPDATING"]
    assert world.dead[0].body == message.body
    assert message.receives < 100
    assert world.metric("DeadLetters") == [1]


def test_stop_that_does_not_show_yet_is_looked_at_again() -> None:
    world = World()
    world.has("orders", KEY)
    world.send(event("StopStreamEncryption", age=1))
    world.run(5)
    world.becomes("orders", None)
    world.run()
    (told,) = world.told
    assert told.state == "plaintext"


def test_stop_during_a_change_is_told_with_who_it_was_that_stopped() -> None:
    """Who made the stream in plaintext, and saw to its encryption, is not to blame."""
    world = World()
    world.has("orders", key=None, age=60)
    assert world.handle(event("CreateStream", caller="terraform"))
    world.becomes("orders", key=None, status="UPDATING")
    assert world.handle({"look": "orders", "exempt": False})
    world.clock.time += HOUR
    world.becomes("orders", key=None)
    assert world.handle({"look": "orders", "exempt": False})
    assert world.told == []
    assert world.handle(event("StopStreamEncryption", now=world.clock.now())) is None
    (told,) = world.told
    assert told.lines["Changed by"] == ALICE


def test_resharding_leaves_who_it_was() -> None:
    world = World(topic=None)
    world.has("orders", key=None)
    world.handle(STOP)
    world.becomes("orders", None, "UPDATING")
    world.handle({"look": "orders", "exempt": None})
    world.becomes("orders", None)
    world.handle({"look": "orders", "exempt": None})
    assert world.table.row("orders")["caller"] == ALICE


@pytest.mark.parametrize("call", ["AddTagsToStream", "UntagResource"])
def test_who_changes_tags_is_not_to_blame_for_a_key(call: str) -> None:
    world = World(exempt_tag="exempt")
    world.has("orders", key=OTHER_KEY, tags={"team": "one"})
    parameters = {"streamName": "orders", "keyId": OTHER_KEY}
    world.send(event("StartStreamEncryption", parameters=parameters))
    world.run(MINUTE)
    world.send(event(call, caller="tagger", now=world.clock.now()))
    world.run()
    (told,) = world.told
    assert told.lines["Changed by"] == ALICE
    world.handle(event(call, caller="tagger", now=world.clock.now()))
    assert world.table.row("orders")["caller"] == ALICE


def test_earlier_call_does_not_take_the_place_of_a_later_one() -> None:
    world = World()
    world.has("orders", key=None)
    world.handle(STOP)
    world.handle(event("StopStreamEncryption", age=HOUR, caller="bob"))
    assert world.table.row("orders")["caller"] == ALICE


def test_late_creation_of_an_earlier_stream_is_not_to_blame() -> None:
    world = World()
    world.has("orders", key=None, age=2 * MINUTE)
    world.send(event("CreateStream", age=HOUR))
    world.run()
    assert world.told[0].lines["Changed by"] == "not known: no event told it"


def test_late_stop_of_an_earlier_stream_does_not_hurry() -> None:
    world = World()
    world.has("orders", key=None, age=60)
    world.send(event("StopStreamEncryption", age=HOUR))
    world.run(8 * MINUTE)
    assert world.told == []
    world.run()
    assert world.told[0].lines["Changed by"] == "not known: no event told it"


def test_stop_does_not_hurry_another_key() -> None:
    world = World()
    world.has("orders", OTHER_KEY)
    world.send(STOP)
    world.run(8 * MINUTE)
    assert world.told == []


def test_call_with_another_key_than_found_is_not_blamed() -> None:
    world = World()
    world.has("orders", OTHER_KEY)
    parameters = {"streamName": "orders", "keyId": "alias/something"}
    world.send(event("StartStreamEncryption", parameters=parameters))
    world.run()
    assert world.told[0].lines["Changed by"] == "not known: no event told it"


def test_recreated_stream_is_another_stream() -> None:
    world = World()
    world.has("orders", key=None)
    world.handle(STOP)
    world.clock.sleep(HOUR)
    world.has("orders", key=None, age=60)
    world.send(event("CreateStream", age=60, now=world.clock.now()))
    world.run()
    assert [told.state for told in world.told] == ["plaintext", "plaintext"]
    first, second = (told.lines["Told before"] for told in world.told)
    assert first == "nothing"
    assert "created 2026-10-31" in second


def test_deleted_stream_is_gone_and_ends_its_drift() -> None:
    world = World()
    world.has("orders", key=None)
    world.handle(STOP)
    world.becomes("orders", None, "DELETING")
    world.handle(event("DeleteStream", caller="bob"))
    assert world.state("orders") == "gone"
    assert [told.state for told in world.told] == ["plaintext", "gone"]
    assert world.told[1].lines["Changed by"] == "bob"
    assert float(world.table.row("orders")["expires"]) > world.clock.now()
    del world.streams["orders"]
    world.handle(event("DeleteStream"))
    assert len(world.told) == 2


def test_deleted_stream_that_was_as_wanted_is_not_told() -> None:
    world = World()
    world.has("orders")
    world.handle(START)
    del world.streams["orders"]
    world.handle(event("DeleteStream"))
    assert (world.state("orders"), world.told) == ("gone", [])


def test_deleted_stream_that_was_never_seen_leaves_nothing() -> None:
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
def test_nothing_is_told_while_the_own_stack_is_in_progress_or_failed(
    status: str, quiet: bool
) -> None:
    world = World()
    world.has("orders", key=None)
    world.stack.status = status
    comes_back = world.handle(STOP)
    assert (comes_back is None) == bool(world.told) == quiet
    assert world.state("orders") == "plaintext"
    world.stack.status = "UPDATE_COMPLETE"
    world.run(61)
    assert len(world.told) == 1


def test_deployment_that_ends_during_a_look_that_takes_long_is_not_told_of() -> None:
    """What the invocation knows of key and stream may be from before its end."""
    world = World()
    world.has("orders", key=OTHER_KEY, age=DAY)
    world.send(START)
    world.run(5 * MINUTE)
    world.clock.sleep(HOUR)

    def meanwhile() -> None:
        world.clock.sleep(20)
        world.becomes("orders", KEY)

    world.after["DescribeStreamSummary"] = [meanwhile]
    world.run()
    assert world.told == []


def test_what_a_failed_stack_kept_back_is_told_by_a_later_sweep() -> None:
    world = World()
    world.has("orders", key=None)
    world.stack.status = "UPDATE_ROLLBACK_FAILED"
    world.send(STOP)
    world.run()
    assert world.told == []
    assert [dead.reason for dead in world.dead] == [
        "the guard's own stack is UPDATE_ROLLBACK_FAILED"
    ]
    world.stack.status = "UPDATE_ROLLBACK_COMPLETE"
    world.send(SWEEP)
    world.run()
    (told,) = world.told
    assert told.lines["Changed by"] == ALICE


def test_key_that_the_stack_switches_is_never_told() -> None:
    world = World()
    world.has("orders")
    world.handle(START)
    world.stack.status = "UPDATE_IN_PROGRESS"
    world.becomes("orders", OTHER_KEY)
    world.send(event("StartStreamEncryption", now=world.clock.now()))
    world.run(30 * MINUTE)
    assert world.state("orders") == "other key"
    world.restart(key=OTHER_KEY)
    world.stack.status = "UPDATE_COMPLETE"
    world.run()
    assert (world.state("orders"), world.told) == ("as wanted", [])


def test_exempt_stream_is_left_alone() -> None:
    world = World(exempt_tag="exempt")
    world.has("orders", key=None, tags={"exempt": ""})
    world.handle(STOP)
    assert (world.state("orders"), world.told) == ("exempt", [])
    del world.tags["orders"]["exempt"]
    world.send(event("RemoveTagsFromStream"))
    world.run()
    assert [told.state for told in world.told] == ["plaintext"]


def test_exempting_a_guarded_stream_is_told() -> None:
    world = World(exempt_tag="exempt")
    world.has("orders")
    world.handle(START)
    world.tags["orders"] = {"exempt": "yes"}
    for _ in range(2):
        world.handle(event("AddTagsToStream"))
    (told,) = world.told
    assert told.subject == "Stream orders is exempt"
    assert told.lines["Call"].startswith("AddTagsToStream")
    assert told.lines["What to do"] == "nothing, if it is meant to be so"


def test_stream_that_lost_the_tag_that_chose_it_is_exempt() -> None:
    world = World(tag=["class", "pii"])
    world.has("orders", tags={"class": "pii"})
    world.has("others", key=None, tags={"class": "none"})
    for name in ("orders", "others"):
        world.handle(event("AddTagsToStream", name))
    assert list(world.table.items) == [arn("kinesis", "stream/orders")]
    world.tags["orders"] = {}
    world.handle(event("UntagResource"))
    assert [told.state for told in world.told] == ["exempt"]
    assert world.state("orders") == "exempt"


def test_exempting_tag_may_be_one_of_many() -> None:
    world = World(exempt_tag="zebra")
    world.has("orders", key=None, tags={f"tag-{number:02}": "" for number in range(60)})
    world.tags["orders"]["zebra"] = ""
    world.handle(STOP)
    assert (world.state("orders"), world.told) == ("exempt", [])


def test_tags_are_not_asked_for_where_none_count() -> None:
    world = World()
    world.has("orders", key=None)
    world.handle(STOP)
    assert "ListTagsForStream" not in world.calls


def test_without_a_topic_the_table_and_the_metrics_tell() -> None:
    world = World(topic=None)
    world.has("orders", key=None)
    world.handle(STOP)
    assert (world.state("orders"), world.told) == ("plaintext", [])
    assert world.table.row("orders")["telling"] == ""


def test_refusing_topic_is_tried_again() -> None:
    world = World()
    world.has("orders", key=None)
    world.failing["Publish"] = [ServiceError("InternalError", "busy", 500)]
    world.send(STOP)
    world.run(5 * MINUTE)
    assert len(world.told) == 1
    assert world.metric("Failures") == [1]


def test_refusing_topic_loses_nothing() -> None:
    world = World()
    world.has("orders", key=None)
    world.failing["Publish"] = [ServiceError("AuthorizationError", "no") for _ in range(99)]
    world.send(STOP)
    world.run()
    assert world.told == []
    (dead,) = world.dead
    assert dead.reason.endswith("AuthorizationError) when calling the Publish operation: no") or (
        "another invocation tells" in dead.reason
    )
    world.failing.clear()
    world.handle(SWEEP)
    world.run()
    assert len(world.told) == 1


def test_sweep_tells_of_a_stream_that_is_gone_and_untold() -> None:
    world = World()
    world.has("orders", key=None)
    world.handle(STOP)
    world.failing["Publish"] = [ServiceError("AuthorizationError", "no") for _ in range(99)]
    del world.streams["orders"]
    world.send(event("DeleteStream"))
    world.run()
    assert len(world.dead) == 1
    world.failing.clear()
    world.handle(SWEEP)
    world.run()
    assert [told.state for told in world.told] == ["plaintext", "gone"]


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "DescribeStreamSummary", "Publish"])
def test_call_that_got_no_answer_is_made_again(operation: str) -> None:
    world = World()
    world.has("orders", key=None)
    world.failing[operation] = [lost(operation)]
    world.send(STOP)
    world.run(5 * MINUTE)
    assert len(world.told) == 1


def killed_after_the_notification(world: World) -> None:
    def crash() -> None:
        raise KeyboardInterrupt

    world.after["Publish"] = [crash]
    with pytest.raises(KeyboardInterrupt):
        world.receive(world.send(STOP))


def test_crash_after_the_notification_tells_it_again_and_only_then() -> None:
    """At least once: whether it came out before the crash, nobody can know."""
    world = World()
    world.has("orders", key=None)
    killed_after_the_notification(world)
    assert world.handle(STOP) is not None, "another one may be telling"
    world.run()
    assert len(world.told) == 2
    world.handle(STOP)
    assert len(world.told) == 2


def test_end_of_a_drift_that_a_crash_left_open_is_told() -> None:
    world = World()
    world.has("orders", key=None)
    killed_after_the_notification(world)
    world.becomes("orders", KEY)
    world.run()
    assert [told.state for told in world.told] == ["plaintext", "as wanted"]
    assert world.told[-1].lines["Told before"] == "nothing", "as far as anybody can know"
    assert world.table.row("orders")["telling"] == ""


def test_refusal_does_not_make_up_for_a_crash() -> None:
    """What came out before the crash is not unsaid by what a refusing topic did not let out."""
    world = World()
    world.has("orders", key=None)
    killed_after_the_notification(world)
    world.failing["Publish"] = [ServiceError("AuthorizationError", "no")]
    world.clock.time += 2 * MINUTE
    assert world.handle(STOP) is not None
    world.becomes("orders", KEY)
    world.run()
    assert [told.state for told in world.told] == ["plaintext", "as wanted"]


def test_answer_that_was_lost_and_then_refused_leaves_open_whether_it_came_out() -> None:
    world = World()
    world.has("orders", key=None)
    refused = client_error(ServiceError("Throttled", "Rate exceeded"), "Publish")
    refused.response["ResponseMetadata"]["RetryAttempts"] = 1

    def refuse() -> None:
        raise refused

    world.after["Publish"] = [refuse]
    assert world.handle(STOP) is not None
    world.becomes("orders", KEY)
    world.run()
    assert [told.state for told in world.told] == ["plaintext", "as wanted"]


def test_crash_before_the_notification_tells_it_later() -> None:
    world = World()
    world.has("orders", key=None)

    def crash() -> None:
        world.after["PutItem"] = [really]

    def really() -> None:
        raise KeyboardInterrupt

    world.after["PutItem"] = [crash]
    with pytest.raises(KeyboardInterrupt):
        world.receive(world.send(STOP))
    assert world.table.row("orders")["telling"]
    world.run()
    assert len(world.told) == 1


def test_look_between_another_ones_look_and_write_wins() -> None:
    """The later one of two looks decides, whichever is written later."""
    world = World()
    world.has("orders", key=None)

    def meanwhile() -> None:
        world.becomes("orders", KEY)
        world.handle(START)

    world.after["DescribeStreamSummary"] = [meanwhile]
    world.send(STOP)
    world.run(10)
    assert (world.state("orders"), world.told) == ("as wanted", [])


def test_look_that_came_second_does_not_wait_as_long_as_for_a_stream() -> None:
    world = World()
    world.has("orders", key=None, status="UPDATING")
    message = world.send(STOP)
    world.run(20 * MINUTE)
    world.becomes("orders", None)
    world.clock.time = message.visible
    world.after["DescribeStreamSummary"] = [
        lambda: world.handle({"look": "orders", "exempt": None})
    ]
    assert world.receive(message) == pytest.approx(3)
    world.run(5)
    assert [told.state for told in world.told] == ["plaintext"]


def test_unreadable_answer_is_no_end() -> None:
    world = World()
    world.has("orders", key=None)
    world.failing["DescribeStreamSummary"] = [KeyError("StreamStatus"), RuntimeError("bug")]
    world.send(STOP)
    world.run(5 * MINUTE)
    assert len(world.told) == 1
    assert world.metric("Failures") == [1, 1]


@pytest.mark.parametrize(
    "body", ["", "[]", "7", "null", "{}", '{"look": "x"}', '{"sweep": {"x": 1}}', '{"detail": {}}']
)
def test_message_that_nobody_understands_is_given_up_at_once(body: str) -> None:
    world = World()
    assert world.handle(body) is None
    (dead,) = world.dead
    assert dead.body == body
    assert dead.reason.startswith("malformed message: ")
    assert world.metric("DeadLetters") == [1]


def test_message_that_cannot_be_given_up_stays_in_the_queue() -> None:
    world = World()
    world.failing["SendMessage"] = [ServiceError("AccessDenied", "no")]
    assert world.handle("nonsense") == 120
    assert world.dead == []


def test_message_whose_time_cannot_be_set_comes_back_in_the_queues_own() -> None:
    world = World()
    world.has("orders", status="UPDATING")
    world.failing["ChangeMessageVisibility"] = [ServiceError("AccessDenied", "no")]
    assert world.handle(STOP) == 120


def test_long_stream_name_fits_a_subject() -> None:
    world = World()
    name = "o" * 128
    world.has(name, key=None)
    world.handle(event("StopStreamEncryption", name))
    assert len(world.told[0].subject) == 100


def test_every_look_only_reads() -> None:
    """The fakes refuse everything else; a day of all kinds of events is one more proof."""
    world = World(exempt_tag="exempt")
    world.has("orders", key=None)
    for call in ("Start", "Stop"):
        world.handle(event(f"{call}StreamEncryption"))
    world.run(DAY)
    assert not any(call.endswith("StreamEncryption") for call in world.calls)
