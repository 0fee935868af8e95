"""Lag of a single stream, for short and long changes, simulated."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from benchmarks.figures import Row, Target, judge, show, summary, table
from benchmarks.simulation.alternatives import ALTERNATIVES, THIS, Alternative, wait_after_active
from benchmarks.simulation.service import Completion, Services
from simulated_aws.scheduler import BEGIN

UPDATING = (0.5, 1.0, 3.0, 10.0, 30.0, 300.0, 600.0, 1800.0, 3000.0)
"""Seconds that a change takes."""

_ON_PAGE = (0.5, 3.0, 10.0, 30.0, 300.0, 3000.0)
_CALLS_ON_PAGE = 300.0

_SPREAD = 0.15
"""Relative deviation of a change from that time, so that it fits no polling interval by chance."""

_SERVICE_TIMEOUT = 3600
_MAX_P99 = 3.0
_MAX_CALLS_PER_SECOND = 0.55
_ONE_INVOCATION, _SEVERAL_INVOCATIONS = 600.0, 1800.0
_CONTINUATION_TOLERANCE = 0.1
_MIN_SAMPLES, _MIN_SAMPLES_ALTERNATIVE = 5, 2
_SLOWER = ("Provider, every 5 s", "crhelper, poll_create", "Terraform")


def measure(*, quick: bool) -> list[Row]:
    """Simulate all alternatives at all UPDATING times."""
    runs = 60 if quick else 500
    show(f"lag: {runs} simulated runs of each alternative and UPDATING time")
    return [
        _row(name, alternative, updating, runs)
        for updating in UPDATING
        for name, alternative in ALTERNATIVES.items()
    ]


def targets(rows: list[Row]) -> Iterator[Target]:
    """Evaluate the targets of this section."""
    yield from lag_targets(rows, "simulated")
    this = {row["updating"]: row for row in rows if row["alternative"] == THIS}
    per_second = {at: row["calls"]["median"] / at for at, row in this.items() if at >= 300}
    at = max(per_second, key=lambda at: per_second[at])
    yield Target(
        f"describe calls per second from 300 s on: ≤ {_MAX_CALLS_PER_SECOND:g}",
        f"{per_second[at]:.2f} at {at:g} s",
        judge(per_second[at] <= _MAX_CALLS_PER_SECOND),
    )
    before = this[_ONE_INVOCATION]["lag"]
    after = max(
        (this[at]["lag"] or {"p99": float("inf")})["p99"]
        for at in this
        if at >= _SEVERAL_INVOCATIONS
    )
    yield Target(
        f"p99 lag after a continuation: ≤ {_CONTINUATION_TOLERANCE:g} s more than before",
        f"{after:.2f} s, before {before['p99']:.2f} s" if before else "failed",
        judge(bool(before) and after <= before["p99"] + _CONTINUATION_TOLERANCE),
    )


def lag_targets(rows: list[Row], place: str) -> Iterator[Target]:
    """Evaluate the targets of the lag, simulated or deployed."""
    this = {row["updating"]: row for row in rows if row["alternative"] == THIS}
    if failed := [f"{at:g} s" for at, row in this.items() if row["failed"]]:
        yield Target(f"lag, {place}", f"failures at {', '.join(failed)}", judge(False))
        return
    lags = {at: row["lag"] for at, row in this.items()}
    enough = min(lag["n"] for lag in lags.values()) >= _MIN_SAMPLES
    at = max(lags, key=lambda at: lags[at]["median"] / tolerated(at))
    yield Target(
        f"median lag, {place}: ≤ max(0.5 s, 10 %) up to 10 s of UPDATING, then ≤ 1.5 s",
        f"closest at {at:g} s: {lags[at]['median']:.2f} s of {tolerated(at):.2f} s",
        judge(lags[at]["median"] <= tolerated(at), enough=enough),
    )
    p99 = max(lag["p99"] for lag in lags.values())
    yield Target(
        f"p99 lag, {place}: ≤ {_MAX_P99:g} s", f"{p99:.2f} s", judge(p99 <= _MAX_P99, enough=enough)
    )
    for name in _SLOWER:
        pairs = [
            (lags[row["updating"]], row["lag"])
            for row in rows
            if row["alternative"] == name and row["lag"]
        ]
        if pairs:
            one, other = max(pairs, key=lambda pair: pair[0]["median"] / pair[1]["median"])
            yield Target(
                f"median lag, {place}: shorter than {name}",
                f"closest: {one['median']:.2f} s, {other['median']:.2f} s",
                judge(
                    one["median"] < other["median"],
                    enough=enough and other["n"] >= _MIN_SAMPLES_ALTERNATIVE,
                ),
            )


def tolerated(updating: float) -> float:
    """Return the median lag in seconds that the target allows."""
    return max(0.5, 0.1 * updating) if updating <= 10 else 1.5


def page(rows: list[Row]) -> str:
    """Format the section of the page."""
    by_alternative: dict[str, dict[float, Row]] = {}
    for row in rows:
        by_alternative.setdefault(row["alternative"], {})[row["updating"]] = row
    lags = table(
        ("UPDATING", *(f"{at:g} s" for at in _ON_PAGE), f"calls at {_CALLS_ON_PAGE:g} s"),
        [
            (
                name,
                *(_cell(found[at]) for at in _ON_PAGE),
                f"{found[_CALLS_ON_PAGE]['calls']['median']:g}",
            )
            for name, found in by_alternative.items()
        ],
    )
    return f"""
## Lag of one stream

*Lag* is the time from the stream becoming ACTIVE to the response. Kinesis takes up to five more
seconds until every record is encrypted. This construct waits for them and no alternative does, so
its lag excludes them: **its response arrives five seconds later than its lag indicates**, and the
response of an alternative may arrive before the stream is fully encrypted.

Simulated: the real handler, and models of how the alternatives wait. Call latencies are assumed
and the same for all; changes deviate by ±{_SPREAD:.0%} from the time given. Seconds, median (p99);
a negative lag is a response before ACTIVE. The last column counts DescribeStreamSummary calls.

{lags}

The next describe call comes after 15 % of the time waited, at least 0.6 s and at most 2 s. Polling
every second is quicker after long changes, and uses about twice the calls of a quota that all
deployments of the account share.
"""


def _cell(row: Row) -> str:
    if row["lag"] is None:
        return "all failed"
    cell = f"{row['lag']['median']:.1f} ({row['lag']['p99']:.1f})"
    return f"{cell}, {row['failed']} failed" if row["failed"] else cell


def _row(name: str, alternative: Alternative, updating: float, runs: int) -> Row:
    lags, calls, failed = [], [], 0
    for run in range(runs):
        # The same changes for every alternative.
        duration = updating * Random(run).uniform(1 - _SPREAD, 1 + _SPREAD)
        completion, active_at, count = _run(alternative, duration, seed=run)
        calls.append(count)
        if completion.succeeded:
            lags.append(completion.time - active_at - wait_after_active(name))
        else:
            failed += 1
    return {
        "alternative": name,
        "updating": updating,
        "lag": summary(lags) if lags else None,
        "calls": summary(calls),
        "failed": failed,
    }


def _run(alternative: Alternative, updating: float, seed: int) -> tuple[Completion, float, int]:
    services = Services(Random(seed))
    stream = services.create("orders", updating_for=updating)
    completions: list[Completion] = []
    scheduler = services.scheduler
    scheduler.spawn(lambda: completions.append(alternative(services, stream, _SERVICE_TIMEOUT)))
    scheduler.run(BEGIN + 8000)
    (change,) = stream.changes
    return completions[0], change.when + updating, services.described[stream.name]
