"""CPU time and memory of a function until it can make its first call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from random import Random

from benchmarks.figures import (
    PROJECT,
    Row,
    Target,
    judge,
    judge_interval,
    ratio,
    show,
    summary,
    table,
)
from benchmarks.simulation.alternatives import THIS

_PROBE = Path(__file__).with_name("cold_start_probe.py")
_LEAST, _CRHELPER = "botocore alone", "crhelper, as its README shows"
_PROGRAMS = {_LEAST: "least", THIS: "this_construct", _CRHELPER: "crhelper"}
"""Function of the probe by its name in all figures."""

_MEMORY = 256
"""Default memory size of the function, in MB."""


def measure(*, quick: bool) -> list[Row]:
    """Start each program in new processes, in a random order each round."""
    rounds = 12 if quick else 100
    show(f"cold start: {rounds} processes of each of {len(_PROGRAMS)} programs")
    rng = Random(0)
    starts: dict[str, list[dict[str, float]]] = {name: [] for name in _PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        asset = _asset(Path(folder))
        for _ in range(rounds):
            for name in rng.sample(list(_PROGRAMS), len(_PROGRAMS)):
                starts[name].append(_start(_PROGRAMS[name], asset))
    cpu = {name: [start["cpu"] for start in starts[name]] for name in _PROGRAMS}
    return [
        {
            "program": name,
            **{key: summary([start[key] for start in starts[name]]) for key in starts[name][0]},
            "of least": ratio(cpu[name], cpu[_LEAST]),
            "of crhelper": ratio(cpu[name], cpu[_CRHELPER]),
        }
        for name in _PROGRAMS
    ]


def targets(rows: list[Row]) -> Iterator[Target]:
    """Evaluate the targets of this section."""
    (row,) = (row for row in rows if row["program"] == THIS)
    low, high = row["of crhelper"]["95 %"]
    yield Target(
        "cold start: less CPU time than crhelper, as its README shows",
        f"{row['of crhelper']['median']:.2f} times (95 %: {low:.2f} to {high:.2f})",
        judge_interval((low, high), 1.0),
    )
    memory = row["memory"]["max"]
    yield Target(
        f"peak memory: ≤ half of the default of {_MEMORY} MB",
        f"{memory:.0f} MB",
        judge(memory <= _MEMORY / 2),
    )


def page(rows: list[Row]) -> str:
    """Format the section of the page."""
    lines = table(
        ("program", "imports", "client", "total", "of botocore alone", "peak memory"),
        [
            (
                row["program"],
                *(f"{row[key]['median']:.3f} s" for key in ("imports", "client", "cpu")),
                f"{row['of least']['median']:.2f}",
                f"{row['memory']['max']:.0f} MB",
            )
            for row in rows
        ],
    )
    return f"""
## Cold start

CPU time from the first import to a Kinesis client, in new processes, with sources as in the asset.
This construct creates its client during the imports, for which Lambda provides a full vCPU.

{lines}
"""


def _asset(folder: Path) -> Path:
    """Copy the sources as in the asset; each cold start compiles them."""
    crhelper = find_spec("crhelper")
    if crhelper is None or crhelper.origin is None:
        raise RuntimeError("crhelper is not installed")
    for source in (PROJECT / "lambda" / "stream_encryption", Path(crhelper.origin).parent):
        shutil.copytree(
            source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    return folder


def _start(program: str, asset: Path) -> dict[str, float]:
    # Without the user's profile and proxy.
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
        [sys.executable, str(_PROBE), program],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    measured: dict[str, float] = json.loads(completed.stdout.splitlines()[-1])
    return measured
