"""The targets, each judged by the figures that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from benchmarks.cold_start import OURS
from benchmarks.figures import load

_PATIENCE = 1.5
"""Seconds of lag allowed at the median of a long change."""

_P99 = 3.0
_LOOKS_A_SECOND, _LONG = 0.55, 300.0
_BEFORE, _AFTER, _SAME = 600.0, 1800.0, 0.1
"""Seconds of UPDATING within one invocation, and those from which on it takes several."""

_OF_THE_BOUND = 1.8
_MEMORY = 256
"""MB that the construct gives its function by default."""

_SYNTH = {1: 1.07, 100: 1.42, 480: 2.39}
"""Most that a synth takes of that of the stack written by hand, by streams."""

_BESIDES = 4
_ZIPPED = 64

_TOLD = {"warm": 2.0, "cold": 5.0}
"""Seconds from the event in the guard's queue to the notification."""

_SWEEP = 45.0
"""Minutes that a sweep of the most streams may take."""

_FEWEST, _FEWEST_OF_A_PEER = 5, 2
"""Samples below which a median decides nothing, whichever way it looks."""

_SLOWER = ("Provider, 5 s (default)", "crhelper poll_create", "Terraform")


class Verdict(Enum):
    """Whether a target is met."""

    MET = "met"
    MISSED = "MISSED"
    UNDECIDED = "undecided"
    """Too few samples, or the interval of confidence holds the target: too noisy a machine."""
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Judgement:
    """A target, the figure it is judged by, and the verdict."""

    target: str
    figure: str
    verdict: Verdict


def judge() -> list[Judgement]:
    """Judge all targets."""
    judgements: list[Judgement] = []
    for section, judging in (
        ("waits", _waits),
        ("local", _local),
        ("fleet", _fleet),
        ("cold_start", _cold_start),
        ("synth", _synth),
        ("guard", _guard),
    ):
        figures = load(section)
        if figures is None:
            judgements.append(Judgement(section, "no figures", Verdict.NOT_MEASURED))
        else:
            judgements += judging(figures["rows"])
    return judgements


def tolerated_lag(updating: float) -> float:
    """Seconds of lag that the target allows at the median."""
    return max(0.5, 0.1 * updating) if updating <= 10 else _PATIENCE


def _met(condition: bool, *, enough: bool = True) -> Verdict:
    if not enough:
        return Verdict.UNDECIDED
    return Verdict.MET if condition else Verdict.MISSED


def _below(interval: list[float], limit: float, *, enough: bool = True) -> Verdict:
    """Judge a ratio by its interval of confidence."""
    low, high = interval
    if not enough or low <= limit < high:
        return Verdict.UNDECIDED
    return _met(high <= limit)


def _lag_targets(rows: list[dict[str, Any]], where: str) -> Iterator[Judgement]:
    ours = [row for row in rows if row["peer"] == "ours"]
    if failed := [f"{row['updating']:g} s" for row in ours if row["failed"]]:
        yield Judgement(f"lag, {where}", f"runs failed at {', '.join(failed)}", Verdict.MISSED)
        return
    enough = min(row["lag"]["n"] for row in ours) >= _FEWEST
    row = max(ours, key=lambda row: row["lag"]["median"] / tolerated_lag(row["updating"]))
    allowed = tolerated_lag(row["updating"])
    yield Judgement(
        f"lag, {where}: median ≤ max(0.5 s, 10 %) up to 10 s of UPDATING, then ≤ {_PATIENCE:g} s",
        f"closest at {row['updating']:g} s: {row['lag']['median']:.2f} s of {allowed:.2f} s"
        f" (n = {row['lag']['n']})",
        _met(row["lag"]["median"] <= allowed, enough=enough),
    )
    row = max(ours, key=lambda row: row["lag"]["p99"])
    yield Judgement(
        f"lag, {where}: p99 ≤ {_P99:g} s at every time",
        f"longest at {row['updating']:g} s: {row['lag']['p99']:.2f} s (n = {row['lag']['n']})",
        _met(row["lag"]["p99"] <= _P99, enough=enough),
    )


def _shorter_targets(rows: list[dict[str, Any]], where: str) -> Iterator[Judgement]:
    lags = {(row["peer"], row["updating"]): row["lag"] for row in rows if row["lag"]}
    for peer in _SLOWER:
        pairs = {
            updating: (lags["ours", updating], lag)
            for (name, updating), lag in lags.items()
            if name == peer and ("ours", updating) in lags
        }
        if not pairs:
            continue
        closest = max(pairs, key=lambda at: pairs[at][0]["median"] / pairs[at][1]["median"])
        ours, theirs = pairs[closest]
        yield Judgement(
            f"lag, {where}: shorter than {peer} at every time measured",
            f"closest at {closest:g} s: {ours['median']:.2f} s against {theirs['median']:.2f} s"
            f" (n = {ours['n']}, {theirs['n']})",
            _met(
                ours["median"] < theirs["median"],
                enough=ours["n"] >= _FEWEST and theirs["n"] >= _FEWEST_OF_A_PEER,
            ),
        )


