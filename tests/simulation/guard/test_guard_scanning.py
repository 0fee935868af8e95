"""Scans of many streams: in time, within the quotas, and in chains that Lambda does not stop."""

from __future__ import annotations

import pytest

from benchmarks.simulation.guard import scan
from stream_encryption.guard import scan as scan_module


@pytest.mark.parametrize(("streams", "minutes", "continuations"), [(100, 1, 2), (5_000, 22, 3)])
def test_scan_is_in_time_and_leaves_quota_to_other_callers(
    streams: int, minutes: int, continuations: int
) -> None:
    figures = scan(streams)
    assert figures.checks == streams
    assert figures.minutes <= minutes
    assert figures.continuations <= continuations
    assert (figures.stopped, figures.throttled) == (0, 0)
    assert figures.most_checks_in_a_second <= 10, "of 20"
    assert figures.checks_a_second <= 5.5
    assert figures.most_lists_in_a_second <= 3, "of 5"


def test_chain_that_is_too_long_is_stopped_by_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model drops the seventeenth invocation: a message has to be good for many pages."""
    monkeypatch.setattr(scan_module, "PAGES", 1)
    figures = scan(2_000)
    assert figures.stopped > 0
    assert figures.checks < 2_000
