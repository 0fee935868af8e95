"""What a function costs before its first call: CPU and memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.figures import interval, say, summary
from benchmarks.settings import PROJECT, Settings

_PROBE = Path(__file__).with_name("cold_start_probe.py")

PER_VCPU = 1769
"""MB at which Lambda gives one vCPU, and less in proportion.

Source: AWS Lambda developer guide, "Configure Lambda function memory".
"""

SIZES = (128, 256, 512, 1024)

FLOOR = "floor: botocore"
OURS = "ours"
WITHOUT_BOTO3 = "ours, were boto3 left out"
"""What a module in the place of boto3 would save: crhelper imports it in vain."""
CRHELPER = "crhelper as its README shows"

WAYS = {
    FLOOR: "floor",
    "boto3": "boto3",
    OURS: "ours",
    WITHOUT_BOTO3: "ours_without_boto3",
    CRHELPER: "crhelper",
}
"""Ways to start, by the function of the probe that does it."""


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Start each way in processes of its own, one after the other, in a new order each round."""
    say(f"cold start: {settings.cold_starts} processes for each of {len(WAYS)} ways")
    rng = Random(0)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        asset = _asset(Path(folder))
        for _ in range(settings.cold_starts):
            for name in rng.sample(list(WAYS), len(WAYS)):
                found[name].append(_start(WAYS[name], asset))
    return [_row(name, found) for name in WAYS]


def seconds(row: dict[str, Any], size: int) -> float:
    """Seconds that a cold start takes at a memory size, on cores as fast as this machine's.

    Imports run at a full vCPU, the handler at the share that the size gives. Source for the former:
    Serverless Land, "Effectively running Java on Serverless: Utilize initialization phase".
    """
    imports, client = row["imports"]["median"], row["client"]["median"]
    return float(imports + client / min(size / PER_VCPU, 1.0))


def _row(name: str, found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    def ratios(other: str) -> list[float]:
        """Compare within a round, as the machine's speed changes from round to round."""
        pairs = zip(found[name], found[other], strict=True)
        return [one["cpu"] / another["cpu"] for one, another in pairs]

    starts = found[name]
    return {
        "way": name,
        **{what: summary([start[what] for start in starts]) for what in starts[0]},
        "cpu of the floor": summary(ratios(FLOOR)),
        "cpu of the floor, 95 %": interval(ratios(FLOOR)),
        "cpu of crhelper": summary(ratios(CRHELPER)),
        "cpu of crhelper, 95 %": interval(ratios(CRHELPER)),
    }


def _asset(folder: Path) -> Path:
    """Lay the code out as in the asset: sources only, which each cold start has to compile."""
    crhelper = find_spec("crhelper")
    if crhelper is None or crhelper.origin is None:
        raise RuntimeError("crhelper is not installed")
    for source in (PROJECT / "lambda" / "stream_encryption", Path(crhelper.origin).parent):
        shutil.copytree(
            source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    return folder


def _start(way: str, asset: Path) -> dict[str, float]:
    # No profile or proxy of the user's.
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(asset),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
    }
    completed = subprocess.run(
        [sys.executable, str(_PROBE), way],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    measured: dict[str, float] = json.loads(completed.stdout.splitlines()[-1])
    return measured
