"""Every wait ends by itself, with the reason, before crhelper's timer and Lambda do."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from stream_encryption.answer import Undelivered
from stream_encryption.custom_resource import NotHandedOver
from tests.unit.world import BEGIN, FUNCTION, KEY, MARKED, World, event

PREFIX = "kse-3b1f2c10"


def start_and_never_finish(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.keeps_showing("UPDATING", KEY)


def test_wait_ends_with_the_time_the_user_gave_and_what_was_seen_last(world: World) -> None:
    start_and_never_finish(world)
    reason = world.fails(event(ServiceTimeout="180"))
    assert "within 120 s" in reason
    assert f"last seen: UPDATING, encryption KMS with key {KEY}" in reason
    assert world.clock.elapsed == pytest.approx(120, abs=1)
    assert world.puts[-1]["PhysicalResourceId"] == MARKED


def test_short_service_timeout_leaves_half_for_the_answer(world: World) -> None:
    start_and_never_finish(world)
    world.fails(event(ServiceTimeout="40"))
    assert world.clock.elapsed == pytest.approx(20, abs=1)


def test_wait_ends_before_the_function_does(world: World) -> None:
    world.function_timeout = 60
    start_and_never_finish(world)
    assert "UPDATING" in world.fails(event())
    assert world.clock.elapsed == 60 - 16


def test_time_counts_from_when_cloudformation_sent_the_request(world: World) -> None:
    world.cloudformation.gives(
        "describe_stack_resource", {"StackResourceDetail": detail("CREATE_IN_PROGRESS")}
    )
    world.kms.shows()
    world.kinesis.shows("ACTIVE", times=2)
    world.kinesis.starts()
    world.kinesis.keeps_showing("UPDATING", KEY)
    world.fails(event(ServiceTimeout="300", age=100))
    assert world.clock.elapsed == pytest.approx(140, abs=1)


def test_request_past_its_service_timeout_is_not_carried_out(world: World) -> None:
    reason = world.fails(event(ServiceTimeout="300", age=301))
    assert "was delivered 301 s after" in reason


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("3600", 897), ("300", 297), ("11", 8), ("5", 8), ("1", 8)]
)
def test_hanging_call_is_answered_for_by_the_timer_once(
    world: World, timeout: str, seconds: int
) -> None:
    def hang(**_: str) -> None:
        world.clock.sleep(seconds - 0.01)
        assert world.tries == []
        world.clock.sleep(0.02)
        raise KeyboardInterrupt

    world.kms.shows()
    world.kinesis.client.describe_stream_summary = hang
    with pytest.raises(KeyboardInterrupt):
        world.invoke(event(ServiceTimeout=timeout))
    assert [answer["Status"] for answer in world.puts] == ["FAILED"]
    assert "(a call hung until the end)" in world.puts[0]["Reason"]
    assert world.puts[0]["PhysicalResourceId"] != ""


@pytest.mark.parametrize(("function_timeout", "seconds"), [(10, 7), (2, 0)])
def test_hanging_call_is_answered_for_before_a_short_function_ends(
    world: World, function_timeout: float, seconds: float
) -> None:
    def hang(**_: str) -> None:
        world.clock.sleep(seconds + 0.01)
        raise KeyboardInterrupt

    world.function_timeout = function_timeout
    world.kinesis.client.describe_stream_summary = hang
    with pytest.raises(KeyboardInterrupt):
        world.invoke(event("Update"))
    assert "(a call hung until the end)" in world.puts[0]["Reason"]


def test_timer_and_end_of_the_wait_give_one_answer(world: World) -> None:
    def hang(**_: str) -> None:
        world.clock.sleep(898)
        raise RuntimeError("too late")

    world.kms.shows()
    world.kinesis.client.describe_stream_summary = hang
    world.invoke(event())
    assert len(world.puts) == 1


def detail(status: str, **more: Any) -> dict[str, Any]:
    return {
        "LogicalResourceId": "Encryption",
        "ResourceType": "Custom::KinesisStreamEncryption",
        "LastUpdatedTimestamp": datetime.fromtimestamp(0, UTC),
        "ResourceStatus": status,
        **more,
    }


class TestLateDelivery:
    """A request that others have overtaken changes nothing."""

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            ("Create", "CREATE_COMPLETE"),
            ("Create", "UPDATE_IN_PROGRESS"),
            ("Create", "DELETE_COMPLETE"),
            ("Update", "UPDATE_COMPLETE"),
        ],
    )
    def test_overtaken_request_is_not_carried_out(
        self, world: World, kind: str, status: str
    ) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE")
        world.cloudformation.gives(
            "describe_stack_resource", {"StackResourceDetail": detail(status)}
        )
        reason = world.fails(event(kind, age=30, old={"KeyId": "alias/other"}))
        assert f"(it is {status})" in reason
        assert "no longer the resource's current one" in reason

    def test_later_update_in_progress_overtakes_an_update(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.kms.shows()
        resource = detail("UPDATE_IN_PROGRESS", LastUpdatedTimestamp=BEGIN)
        world.cloudformation.gives("describe_stack_resource", {"StackResourceDetail": resource})
        reason = world.fails(event("Update", age=30, old={"KeyId": "alias/other"}))
        assert "anew since" in reason

    def test_resource_that_cloudformation_no_longer_has_is_left(self, world: World) -> None:
        world.kinesis.shows("ACTIVE", KEY)
        world.cloudformation.fails("describe_stack_resource", "ValidationError", "no such stack")
        late = event("Delete", physical_id=MARKED, OnDelete="Restore", age=30)
        assert "(CloudFormation no longer has it: no such stack)" in world.fails(late)

    @pytest.mark.parametrize(
        ("status", "holder"),
        [
            ("DELETE_IN_PROGRESS", MARKED),
            ("DELETE_IN_PROGRESS", "another"),
            ("UPDATE_COMPLETE", "another"),
        ],
    )
    def test_late_delete_in_progress_or_of_a_replaced_one_is_carried_out(
        self, world: World, status: str, holder: str
    ) -> None:
        world.kinesis.shows("ACTIVE", KEY, times=2)
        resource = detail(status, PhysicalResourceId=holder)
        world.cloudformation.gives("describe_stack_resource", {"StackResourceDetail": resource})
        world.kinesis.stops()
        world.kinesis.shows("ACTIVE")
        world.succeeds(event("Delete", physical_id=MARKED, OnDelete="Restore", age=30))

    @pytest.mark.parametrize(
        ("status", "holder"), [("UPDATE_COMPLETE", MARKED), ("DELETE_COMPLETE", "another")]
    )
    def test_late_delete_of_what_is_kept_or_gone_is_not_carried_out(
        self, world: World, status: str, holder: str
    ) -> None:
        world.kinesis.shows("ACTIVE", KEY)
        resource = detail(status, PhysicalResourceId=holder)
        world.cloudformation.gives("describe_stack_resource", {"StackResourceDetail": resource})
        late = event("Delete", physical_id=MARKED, OnDelete="Restore", age=30)
        assert status in world.fails(late)

    def test_request_that_waited_for_others_makes_sure_before_it_changes(
        self, world: World
    ) -> None:
        world.kms.shows()
        world.kinesis.shows("UPDATING", times=6)
        world.kinesis.shows("ACTIVE")
        world.cloudformation.gives(
            "describe_stack_resource", {"StackResourceDetail": detail("CREATE_COMPLETE")}
        )
        assert "CREATE_COMPLETE" in world.fails(event())

    @pytest.mark.parametrize("code", ["AccessDenied", "ValidationError"])
    def test_late_request_goes_on_when_cloudformation_does_not_tell(
        self, world: World, code: str
    ) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE", times=2)
        world.cloudformation.fails("describe_stack_resource", code)
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event(age=30))


class Rules:
    """Takes any rule and target, and keeps what was last said of them."""

    def __init__(self, world: World) -> None:
        self.last: dict[str, Any] = {}
        world.events.client.put_rule = self._put
        world.events.client.put_targets = self._put

    def _put(self, **arguments: Any) -> dict[str, Any]:
        self.last.update(arguments)
        return {"RuleArn": "arn", "FailedEntryCount": 0}


class TestLongWait:
    """A wait longer than one invocation goes on by crhelper's polling."""

    @pytest.fixture(autouse=True)
    def _allowed(self, world: World) -> None:
        world.environ["POLLING_RULE_PREFIX"] = PREFIX
        world.function_timeout = 60

    def _hand_over(self, world: World) -> tuple[str, dict[str, Any]]:
        """Let an invocation end before its wait; return the rule and the event that goes on."""
        rules = Rules(world)
        start_and_never_finish(world)
        world.invoke(event(ServiceTimeout="3600"))
        assert world.puts == []
        put = rules.last
        assert put["ScheduleExpression"] == "rate(1 minute)"
        assert put["Description"].startswith("Goes on with a custom resource's wait")
        target = put["Targets"][0]
        assert target["Arn"] == FUNCTION
        world.kinesis = type(world.kinesis)()
        return put["Name"], json.loads(target["Input"])

    def test_wait_goes_on_and_the_rule_is_removed(self, world: World) -> None:
        rule, again = self._hand_over(world)
        assert rule.startswith(f"{PREFIX}-")
        assert len(rule) <= 64
        world.kinesis.shows("UPDATING", KEY)
        world.invoke(deepcopy(again))
        assert world.puts == []
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.events.gives("remove_targets", {}, Rule=rule, Ids=["1"])
        world.events.gives("delete_rule", {}, Name=rule)
        answer = world.succeeds(again)
        assert answer["PhysicalResourceId"] == MARKED
        assert set(answer["Data"]) >= {"StreamArn", "KeyArn", "Changed"}
        assert "Progress" not in answer["Data"]

    def test_poll_looks_once(self, world: World) -> None:
        _, again = self._hand_over(world)
        world.kinesis.shows("UPDATING", KEY)
        before = world.clock.now()
        world.invoke(again)
        assert world.clock.now() == before

    def test_rule_is_removed_after_a_failure(self, world: World) -> None:
        rule, again = self._hand_over(world)
        world.kinesis.shows("DELETING")
        world.events.gives("remove_targets", {}, Rule=rule, Ids=["1"])
        world.events.gives("delete_rule", {}, Name=rule)
        world.fails(again)

    def test_rule_is_removed_in_spite_of_passing_errors(self, world: World) -> None:
        rule, again = self._hand_over(world)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.events.fails("remove_targets", "InternalException", status=500)
        world.events.gives("remove_targets", {}, Rule=rule, Ids=["1"])
        world.events.fails("delete_rule", "ConcurrentModificationException")
        world.events.fails("remove_targets", "ResourceNotFoundException")
        world.succeeds(again)
        assert not world.logged("the rule was not removed")

    @pytest.mark.parametrize(
        ("calls", "action"),
        [
            (["remove_targets"], "events:RemoveTargets"),
            (["remove_targets", "delete_rule"], "events:DeleteRule"),
        ],
    )
    def test_rule_that_cannot_be_removed_does_not_spoil_the_answer(
        self, world: World, calls: list[str], action: str
    ) -> None:
        rule, again = self._hand_over(world)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        for call in calls[:-1]:
            world.events.gives(call, {})
        world.events.fails(calls[-1], "AccessDeniedException")
        world.succeeds(again)
        line = world.logged("the rule was not removed")[0]
        assert line["rule"] == rule
        assert f"{action}: AccessDeniedException" in line["error"]

    def test_rule_stays_until_the_answer_is_delivered(self, world: World) -> None:
        _, again = self._hand_over(world)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.statuses = [503] * 1000
        with pytest.raises(Undelivered):
            world.invoke(again)

    def test_rule_is_not_removed_for_longer_than_half_a_minute(self, world: World) -> None:
        world.function_timeout = 900
        _, again = self._hand_over(world)
        world.clock.sleep(120)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        for _ in range(100):
            world.events.fails("remove_targets", "ThrottlingException")
        world.events.open_ended = True
        answered = world.clock.now() + 5
        world.succeeds(again)
        assert world.clock.now() - answered == pytest.approx(30, abs=0.1)

    def test_rule_is_not_removed_for_longer_than_the_function_lasts(self, world: World) -> None:
        _, again = self._hand_over(world)
        world.function_timeout = 25
        world.kinesis.shows("ACTIVE", KEY, times=2)
        for _ in range(100):
            world.events.fails("remove_targets", "ThrottlingException")
        world.events.open_ended = True
        began = world.clock.now()
        world.succeeds(again)
        assert world.clock.now() - began == pytest.approx(24, abs=0.1)

    @pytest.mark.parametrize("age", [45, 60])
    def test_rule_of_an_invocation_that_crashed_is_removed(self, world: World, age: int) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.events.gives("remove_targets", {})
        world.events.gives("delete_rule", {})
        world.succeeds(event(age=age, ServiceTimeout="3600"))

    def test_young_request_can_have_left_no_rule(self, world: World) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event(age=44, ServiceTimeout="3600"))
        assert "events" not in world.clients_made

    def test_deadline_ends_the_polling(self, world: World) -> None:
        rule, again = self._hand_over(world)
        world.clock.time += 3600 - 44 - 70
        world.kinesis.keeps_showing("UPDATING", KEY)
        world.events.gives("remove_targets", {}, Rule=rule, Ids=["1"])
        world.events.gives("delete_rule", {}, Name=rule)
        assert "not confirmed ACTIVE" in world.fails(again)

    def test_what_a_poll_changes_reaches_the_next(self, world: World) -> None:
        rules = Rules(world)
        world.kms.shows()
        world.kinesis.keeps_showing("UPDATING")
        world.invoke(event(ServiceTimeout="3600"))
        again = json.loads(rules.last["Targets"][0]["Input"])
        world.kinesis = type(world.kinesis)()
        world.clock.time += 60
        world.kms.shows()
        resource = {"StackResourceDetail": detail("CREATE_IN_PROGRESS")}
        world.cloudformation.gives("describe_stack_resource", resource)
        world.kinesis.shows("ACTIVE", times=2)
        world.kinesis.starts()
        world.invoke(again)
        carried = json.loads(rules.last["Targets"][0]["Input"])["CrHelperData"]["Progress"]
        assert carried["accepted"] is True
        assert carried["physical_id"] == MARKED

    def test_poll_that_comes_last_waits_for_as_long_as_there_is_time(self, world: World) -> None:
        rule, again = self._hand_over(world)
        world.clock.time += 3600 - 44 - 75
        world.kinesis.shows("UPDATING", KEY)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.events.gives("remove_targets", {}, Rule=rule, Ids=["1"])
        world.events.gives("delete_rule", {}, Name=rule)
        world.succeeds(again)

    def test_poll_past_the_expiry_says_so_and_removes_its_rule(self, world: World) -> None:
        rule, again = self._hand_over(world)
        world.clock.time += 3600
        world.events.gives("remove_targets", {}, Rule=rule, Ids=["1"])
        world.events.gives("delete_rule", {}, Name=rule)
        assert "past its deadline" in world.fails(again)

    def test_target_that_could_not_be_set_fails_the_request(self, world: World) -> None:
        start_and_never_finish(world)
        world.events.gives("put_rule", {})
        refused = {"ErrorCode": "ConcurrentModification", "ErrorMessage": "try again"}
        world.events.gives("put_targets", {"FailedEntryCount": 1, "FailedEntries": [refused]})
        world.events.gives("remove_targets", {})
        world.events.gives("delete_rule", {})
        reason = world.fails(event(ServiceTimeout="3600"))
        assert "(events:PutTargets: ConcurrentModification: try again)" in reason

    def test_answer_does_not_wait_long_for_a_rule_that_cannot_be_removed(
        self, world: World
    ) -> None:
        start_and_never_finish(world)
        world.events.gives("put_rule", {})
        world.events.fails("put_targets", "AccessDeniedException", "no")
        for _ in range(100):
            world.events.fails("remove_targets", "ThrottlingException")
        world.events.open_ended = True
        world.fails(event(ServiceTimeout="3600"))
        assert world.tries[0][0] == pytest.approx(44 + 3, abs=0.1)

    def test_target_that_may_not_be_set_fails_the_request(self, world: World) -> None:
        start_and_never_finish(world)
        world.events.gives("put_rule", {})
        world.events.fails("put_targets", "AccessDeniedException", "no")
        world.events.gives("remove_targets", {})
        world.events.gives("delete_rule", {})
        reason = world.fails(event(ServiceTimeout="3600"))
        assert "(events:PutTargets: AccessDeniedException: no)" in reason

    def test_event_as_long_as_a_rule_can_carry_is_carried(self, world: World) -> None:
        padding = "x" * (8192 - self._length_carried(world))
        rules = Rules(world)
        start_and_never_finish(world)
        world.invoke({**event(ServiceTimeout="3600"), "Padding": padding})
        assert len(rules.last["Targets"][0]["Input"]) == 8192

    def test_event_too_long_for_a_rule_fails_the_request(self, world: World) -> None:
        padding = "x" * (8193 - self._length_carried(world))
        start_and_never_finish(world)
        world.events = type(world.events)("events")
        world.events.gives("put_rule", {})
        world.events.gives("remove_targets", {})
        world.events.gives("delete_rule", {})
        reason = world.fails({**event(ServiceTimeout="3600"), "Padding": padding})
        assert "(events:PutTargets: TooLong: 8193 bytes of event)" in reason

    @staticmethod
    def _length_carried(world: World) -> int:
        """Length of an event that is handed over with an empty padding."""
        rules = Rules(world)
        start_and_never_finish(world)
        world.invoke({**event(ServiceTimeout="3600"), "Padding": ""})
        world.clock.time = BEGIN.timestamp()
        world.kinesis = type(world.kinesis)()
        return len(rules.last["Targets"][0]["Input"])

    def test_poll_that_cannot_hand_over_is_delivered_again(self, world: World) -> None:
        """The rule may have lost its target, and then no other invocation would come."""
        _, again = self._hand_over(world)
        del world.events.client.put_targets
        world.events.fails("put_targets", "AccessDeniedException")
        world.kinesis.shows("UPDATING", KEY)
        with pytest.raises(NotHandedOver):
            world.invoke(again)
        assert world.puts == []
        assert world.logged("progress was not handed over")

    def test_rules_of_two_requests_are_two(self, world: World) -> None:
        first, _ = self._hand_over(world)
        rules = Rules(world)
        world.clock.time = BEGIN.timestamp()
        start_and_never_finish(world)
        world.invoke({**event(ServiceTimeout="3600"), "RequestId": "another"})
        assert rules.last["Name"] != first
        assert rules.last["Rule"] == rules.last["Name"]

    @pytest.mark.parametrize(("left", "waits"), [(136, False), (134, True)])
    def test_poll_leaves_the_rest_to_another_only_while_two_more_can_come(
        self, world: World, left: float, waits: bool
    ) -> None:
        _, again = self._hand_over(world)
        world.clock.time = BEGIN.timestamp() + 3600 - left
        world.kinesis.shows("UPDATING", KEY)
        if waits:
            world.kinesis.shows("ACTIVE", KEY, times=2)
            world.events.gives("remove_targets", {})
            world.events.gives("delete_rule", {})
        world.invoke(again)
        assert len(world.puts) == (1 if waits else 0)

    def test_failed_rule_fails_the_request_and_leaves_nothing(self, world: World) -> None:
        start_and_never_finish(world)
        world.events.fails("put_rule", "AccessDeniedException", "no")
        world.events.gives("remove_targets", {})
        world.events.gives("delete_rule", {})
        reason = world.fails(event(ServiceTimeout="3600"))
        assert "(events:PutRule: AccessDeniedException: no)" in reason
        assert world.puts[-1]["PhysicalResourceId"] == MARKED


def test_wait_longer_than_the_invocation_without_the_right_to_go_on_ends(world: World) -> None:
    world.function_timeout = 60
    start_and_never_finish(world)
    assert "longer timeout" in world.fails(event(ServiceTimeout="3600"))
