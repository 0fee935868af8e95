"""A wait that outlasts its invocation goes on in the next, which knows what this one knew."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from tests.unit.world import KEY, OTHER_KEY, STREAM, World, event, refused

LONG = event(ServiceTimeout="3600")


@pytest.fixture(autouse=True)
def _short_invocations(world: World) -> None:
    world.function_timeout = 180


def hands_over(world: World, sent: dict[str, Any] = LONG) -> dict[str, Any]:
    """Let an invocation hand its wait over; return the event of the next."""
    handed = world.invokes_itself()
    world.invoke(sent)
    assert world.puts == []
    return handed[-1]


def starts_and_hands_over(world: World) -> dict[str, Any]:
    world.kinesis.shows("ACTIVE")
    world.changes()
    world.kinesis.keeps_showing("UPDATING", KEY)
    return hands_over(world)


def test_wait_goes_on_and_is_answered_once(world: World) -> None:
    again = starts_and_hands_over(world)
    assert world.clock.elapsed == pytest.approx(120, abs=2), "a minute before the end"
    assert {name: again[name] for name in LONG} == LONG
    world.kinesis.shows_only("UPDATING", KEY, times=10)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    answer = world.succeeds(again)
    assert answer["PhysicalResourceId"] == STREAM
    assert answer["Data"]["KeyArn"] == KEY
    assert world.logged("settling")
    assert len(world.puts) == 1


def test_wait_that_ends_in_time_asks_nobody(world: World) -> None:
    world.function_timeout = 900
    world.kinesis.keeps_showing("UPDATING")
    world.fails(event(ServiceTimeout="660"))
    assert world.clients_made == ["kinesis"]


def test_delivered_twice_it_does_no_harm(world: World) -> None:
    again = starts_and_hands_over(world)
    world.kinesis.shows_only("ACTIVE", KEY, times=4)
    first, second = world.succeeds(deepcopy(again)), world.succeeds(again)
    assert first == second


class TestWhatIsKnown:
    def test_accepted_change_is_not_asked_for_again(self, world: World) -> None:
        again = starts_and_hands_over(world)
        world.kinesis.shows_only("ACTIVE", times=3)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(again)

    def test_accepted_change_that_others_undid_is_told(self, world: World) -> None:
        again = starts_and_hands_over(world)
        world.kinesis.keeps_showing("ACTIVE", OTHER_KEY)
        assert "somebody else changed it" in world.fails(again)

    def test_change_of_others_is_settled(self, world: World) -> None:
        world.kinesis.keeps_showing("UPDATING")
        again = hands_over(world)
        world.kinesis.shows_only("ACTIVE", KEY, times=2)
        began = world.clock.elapsed
        world.succeeds(again)
        assert world.clock.elapsed == began + 5

    def test_change_without_an_answer_is_given_time_to_show(self, world: World) -> None:
        world.kinesis.keeps_showing("ACTIVE")
        world.allows_changes()
        world.kinesis.takes("DescribeStreamSummary", world.clock, 119)

        def answer(number: int) -> None:
            if number == 1:
                raise ReadTimeoutError(endpoint_url="https://kinesis")
            world.kinesis.shows_only("ACTIVE", KEY, times=2)

        asked = world.kinesis.asks(world.clock, answer)
        world.succeeds(hands_over(world))
        assert len(asked) == 2
        assert asked[1] - asked[0] >= 10

    def test_spent_quota_is_borne_for_four_minutes_in_all(self, world: World) -> None:
        world.kinesis.keeps_showing("ACTIVE")
        world.allows_changes()
        spent = "Rate exceeded for stream orders under account 111122223333."

        def answer(_: int) -> None:
            raise refused("LimitExceededException", spent)

        world.kinesis.asks(world.clock, answer)
        handed = world.invokes_itself(2)
        world.invoke(LONG)
        while not world.puts:
            world.invoke(handed[-1])
        assert world.puts[0]["Reason"].startswith(f"Stream {STREAM} has spent its 25")
        assert world.clock.elapsed == pytest.approx(240, abs=10)
        assert len(handed) == 2


class TestInvoking:
    """The next invocation is asked for until there is no time left for more than an answer."""

    @pytest.mark.parametrize(
        "error",
        [
            refused("TooManyRequestsException", "Rate exceeded"),
            refused("AccessDeniedException", "no resource-based policy allows it"),
            ReadTimeoutError(endpoint_url="https://lambda"),
        ],
        ids=str,
    )
    def test_passing_trouble_is_borne(self, world: World, error: Exception) -> None:
        world.kinesis.keeps_showing("UPDATING")
        client, tries = world.functions.client, []

        def invoke(**arguments: Any) -> dict[str, Any]:
            tries.append(arguments)
            if len(tries) == 1:
                raise error
            return {"StatusCode": 202}

        client.invoke = invoke
        world.invoke(LONG)
        assert len(tries) == 2
        assert world.puts == []

    def test_lacking_right_is_named_in_time(self, world: World) -> None:
        world.kinesis.keeps_showing("UPDATING")
        world.functions.keeps_failing("invoke", "AccessDeniedException", "no policy allows it")
        reason = world.fails(LONG)
        assert "could not go on in another invocation (lambda:InvokeFunction" in reason
        assert "Allow lambda:InvokeFunction in the identity-based policies of the" in reason
        assert world.clock.elapsed == pytest.approx(180 - 18, abs=0.1)

    def test_kind_of_policy_that_denies_it_is_named(self, world: World) -> None:
        world.kinesis.keeps_showing("UPDATING")
        message = "because no permissions boundary allows the lambda:InvokeFunction action"
        world.functions.keeps_failing("invoke", "AccessDeniedException", message)
        remedy = "Allow lambda:InvokeFunction in the permissions boundary of the function's role."
        assert remedy in world.fails(LONG)

    def test_lacking_endpoint_is_named_in_time(self, world: World) -> None:
        world.kinesis.keeps_showing("UPDATING")
        tries = world.functions.hangs("invoke", world.clock, 2, ConnectTimeoutError)
        reason = world.fails(LONG)
        assert "ConnectTimeoutError" in reason
        assert "In a VPC, provide access to the Lambda endpoint." in reason
        assert len(tries) > 3
        assert world.clock.elapsed < 175

    def test_there_are_four_hops_at_most(self, world: World) -> None:
        world.kinesis.keeps_showing("UPDATING")
        handed = world.invokes_itself(4)
        world.invoke(LONG)
        while not world.puts:
            world.invoke(handed[-1])
        assert len(handed) == 4
        assert "was not confirmed ACTIVE" in world.puts[0]["Reason"]
        assert world.clock.elapsed == pytest.approx(4 * 120 + 164), "the last waits to its end"


@pytest.mark.parametrize("field", [{"Version": 0}, {"Version": "1"}, {}, [], "text", None])
def test_what_other_code_has_written_is_left_aside(world: World, field: object) -> None:
    """When a stack is rolled back, older code may find what newer code has handed over."""
    world.kinesis.shows("ACTIVE")
    world.changes()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    if isinstance(field, dict):
        field = {**field, "Hops": 9, "Issued": 0, "Progress": {"accepted": True, "since": 0}}
    world.succeeds({**event(), "HandedOver": field})


def test_presigned_url_is_not_logged(world: World) -> None:
    world.kinesis.keeps_showing("UPDATING")
    world.functions.fails("invoke", "TooManyRequestsException", status=429)
    hands_over(world)
    assert "Signature" not in world.log_text