def _waits(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    yield from _lag_targets(rows, "simulated")
    yield from _shorter_targets(rows, "simulated")
    looks = {
        row["updating"]: row["looks"]["median"] / row["updating"]
        for row in rows
        if row["peer"] == "ours" and row["updating"] >= _LONG
    }
    most = max(looks, key=lambda updating: looks[updating])
    yield Judgement(
        f"≤ {_LOOKS_A_SECOND:g} looks a second from five minutes of UPDATING on",
        f"most at {most:g} s: {looks[most]:.3f}",
        _met(looks[most] <= _LOOKS_A_SECOND),
    )

    lags = {row["updating"]: row["lag"] for row in rows if row["peer"] == "ours" and row["lag"]}
    after = [lag["p99"] for updating, lag in lags.items() if updating >= _AFTER]
    if _BEFORE not in lags or not after:
        return  # told above
    longest, before = max(after), lags[_BEFORE]["p99"]
    yield Judgement(
        f"lag after a hand-over: p99 at most {_SAME:g} s above that before",
        f"{longest:.2f} s, {before:.2f} s before",
        _met(longest <= before + _SAME),
    )


def _local(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    yield from _lag_targets(rows, "local AWS")
    yield from _shorter_targets(rows, "local AWS")
    failed = sorted({row["peer"] for row in rows if row["failed"]})
    yield Judgement(
        "every sample on the local AWS succeeded",
        "failures of: " + ", ".join(failed) if failed else "no failure",
        _met(not failed),
    )


def _fleet(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    (row,) = (row for row in rows if row["peer"] == "ours" and row["streams"] == 500)
    yield Judgement(
        "500 at once: no failure", f"{row['failed']} of {row['of']}", _met(row["failed"] == 0)
    )
    share = row["of the bound"]
    yield Judgement(
        f"500 at once: ≤ {_OF_THE_BOUND:g}x the bound, in each run",
        f"median {share['median']:.2f}x, most {share['max']:.2f}x; of a bystander's looks"
        f" {row['bystander throttled']['median']:.0%} are throttled",
        _met(share["max"] <= _OF_THE_BOUND),
    )


def _cold_start(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    (row,) = (row for row in rows if row["way"] == OURS)
    low, high = row["cpu of crhelper, 95 %"]
    yield Judgement(
        "cold start: less CPU than crhelper as its README shows",
        f"{row['cpu of crhelper']['median']:.2f}x, 95 %: {low:.2f}..{high:.2f}",
        _below([low, high], 1.0),
    )
    memory = row["memory"]["max"]
    yield Judgement(
        f"peak memory at most half of the default of {_MEMORY} MB",
        f"{memory:.0f} MB",
        _met(memory <= _MEMORY / 2),
    )


def _synth(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    ours = [row for row in rows if row["peer"] == "ours"]
    if errors := [row["error"] for row in ours if "error" in row]:
        yield Judgement("synth", errors[0], Verdict.MISSED)
        return
    (one,) = (row for row in ours if row["streams"] == 1)
    yield Judgement(
        f"one stream: at most {_BESIDES} resources besides its own",
        str(one["besides"]),
        _met(one["besides"] <= _BESIDES),
    )
    zipped = one["asset bytes zipped"] / 1024
    yield Judgement(f"asset, zipped: ≤ {_ZIPPED} KB", f"{zipped:.1f} KB", _met(zipped <= _ZIPPED))
    for row in ours:
        if "of by hand" not in row:
            continue
        limit, ratio = _SYNTH[row["streams"]], row["of by hand"]
        low, high = row["of by hand, 95 %"]
        yield Judgement(
            f"synth of {row['streams']}: ≤ {limit:g}x that of the stack with crhelper by hand",
            f"{ratio['median']:.2f}x, 95 %: {low:.2f}..{high:.2f} (n = {ratio['n']})",
            _below([low, high], limit, enough=ratio["n"] >= _FEWEST),
        )


def _guard(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    for row in rows:
        if "seconds" in row:
            limit, seconds = _TOLD[row["function"]], row["seconds"]
            yield Judgement(
                f"guard, {row['function']}: from event to notification, median ≤ {limit:g} s",
                f"{seconds['median']:.2f} s, most {seconds['max']:.2f} s (n = {seconds['n']})",
                _met(seconds["median"] <= limit, enough=seconds["n"] >= _FEWEST),
            )
    swept = max((row["sweep"] for row in rows if "sweep" in row), key=lambda each: each["streams"])
    yield Judgement(
        f"guard: a sweep of {swept['streams']:,} streams in ≤ {_SWEEP:g} minutes, none throttled",
        f"{swept['minutes']} minutes, {swept['throttled']} throttled, {swept['stopped']} stopped",
        _met(swept["minutes"] <= _SWEEP and not swept["throttled"] + swept["stopped"]),
    )


def table(judgements: list[Judgement]) -> str:
    """Show target, figure and verdict, a line each."""
    width = max(len(judgement.target) for judgement in judgements)
    verdict = max(len(each.value) for each in Verdict)
    return "\n".join(
        f"{each.verdict.value:<{verdict}}  {each.target:<{width}}  {each.figure}"
        for each in judgements
    )
