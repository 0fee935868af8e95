"""The benchmark's own arithmetic: what a wrong figure would come from."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.cold_start import seconds
from benchmarks.figures import interval, summary
from benchmarks.fleet import bound
from benchmarks.simulation.service import Quota
from benchmarks.targets import Verdict, _below, _lag_targets, _shorter_targets, tolerated_lag


def lag(peer: str, updating: float, median: float, n: int = 100) -> dict[str, Any]:
    found = {"n": n, "median": median, "p99": median}
    return {"peer": peer, "updating": updating, "lag": found, "failed": 0}


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


def test_imports_run_at_a_full_vcpu_and_the_client_at_the_share_of_the_size() -> None:
    row = {"imports": {"median": 0.2}, "client": {"median": 0.1}}
    assert seconds(row, 1769) == pytest.approx(0.3)
    assert seconds(row, 128) == pytest.approx(0.2 + 0.1 * 1769 / 128)


def test_few_samples_decide_nothing_even_when_they_look_good() -> None:
    found = [*_lag_targets([lag("ours", 3.0, 0.1, n=1)], "here")]
    found += _shorter_targets([lag("ours", 3.0, 0.1, n=1), lag("Terraform", 3.0, 9.0)], "here")
    assert {each.verdict for each in found} == {Verdict.UNDECIDED}


def test_a_run_that_failed_misses_the_target_however_short_the_others_are() -> None:
    (found,) = _lag_targets([lag("ours", 3.0, 0.1) | {"failed": 1}], "here")
    assert found.verdict is Verdict.MISSED


def test_one_time_at_which_a_peer_is_quicker_misses_the_target() -> None:
    rows = [lag(peer, at, 1.0) for peer in ("ours", "Terraform") for at in (3.0, 10.0)]
    rows[2]["lag"]["median"] = 5.0
    (found,) = _shorter_targets(rows, "here")
    assert found.verdict is Verdict.MISSED


def test_interval_that_holds_the_limit_decides_nothing() -> None:
    assert _below([0.9, 1.1], 1.0) is Verdict.UNDECIDED
    assert _below([0.9, 1.0], 1.0) is Verdict.MET
    assert _below([1.1, 1.2], 1.0) is Verdict.MISSED


@pytest.mark.parametrize(
    ("updating", "allowed"), [(1.0, 0.5), (10.0, 1.0), (30.0, 1.5), (3000.0, 1.5)]
)
def test_tolerated_lag_grows_with_short_waits_only(updating: float, allowed: float) -> None:
    assert tolerated_lag(updating) == allowed
