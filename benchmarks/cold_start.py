"""What a function costs before its first call: CPU, wall time, memory, and so money."""

from __future__ import annotations

import compileall
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

FLOOR = "floor: botocore, one Kinesis client"
FLOOR_WITH_KEY = "floor with a customer's key: a KMS client too"

OURS, OURS_WITH_KEY = "ours", "ours, with a customer's key"

COMPILED = "ours, were it compiled"
"""What the start would cost if Lambda kept the compiled files that Python makes."""

WAYS = {
    FLOOR: "floor",
    FLOOR_WITH_KEY: "floor_with_key",
    "boto3, one Kinesis client": "boto3",
    OURS: "ours",
    OURS_WITH_KEY: "ours_with_key",
    COMPILED: "ours",
    "crhelper as its README shows": "crhelper",
}
"""Ways to start, by the function of the probe that does it."""


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Start each way in processes of its own, one after the other, in a new order each round."""
    say(f"cold start: {settings.cold_starts} processes for each of {len(WAYS)} ways")
    rng = Random(0)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        sources, compiled = _asset(Path(folder, "sources")), _asset(Path(folder, "compiled"))
        compileall.compile_dir(compiled, quiet=1)
        for _ in range(settings.cold_starts):
            for name in rng.sample(list(WAYS), len(WAYS)):
                asset = compiled if name == COMPILED else sources
                found[name].append(_start(WAYS[name], asset))
    return [_row(name, found) for name in WAYS]


def _row(name: str, found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    starts, floor = found[name], found[FLOOR_WITH_KEY if name == OURS_WITH_KEY else FLOOR]
    # Within a round, as the machine's speed changes from round to round.
    ratios = [one["cpu"] / other["cpu"] for one, other in zip(starts, floor, strict=True)]
    return {
        "way": name,
        **{what: summary([start[what] for start in starts]) for what in starts[0]},
        "cpu of the floor": summary(ratios),
        "cpu of the floor, 95 %": interval(ratios),
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
