"""Sweeps of many streams: in time, within the quotas, and in chains that Lambda does not stop."""

from __future__ import annotations

import pytest

from stream_encryption.guard import scan as scan_module
from tests.simulation.guard.sweeping import sweep


@pytest.mark.parametrize(("streams", "minutes", "hops"), [(100, 1, 2), (5_000, 22, 3)])
def test_sweep_is_in_time_and_leaves_others_their_share(
    streams: int, minutes: int, hops: int
) -> None:
    swept = sweep(streams)
    assert swept.looks == streams
    assert swept.minutes <= minutes
    assert swept.hops <= hops
    assert (swept.stopped, swept.throttled) == (0, 0)
    assert swept.most_looks_in_a_second <= 10, "of 20"
    assert swept.looks_a_second <= 5.5
    assert swept.most_lists_in_a_second <= 3, "of 5"


def test_chain_that_is_too_long_is_stopped_by_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model drops the seventeenth hop: a message has to be good for many pages."""
    monkeypatch.setattr(scan_module, "PAGES", 1)
    swept = sweep(2_000)
    assert swept.stopped > 0
    assert swept.looks < 2_000
