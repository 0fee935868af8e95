"""Figures: statistics, the file that contains them, and the targets that they are held to."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
_PACKAGES = ("aws-cdk-lib", "boto3", "botocore", "crhelper")
_RESAMPLES = 2000

Row = dict[str, Any]


class Verdict(Enum):
    """Whether a target is met."""

    MET = "met"
    MISSED = "MISSED"
    UNDECIDED = "undecided"
    """Too few samples, or the confidence interval contains the limit."""


@dataclass(frozen=True)
class Target:
    """A target, the figure that it is compared with, and the verdict."""

    target: str
    figure: str
    verdict: Verdict


def judge(condition: bool, *, enough: bool = True) -> Verdict:
    """Return the verdict of a comparison; undecided if there are not `enough` samples."""
    if not enough:
        return Verdict.UNDECIDED
    return Verdict.MET if condition else Verdict.MISSED


def judge_interval(bounds: Sequence[float], limit: float, *, enough: bool = True) -> Verdict:
    """Return the verdict of a ratio by its confidence interval."""
    low, high = bounds
    return judge(high <= limit, enough=enough and not low <= limit < high)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Describe a series; its 99th percentile is by nearest rank, of few values the largest."""
    ordered = sorted(values)
    figures = {
        "median": statistics.median(ordered),
        "p99": ordered[max(math.ceil(0.99 * len(ordered)) - 1, 0)],
        "min": ordered[0],
        "max": ordered[-1],
    }
    return {"n": len(ordered), **{name: round(value, 4) for name, value in figures.items()}}


def ratio(values: Sequence[float], others: Sequence[float]) -> Row:
    """Describe the ratio of two series, with the 95 % confidence interval of its median.

    Values are paired, because the speed of the machine changes from round to round. The interval
    is by bootstrap: the same input has the same bounds.
    """
    ratios = [one / other for one, other in zip(values, others, strict=True)]
    rng = Random(0)
    medians = sorted(
        statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES)
    )
    low, high = medians[int(0.025 * _RESAMPLES)], medians[int(0.975 * _RESAMPLES) - 1]
    return {**summary(ratios), "95 %": [round(low, 4), round(high, 4)]}


def provenance(*, quick: bool) -> dict[str, Any]:
    """Describe what is measured, when, and on which machine."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": described.stdout.strip() or "unknown",
        "quick": quick,
        "measured": datetime.now(UTC).isoformat(timespec="minutes"),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in _PACKAGES},
    }


def load(path: Path) -> dict[str, Any]:
    """Read the figures of all sections, by section."""
    sections: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return sections


def save(path: Path, sections: dict[str, Any]) -> None:
    """Write the figures, one row per line."""
    blocks = []
    for name, section in sorted(sections.items()):
        head = json.dumps({key: value for key, value in section.items() if key != "rows"})
        rows = ",\n  ".join(json.dumps(row) for row in section["rows"])
        blocks.append(f'"{name}": {head[:-1]}, "rows": [\n  {rows}\n]}}')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(blocks) + "\n}\n")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def show(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)
