"""When the looks come: soon enough for one stream, and seldom enough for a fleet."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.unit.world import KEY, World, event

THROTTLED = "LimitExceededException", "Rate exceeded for account 111122223333."
SOONEST, LATEST = 0.0, 1.0


def looks(world: World) -> list[float]:
    return world.kinesis.times_of("DescribeStreamSummary", world.clock)


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def throttle_looks(world: World, times: int) -> None:
    for _ in range(times):
        world.kinesis.fails("describe_stream_summary", *THROTTLED)


def start(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()


def end(world: World) -> None:
    """Show the stream as wanted, to the look that settles it too."""
    world.kinesis.keeps_showing("ACTIVE", KEY)


class TestAlone:
    """Nobody else calls: the lag behind the end of a change is a fraction of its duration."""

    @pytest.mark.parametrize(("chance", "deviation"), [(SOONEST, 0.9), (0.5, 1), (LATEST, 1.1)])
    def test_next_look_comes_after_a_fraction_of_the_time_waited(
        self, world: World, chance: float, deviation: float
    ) -> None:
        world.chance = chance
        times = looks(world)
        start(world)
        world.kinesis.keeps_showing("UPDATING", KEY)
        world.fails(event(ServiceTimeout="3600"))
        expected = [max(0.15 * time, 0.59) * deviation for time in times]
        assert gaps(times)[:-1] == pytest.approx(expected[:-2])

    def test_last_look_falls_on_the_deadline(self, world: World) -> None:
        times = looks(world)
        start(world)
        world.kinesis.keeps_showing("UPDATING", KEY)
        world.fails(event(ServiceTimeout="180"))
        assert times[-1] == 120

    def test_what_was_waited_for_before_our_change_does_not_count(self, world: World) -> None:
        times = looks(world)
        world.kms.shows()
        world.kinesis.shows("UPDATING", times=20)
        world.kinesis.shows("ACTIVE")
        world.cloudformation.fails("describe_stack_resource", "AccessDenied")
        world.kinesis.shows("ACTIVE")
        world.kinesis.starts()
        world.kinesis.shows("UPDATING", KEY)
        end(world)
        world.succeeds(event())
        assert gaps(times)[18] > 1
        assert gaps(times)[21] == pytest.approx(0.59)


class TestFleet:
    """As many streams as the provider serves may share 20 calls a second."""

    @pytest.mark.parametrize(
        ("streams", "room"), [("1", 2), ("8", 2), ("25", 6), ("100", 24), ("500", 120)]
    )
    def test_throttled_first_look_comes_again_within_the_time_that_all_need(
        self, world: World, streams: str, room: float
    ) -> None:
        world.environ["STREAMS"] = streams
        world.chance = LATEST
        times = looks(world)
        throttle_looks(world, 1)
        end(world)
        world.succeeds(event("Update"))
        assert gaps(times)[0] == pytest.approx(room)

    def test_without_a_count_twenty_streams_are_assumed(self, world: World) -> None:
        world.chance = LATEST
        times = looks(world)
        throttle_looks(world, 1)
        end(world)
        world.succeeds(event("Update"))
        assert gaps(times)[0] == pytest.approx(4.8)

    def test_first_look_may_come_again_at_once(self, world: World) -> None:
        world.chance = SOONEST
        throttle_looks(world, 1)
        world.kinesis.shows("ACTIVE", KEY)
        world.succeeds(event("Update"))
        assert world.clock.elapsed == 0

    @pytest.mark.parametrize(("streams", "room"), [("1", 2), ("20", 2), ("50", 5), ("100", 8)])
    def test_throttled_look_after_the_change_keeps_its_place(
        self, world: World, streams: str, room: float
    ) -> None:
        world.environ["STREAMS"] = streams
        world.chance = LATEST
        times = looks(world)
        start(world)
        throttle_looks(world, 1)
        end(world)
        world.succeeds(event())
        assert gaps(times)[1] == pytest.approx(room)

    @pytest.mark.parametrize(("streams", "room"), [("1", 2), ("50", 5), ("100", 8)])
    def test_throttled_start_keeps_its_place(self, world: World, streams: str, room: float) -> None:
        world.environ["STREAMS"] = streams
        world.chance = LATEST
        times = looks(world)
        world.kms.shows()
        world.kinesis.shows("ACTIVE")
        world.kinesis.fails("start_stream_encryption", *THROTTLED)
        world.cloudformation.fails("describe_stack_resource", "AccessDenied")
        world.cloudformation.open_ended = True
        end(world)
        world.succeeds(event())
        assert gaps(times)[0] == pytest.approx(room)

    @pytest.mark.parametrize(("streams", "room"), [("1", 2), ("50", 5), ("100", 8)])
    def test_once_throttled_looks_stay_further_apart(
        self, world: World, streams: str, room: float
    ) -> None:
        world.environ["STREAMS"] = streams
        times = looks(world)
        start(world)
        throttle_looks(world, 1)
        world.kinesis.shows("UPDATING", KEY, times=2)
        end(world)
        world.succeeds(event())
        assert gaps(times)[2:4] == pytest.approx([room, room])

    def test_throttling_never_brings_looks_closer_together(self, world: World) -> None:
        world.environ["STREAMS"] = "1"
        times = looks(world)
        start(world)
        world.kinesis.shows("UPDATING", KEY, times=25)
        throttle_looks(world, 1)
        world.kinesis.shows("UPDATING", KEY)
        end(world)
        world.succeeds(event())
        assert gaps(times)[-2] > 5

    def test_with_each_refusal_in_a_row_there_is_more_room_up_to_two_minutes(
        self, world: World
    ) -> None:
        world.chance = LATEST
        times = looks(world)
        throttle_looks(world, 50)
        world.kinesis.open_ended = True
        world.fails(event("Update", ServiceTimeout="3600"))
        expected = [4.8]
        while len(expected) < len(times) - 2:
            expected.append(min(expected[-1] * 1.3, 120))
        assert gaps(times)[:-1] == pytest.approx(expected)
        assert expected[-1] == 120


def test_look_without_an_answer_comes_again_within_two_seconds(world: World) -> None:
    world.chance = LATEST
    times = looks(world)
    world.kinesis.fails("describe_stream_summary", "InternalFailure", status=500)
    end(world)
    world.succeeds(event("Update"))
    assert gaps(times)[0] == pytest.approx(2)


def test_looks_are_even_again_after_a_success(world: World) -> None:
    world.chance = LATEST
    times = looks(world)
    world.kinesis.fails("describe_stream_summary", "InternalFailure", status=500)
    world.kinesis.shows("UPDATING", times=2)
    end(world)
    world.succeeds(event("Update"))
    assert gaps(times)[1:3] == pytest.approx([0.59 * 1.1, 0.59 * 1.1])
