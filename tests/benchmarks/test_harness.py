"""The benchmark's own arithmetic: what a wrong figure would come from."""

from __future__ import annotations

import pytest

from benchmarks.figures import interval, summary
from benchmarks.fleet import bound
from benchmarks.simulation.service import Quota
from benchmarks.targets import Verdict, _lag_targets, tolerated_lag


def test_percentile_of_few_values_is_the_largest() -> None:
    assert summary([3.0, 1.0, 2.0])["p99"] == 3.0


def test_percentile_of_many_values_is_by_nearest_rank() -> None:
    assert summary([float(value) for value in range(1, 201)])["p99"] == 198.0


def test_interval_holds_the_median_and_is_repeatable() -> None:
    values = [float(value) for value in range(50)]
    low, high = interval(values)
    assert low < 24.5 < high
    assert interval(values) == (low, high)


def test_quota_admits_its_burst_and_then_its_rate() -> None:
    quota = Quota(rate=20, burst=20)
    assert sum(quota.admits(100.0) for _ in range(500)) == 20
    assert sum(quota.admits(101.0) for _ in range(500)) == 20
    assert sum(quota.admits(200.0) for _ in range(500)) == 20


def test_bound_is_set_by_the_scarcer_quota() -> None:
    assert bound("ours", 500) == pytest.approx(99 + 4 + 5)
    assert bound("ours", 1) == pytest.approx(4 + 5)


def test_few_samples_decide_nothing_even_when_they_look_good() -> None:
    good = {"peer": "ours", "updating": 3.0, "lag": {"n": 1, "median": 0.1, "p99": 0.1}}
    assert {each.verdict for each in _lag_targets([good], "here")} == {Verdict.UNDECIDED}


def test_tolerated_lag_has_a_floor() -> None:
    assert (tolerated_lag(1.0), tolerated_lag(30.0)) == (0.5, 3.0)
