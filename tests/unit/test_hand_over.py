"""What one invocation has learned of a change, the next one knows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.world import BEGIN, CREATED, KEY, MARKED, STREAM, World, event

SINCE = BEGIN.timestamp()


@pytest.fixture(autouse=True)
def _may_go_on(world: World) -> None:
    world.environ["POLLING_RULE_PREFIX"] = "kse-3b1f2c10"


def poll(kind: str = "Create", *, timeout: int = 3600, **progress: Any) -> dict[str, Any]:
    """Event by which a wait goes on, with what the invocation before has handed over."""
    known = {"since": SINCE, "physical_id": STREAM, **progress}
    return {
        **event(kind, ServiceTimeout=str(timeout), OnDelete="Restore", physical_id=MARKED),
        "CrHelperPoll": True,
        "CrHelperData": {"Progress": known},
    }


@pytest.fixture
def aimed(world: World) -> list[dict[str, Any]]:
    """Progress that is handed over, each time that it is."""
    handed: list[dict[str, Any]] = []

    def put_targets(**arguments: Any) -> dict[str, Any]:
        again = json.loads(arguments["Targets"][0]["Input"])
        handed.append(again["CrHelperData"]["Progress"])
        return {}

    world.events.client.put_targets = put_targets
    return handed


def rule_is_removed(world: World) -> None:
    world.events.gives("remove_targets", {})
    world.events.gives("delete_rule", {})


def test_accepted_change_is_ours_and_has_its_id(world: World) -> None:
    world.kinesis.keeps_showing("ACTIVE", KEY)
    rule_is_removed(world)
    created = int(CREATED.timestamp())
    answer = world.succeeds(poll(accepted=True, plaintext_until=created))
    assert answer["Data"]["Changed"] == "true"
    assert answer["PhysicalResourceId"] == MARKED


def test_update_goes_on_in_another_invocation(world: World, aimed: list[dict[str, Any]]) -> None:
    world.kinesis.shows("UPDATING", KEY)
    world.invoke(poll("Update", accepted=True, physical_id=MARKED))
    assert aimed[-1]["accepted"] is True
    world.kinesis.shows("ACTIVE", KEY, times=2)
    rule_is_removed(world)
    answer = world.succeeds(poll("Update", accepted=True, physical_id=MARKED))
    assert answer["Data"]["Changed"] == "true"


def test_change_of_others_is_not_ours(world: World) -> None:
    world.kinesis.keeps_showing("ACTIVE", KEY)
    rule_is_removed(world)
    answer = world.succeeds(poll(seen_changing=True))
    assert answer["Data"]["Changed"] == "false"
    assert answer["PhysicalResourceId"] == STREAM


def test_accepted_change_is_not_asked_for_again(world: World, aimed: list[dict[str, Any]]) -> None:
    world.kinesis.shows("ACTIVE")
    world.invoke(poll(accepted=True))
    assert aimed[-1]["doubted_since"] == SINCE


def test_accepted_change_that_does_not_show_is_doubted_over_invocations(world: World) -> None:
    world.clock.sleep(60)
    world.kinesis.shows("ACTIVE")
    rule_is_removed(world)
    reason = world.fails(poll(accepted=True, doubted_since=SINCE))
    assert "somebody else changed it" in reason


def test_unanswered_change_is_given_time_to_show(world: World, aimed: list[dict[str, Any]]) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.clock.sleep(9.5)
    world.invoke(poll(unanswered_since=SINCE))
    assert aimed[-1]["accepted"] is False


def test_unanswered_change_that_has_not_shown_is_asked_for_again(
    world: World, aimed: list[dict[str, Any]]
) -> None:
    world.clock.sleep(10.5)
    world.kms.shows()
    world.kinesis.shows("ACTIVE", times=2)
    world.cloudformation.fails("describe_stack_resource", "AccessDenied")
    world.kinesis.starts()
    world.invoke(poll(unanswered_since=SINCE))
    assert aimed[-1]["accepted"] is True
    assert aimed[-1]["since"] == SINCE + 10.5
    assert aimed[-1]["physical_id"] == MARKED


def test_denial_is_borne_over_invocations_and_no_longer(world: World) -> None:
    action = "kinesis:DescribeStreamSummary"
    world.clock.sleep(61)
    world.kinesis.fails("describe_stream_summary", "AccessDeniedException", "no policy allows it")
    rule_is_removed(world)
    reason = world.fails(poll(seen_changing=True, refused_since={action: SINCE}))
    assert reason.startswith(f"Access denied to {action}")


def test_denial_that_has_just_begun_is_handed_over(
    world: World, aimed: list[dict[str, Any]]
) -> None:
    world.kinesis.fails("describe_stream_summary", "AccessDeniedException", "no policy allows it")
    world.invoke(poll(seen_changing=True))
    assert aimed[-1]["refused_since"] == {"kinesis:DescribeStreamSummary": SINCE}


def test_denial_that_is_over_is_forgotten(world: World, aimed: list[dict[str, Any]]) -> None:
    action = "kinesis:DescribeStreamSummary"
    world.kinesis.shows("UPDATING")
    world.invoke(poll(seen_changing=True, refused_since={action: SINCE}))
    assert aimed[-1]["refused_since"] == {}


def test_denial_to_look_at_the_key_that_is_over_is_forgotten(
    world: World, aimed: list[dict[str, Any]]
) -> None:
    world.kms.shows()
    world.kinesis.shows("UPDATING")
    world.invoke(poll(refused_since={"kms:DescribeKey": SINCE}))
    assert aimed[-1]["refused_since"] == {}


def test_stop_goes_on_in_another_invocation(world: World, aimed: list[dict[str, Any]]) -> None:
    world.kinesis.shows("UPDATING", KEY)
    world.invoke(poll("Delete", accepted=True, physical_id=MARKED))
    assert aimed[-1]["accepted"] is True
    world.kinesis.shows("ACTIVE")
    rule_is_removed(world)
    answer = world.succeeds(poll("Delete", accepted=True, physical_id=MARKED))
    assert answer["PhysicalResourceId"] == MARKED


class TestLooksAreAsSeldomAsTheWaitIsLong:
    """Also where invocations come each minute: a fleet of waits shares 20 looks a second."""

    @pytest.mark.parametrize(("waited", "ahead"), [(1200, 180), (2000, 300)])
    def test_look_that_is_not_due_is_left_to_a_later_invocation(
        self, world: World, aimed: list[dict[str, Any]], waited: float, ahead: float
    ) -> None:
        world.clock.sleep(waited)
        world.kinesis.shows("UPDATING", KEY)
        world.invoke(poll(accepted=True, physical_id=MARKED))
        due = aimed[-1]["look_due"]
        assert due - world.clock.now() == pytest.approx(ahead)
        again = poll(accepted=True, physical_id=MARKED, look_due=due)
        world.clock.sleep(ahead - 31)
        world.invoke(again)
        assert aimed[-1]["look_due"] == due
        assert world.puts == []
        world.clock.sleep(1)
        world.kinesis.keeps_showing("ACTIVE", KEY)
        rule_is_removed(world)
        world.succeeds(again)

    def test_stop_is_looked_at_as_seldom(self, world: World, aimed: list[dict[str, Any]]) -> None:
        world.clock.sleep(1200)
        world.kinesis.shows("UPDATING", KEY)
        world.invoke(poll("Delete", accepted=True, physical_id=MARKED))
        assert aimed[-1]["look_due"] == pytest.approx(SINCE + 1380)

    def test_stream_that_is_no_longer_changing_is_looked_at_next_time(
        self, world: World, aimed: list[dict[str, Any]]
    ) -> None:
        world.clock.sleep(1200)
        world.kinesis.shows("ACTIVE")
        world.invoke(poll(accepted=True, look_due=SINCE + 1230))
        assert aimed[-1]["look_due"] == 0

    def test_last_invocation_looks_whether_due_or_not(self, world: World) -> None:
        world.clock.sleep(3600 - 135)
        world.kinesis.keeps_showing("ACTIVE", KEY)
        rule_is_removed(world)
        world.succeeds(poll(accepted=True, physical_id=MARKED, look_due=SINCE + 3700))

    def test_last_invocation_looks_until_the_deadline(self, world: World) -> None:
        times = world.kinesis.times_of("DescribeStreamSummary", world.clock)
        world.clock.sleep(3600 - 135)
        world.kinesis.keeps_showing("UPDATING", KEY)
        rule_is_removed(world)
        world.fails(poll(accepted=True, physical_id=MARKED))
        assert [time - times[0] for time in times] == [0, 75]
