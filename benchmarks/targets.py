"""The targets, each judged by the figures that are there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from benchmarks.cold_start import OURS, OURS_WITH_KEY
from benchmarks.figures import load

_COLD_START = 1.15
_FEWEST, _FEWEST_OF_A_PEER = 5, 2
"""Samples below which a median decides nothing, whichever way it looks."""

_POLL, _DEFAULT = "crhelper poll_create", "Provider, 5 s (default)"


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
        ("cold_start", _cold_start),
        ("fleet", _fleet),
        ("synth", _synth),
    ):
        figures = load(section)
        if figures is None:
            judgements.append(Judgement(section, "no figures", Verdict.NOT_MEASURED))
        else:
            judgements += judging(figures["rows"])
    return judgements


def tolerated_lag(updating: float) -> float:
    """Seconds of lag that the target allows at the median."""
    return max(0.5, 0.1 * updating)


def _met(condition: bool, *, enough: bool = True) -> Verdict:
    if not enough:
        return Verdict.UNDECIDED
    return Verdict.MET if condition else Verdict.MISSED


def _lag_targets(rows: list[dict[str, Any]], where: str) -> Iterator[Judgement]:
    ours = [row for row in rows if row["peer"] == "ours"]
    for statistic, factor in (("median", 1), ("p99", 2)):
        target = f"lag, {where}: {statistic} ≤ {'twice ' if factor == 2 else ''}max(0.5 s, 10 %)"
        shares = {
            row["updating"]: row["lag"][statistic] / tolerated_lag(row["updating"]) / factor
            for row in ours
            if row.get("lag")
        }
        if len(shares) < len(ours):
            yield Judgement(target, "runs without a figure", Verdict.MISSED)
            continue
        samples = min(row["lag"]["n"] for row in ours)
        worst = max(shares, key=lambda updating: shares[updating])
        yield Judgement(
            target,
            f"worst at {worst:g} s of UPDATING: {shares[worst]:.0%} of what is allowed"
            f" (n = {samples:g})",
            _met(shares[worst] <= 1, enough=samples >= _FEWEST),
        )


def _ratio_targets(rows: list[dict[str, Any]], where: str) -> Iterator[Judgement]:
    lags = {row["peer"]: row["lag"] for row in rows if row["updating"] == 3 and row.get("lag")}
    for peer, least in ((_DEFAULT, 5), (_POLL, 50)):
        target = f"lag at 3 s, {where}: at least {least}x below {peer}"
        if peer not in lags or "ours" not in lags:
            yield Judgement(target, "no figures", Verdict.NOT_MEASURED)
            continue
        ours, theirs = lags["ours"], lags[peer]
        ratio = theirs["median"] / ours["median"]
        enough = ours["n"] >= _FEWEST and theirs["n"] >= _FEWEST_OF_A_PEER
        yield Judgement(
            target,
            f"{ours['median']:.2f} s against {theirs['median']:.2f} s: {ratio:.1f}x"
            f" (n = {ours['n']:g}, {theirs['n']:g})",
            _met(ratio >= least, enough=enough),
        )


def _waits(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    yield from _lag_targets(rows, "simulated")
    yield from _ratio_targets(rows, "simulated")
    looks = {row["updating"]: row["looks"] for row in rows if row["peer"] == "ours"}
    for updating, most in ((3.0, 8), (600.0, 60)):
        found = looks[updating]
        yield Judgement(
            f"looks a stream at {updating:g} s ≤ {most}, in every run",
            f"median {found['median']:g}, most {found['max']:g}",
            _met(found["max"] <= most),
        )
    # Logarithmic growth adds the same number of looks for each doubling.
    slopes = [
        (looks[after]["median"] - looks[before]["median"]) / math.log2(after / before)
        for before, after in ((10.0, 60.0), (60.0, 300.0), (300.0, 900.0), (900.0, 3000.0))
    ]
    yield Judgement(
        "looks grow with the logarithm up to 3,000 s: never 1.5x as many for a doubling as before",
        "for a doubling from 10, 60, 300 and 900 s: " + ", ".join(f"{s:.1f}" for s in slopes),
        _met(all(after <= 1.5 * slopes[0] for after in slopes[1:])),
    )


def _local(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    lags = [row for row in rows if row["kind"] == "lag"]
    yield from _lag_targets(lags, "local AWS")
    yield from _ratio_targets(lags, "local AWS")
    failed = sorted({row["peer"] for row in lags if row["errors"]})
    yield Judgement(
        "every sample on the local AWS succeeded",
        "failures of: " + ", ".join(failed) if failed else "no failure",
        _met(not failed),
    )


def _cold_start(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    for row in (row for row in rows if row["way"] in (OURS, OURS_WITH_KEY)):
        low, high = row["cpu of the floor, 95 %"]
        if high <= _COLD_START:
            verdict = Verdict.MET
        else:
            verdict = Verdict.MISSED if low > _COLD_START else Verdict.UNDECIDED
        yield Judgement(
            f"cold start, {row['way']}: CPU ≤ {_COLD_START}x its floor",
            f"{row['cpu of the floor']['median']:.2f}x, 95 %: {low:.2f}..{high:.2f}",
            verdict,
        )


def _fleet(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    (row,) = (row for row in rows if row["peer"] == "ours" and row["streams"] == 500)
    yield Judgement(
        "500 at once: no failure", f"{row['failed']} of {row['of']}", _met(row["failed"] == 0)
    )
    share = row["of the bound"]
    yield Judgement(
        "500 at once: ≤ 1.5x the bound, in every fleet",
        f"median {share['median']:.2f}x, most {share['max']:.2f}x",
        _met(share["max"] <= 1.5),
    )
    asked = row["asked a second"]
    yield Judgement(
        "500 at once: ≤ 20 looks a second asked for over any 10 s once throttled, in every fleet",
        f"median {asked['median']:.1f}, most {asked['max']:.1f}",
        _met(asked["max"] <= 20),
    )


def _synth(rows: list[dict[str, Any]]) -> Iterator[Judgement]:
    ours = [row for row in rows if row["peer"] == "ours"]
    if errors := [row["error"] for row in ours if "error" in row]:
        yield Judgement("synth", errors[0], Verdict.MISSED)
        return
    yield Judgement(
        "one resource a stream",
        ", ".join(f"{r['resources'] - r['besides']} for {r['streams']}" for r in ours),
        _met(all(r["resources"] - r["besides"] == r["streams"] for r in ours)),
    )
    for row in ours:
        yield Judgement(
            f"at most five resources besides, for {row['streams']}",
            str(row["besides"]),
            _met(row["besides"] <= 5),
        )
    for what in ("asset bytes", "asset bytes zipped"):
        most = max(row[what] for row in ours)
        yield Judgement(f"{what} ≤ 64 KB", f"{most / 1024:.1f} KB", _met(most <= 64 * 1024))
    for row in ours:
        if "of by hand" not in row:
            continue
        low, high = row["of by hand, 95 %"]
        if row["of by hand"]["n"] < 5:
            verdict = Verdict.UNDECIDED
        elif high <= 1:
            verdict = Verdict.MET
        else:
            verdict = Verdict.MISSED if low > 1 else Verdict.UNDECIDED
        yield Judgement(
            f"synth of {row['streams']} no slower than the hand-written crhelper stack",
            f"{row['of by hand']['median']:.2f}x, 95 %: {low:.2f}..{high:.2f}"
            f" (n = {row['of by hand']['n']})",
            verdict,
        )


def table(judgements: list[Judgement]) -> str:
    """Show target, figure and verdict, a line each."""
    width = max(len(judgement.target) for judgement in judgements)
    verdict = max(len(each.value) for each in Verdict)
    return "\n".join(
        f"{each.verdict.value:<{verdict}}  {each.target:<{width}}  {each.figure}"
        for each in judgements
    )
