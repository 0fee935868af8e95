"""Arithmetic of the benchmark, whose errors would only show as wrong figures; and its page."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.__main__ import SECTIONS, all_targets
from benchmarks.figures import PROJECT, Verdict, judge_interval, load, ratio, summary
from benchmarks.fleet import bound
from benchmarks.lag import lag_targets, tolerated
from benchmarks.page import format_page
from benchmarks.simulation.alternatives import THIS


def lag(name: str, updating: float, median: float, n: int = 100) -> dict[str, Any]:
    figures = {"n": n, "median": median, "p99": median}
    return {"alternative": name, "updating": updating, "lag": figures, "failed": 0}


def verdicts(rows: list[dict[str, Any]]) -> list[Verdict]:
    return [target.verdict for target in lag_targets(rows, "here")]


def test_percentile_is_by_nearest_rank() -> None:
    assert summary([3.0, 1.0, 2.0])["p99"] == 3.0
    assert summary([float(value) for value in range(1, 201)])["p99"] == 198.0


def test_ratio_has_an_interval_around_its_median() -> None:
    values = [float(value) for value in range(50)]
    figures = ratio(values, [1.0] * 50)
    low, high = figures["95 %"]
    assert low < figures["median"] == 24.5 < high


def test_bound_is_that_of_the_slower_quota() -> None:
    assert bound(500) == pytest.approx(99 + 4 + 5)
    assert bound(1) == pytest.approx(4 + 5)


def test_lag_is_tolerated_in_proportion_to_short_waits_only() -> None:
    assert [tolerated(at) for at in (1.0, 10.0, 30.0, 3000.0)] == [0.5, 1.0, 1.5, 1.5]


def test_few_samples_are_undecided() -> None:
    rows = [lag(THIS, 3.0, 0.1, n=1), lag("Terraform", 3.0, 9.0)]
    assert set(verdicts(rows)) == {Verdict.UNDECIDED}


def test_failure_misses_the_target() -> None:
    assert verdicts([lag(THIS, 3.0, 0.1) | {"failed": 1}]) == [Verdict.MISSED]


def test_alternative_that_is_quicker_once_misses_the_target() -> None:
    rows = [lag(THIS, 3.0, 0.4), lag(THIS, 10.0, 0.9), lag("Terraform", 3.0, 9.0)]
    assert Verdict.MISSED not in verdicts(rows)
    assert Verdict.MISSED in verdicts([*rows, lag("Terraform", 10.0, 0.8)])


def test_interval_that_contains_the_limit_is_undecided() -> None:
    assert judge_interval((0.9, 1.1), 1.0) is Verdict.UNDECIDED
    assert judge_interval((0.9, 1.0), 1.0) is Verdict.MET
    assert judge_interval((1.1, 1.2), 1.0) is Verdict.MISSED


def test_page_is_generated_from_the_committed_figures() -> None:
    sections = load(PROJECT / "docs" / "performance" / "figures.json")
    assert sections.keys() == SECTIONS.keys()
    page = format_page(sections, SECTIONS, all_targets(sections))
    assert (PROJECT / "docs" / "performance.md").read_text() == page, "python -m benchmarks --page"
