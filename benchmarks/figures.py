"""Figures: what is told of a series of measurements, and the file it is kept in."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from random import Random
from typing import Any

from benchmarks.settings import FIGURES, PROJECT, Settings

_PACKAGES = ("aws-cdk-lib", "boto3", "botocore", "crhelper")
_RESAMPLES = 2000


def summary(values: Sequence[float]) -> dict[str, float]:
    """Describe a series: how many, median, 99th percentile and extremes.

    The percentile is by nearest rank: of fewer than 100 values it is the largest one.
    """
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "median": statistics.median(ordered),
        "p99": ordered[max(math.ceil(0.99 * len(ordered)) - 1, 0)],
        "min": ordered[0],
        "max": ordered[-1],
    }


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Bounds of the median at 95 % confidence, by bootstrap; same input, same bounds."""
    rng = Random(0)
    medians = (statistics.median(rng.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    found = sorted(medians)
    return found[int(0.025 * _RESAMPLES)], found[int(0.975 * _RESAMPLES) - 1]


def save(section: str, settings: Settings, rows: list[dict[str, Any]], seconds: float) -> None:
    """Write a section's figures, with what is needed to judge and repeat them."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    figures = {
        "section": section,
        "command": f"make bench{' QUICK=1' if settings.quick else ''}",
        "quick": settings.quick,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "commit": _commit(),
        "machine": {
            "system": platform.system(),
            "processors": os.cpu_count(),
            "load before": round(os.getloadavg()[0], 2),
        },
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in _PACKAGES},
        "rows": rows,
    }
    path = FIGURES / f"{section}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n")


def load(section: str) -> dict[str, Any] | None:
    """Read a section's figures; None when it was never measured."""
    path = FIGURES / f"{section}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
