"""Polling intervals: short enough for one stream, long enough for a fleet."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.unit.stubs import KEY, StubbedAws, event, refused

THROTTLED = "LimitExceededException", "Rate exceeded for account 111122223333."


def polls(aws: StubbedAws) -> list[float]:
    return aws.kinesis.times_of("DescribeStreamSummary", aws.clock)


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize("chance", [0, 1])
def test_interval_is_a_fraction_of_the_time_waited(aws: StubbedAws, chance: float) -> None:
    """Jitter follows only throttling."""
    aws.chance = chance
    times = polls(aws)
    aws.kinesis.keeps_showing("UPDATING")
    aws.fails(event(ServiceTimeout="180"))
    expected = [min(max(0.15 * time, 0.6), 2) for time in times]
    assert gaps(times)[:-1] == pytest.approx(expected[:-2])
    assert times[-1] == 120, "the last poll is at the deadline"


def test_wait_before_our_change_does_not_count(aws: StubbedAws) -> None:
    aws.kinesis.shows("UPDATING", times=12)
    aws.kinesis.shows("ACTIVE")
    aws.changes()
    times = polls(aws)
    aws.kinesis.shows("UPDATING", KEY)
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    aws.succeeds(event())
    assert gaps(times)[10] == pytest.approx(0.15 * times[10])
    assert gaps(times)[12:14] == pytest.approx([0.6, 0.6])


def test_intervals_are_unchanged_in_a_continuation(aws: StubbedAws) -> None:
    aws.function_timeout = 120
    times = polls(aws)
    events = aws.invokes_itself()
    aws.kinesis.keeps_showing("UPDATING")
    aws.invoke(event(ServiceTimeout="3600"))
    before = len(times)
    aws.kinesis.shows_only("UPDATING", times=3)
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    aws.invoke(events[0])
    assert gaps(times)[before - 3 : before - 2] == pytest.approx([2])
    assert gaps(times)[before:-1] == pytest.approx([2, 2, 2])


class TestThrottling:
    """Exponential backoff with full jitter: uniform between zero and the bound."""

    def test_pauses_double_up_to_45_seconds(self, aws: StubbedAws) -> None:
        aws.chance = 1
        times = polls(aws)
        aws.kinesis.keeps_failing("describe_stream_summary", *THROTTLED)
        aws.fails(event(ServiceTimeout="660"))
        assert gaps(times)[:-1] == [1, 2, 4, 8, 16, 32, *[45] * 11]

    def test_pause_may_be_zero(self, aws: StubbedAws) -> None:
        aws.chance = 0
        aws.kinesis.fails("describe_stream_summary", *THROTTLED, times=8)
        aws.kinesis.shows("ACTIVE", KEY)
        aws.succeeds(event())
        assert aws.clock.elapsed == 0

    def test_success_halves_the_bound(self, aws: StubbedAws) -> None:
        aws.chance = 1
        times = polls(aws)
        aws.kinesis.fails("describe_stream_summary", *THROTTLED, times=5)
        aws.kinesis.shows("UPDATING", times=2)
        aws.kinesis.fails("describe_stream_summary", *THROTTLED)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())
        assert gaps(times)[:8] == [1, 2, 4, 8, 16, 8, 4, 8]

    def test_throttled_starts_back_off(self, aws: StubbedAws) -> None:
        aws.chance = 1
        starts = aws.rejects_starts([refused(*THROTTLED)] * 5)
        aws.succeeds(event())
        pauses = gaps(starts)
        assert all(pause >= bound for pause, bound in zip(pauses, [1, 2, 4, 8, 16], strict=True))
        assert sum(pauses) < 31 + 5 * 3
