"""Synth time, number of resources, and size of a stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

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
from local_aws.folders import VENV_BIN

_PATH = os.pathsep.join([str(VENV_BIN), os.environ.get("PATH", os.defpath)])
_HANDWRITTEN = "crhelper, wait loop"
_ALL = (THIS, _HANDWRITTEN, "Provider, every 5 s", "AwsCustomResource")
_MAX_OF_HANDWRITTEN = {1: 1.07, 100: 1.42, 480: 2.39}
"""Largest synth time relative to the handwritten stack, by number of streams."""

_MAX_OTHER_RESOURCES = 4
_MAX_ZIPPED_KB = 64
_MIN_SAMPLES = 5


def measure(*, quick: bool) -> list[Row]:
    """Synthesize each stack in new processes, in a random order each round."""
    rounds, sizes = (1, (1, 100)) if quick else (7, (1, 100, 480))
    names = _ALL[:2] if quick else _ALL
    show(f"synth: {rounds} of each of {len(names)} stacks with {sizes} streams")
    rng, rows = Random(0), []
    for size in sizes:
        synths: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in rng.sample(names, len(names)):
                synths[name].append(_synth(name, size))
        rows += [_row(name, size, synths[name], synths[_HANDWRITTEN]) for name in names]
    return rows


def targets(rows: list[Row]) -> Iterator[Target]:
    """Evaluate the targets of this section."""
    this = {row["streams"]: row for row in rows if row["alternative"] == THIS}
    if errors := [row["error"] for row in this.values() if "error" in row]:
        yield Target("synth", errors[0], judge(False))
        return
    yield Target(
        f"one stream: ≤ {_MAX_OTHER_RESOURCES} resources besides its own",
        str(this[1]["other resources"]),
        judge(this[1]["other resources"] <= _MAX_OTHER_RESOURCES),
    )
    zipped = this[1]["asset KB"]
    yield Target(
        f"asset, zipped: ≤ {_MAX_ZIPPED_KB} KB", f"{zipped} KB", judge(zipped <= _MAX_ZIPPED_KB)
    )
    for size, row in this.items():
        limit, found = _MAX_OF_HANDWRITTEN[size], row["of handwritten"]
        low, high = found["95 %"]
        yield Target(
            f"synth of {size}: ≤ {limit:g} times the handwritten stack",
            f"{found['median']:.2f} times (95 %: {low:.2f} to {high:.2f})",
            judge_interval((low, high), limit, enough=found["n"] >= _MIN_SAMPLES),
        )


def page(rows: list[Row]) -> str:
    """Format the section of the page."""
    lines = table(
        ("streams", "alternative", "synth", "resources", "template", "asset, zipped"),
        [
            (
                str(row["streams"]),
                row["alternative"],
                f"{row['seconds']['median']:.2f} s",
                str(row["resources"]),
                f"{row['template KB']} KB",
                f"{row['asset KB']} KB",
            )
            if "error" not in row
            else (str(row["streams"]), row["alternative"], row["error"], "-", "-", "-")
            for row in rows
        ],
    )
    return f"""
## Synth and size

Median time from starting the app to its assembly, imports included.

{lines}

The role of this construct names each stream and key, and each stream is a construct that is
validated, which takes time and template size. The alternatives here allow all streams of the
account.
"""


def _row(name: str, size: int, synths: list[Row], handwritten: list[Row]) -> Row:
    row: Row = {"alternative": name, "streams": size}
    if errors := [synth["error"] for synth in synths if "error" in synth]:
        return row | {"error": errors[0]}
    seconds, others = ([synth["seconds"] for synth in each] for each in (synths, handwritten))
    return row | synths[0] | {"seconds": summary(seconds), "of handwritten": ratio(seconds, others)}


def _synth(name: str, size: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        completed = subprocess.run(
            [sys.executable, "-m", "benchmarks.alternatives.app", name, str(size)],
            cwd=PROJECT,
            env={**os.environ, "CDK_OUTDIR": folder, "PATH": _PATH},
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode:
            reason = completed.stderr.strip().splitlines()[-1]
            return {"error": f"failed: {reason.rpartition('Error: ')[2][:60]}"}
        seconds = json.loads(completed.stdout.splitlines()[-1])["seconds"]
        return {"seconds": seconds, **_contents(Path(folder))}


def _contents(assembly: Path) -> Row:
    (template,) = assembly.glob("*.template.json")
    resources = json.loads(template.read_text())["Resources"].values()
    return {
        "resources": len(resources),
        "other resources": sum(not each["Type"].startswith("Custom::") for each in resources),
        "template KB": round(template.stat().st_size / 1024, 1),
        "asset KB": round(_zipped(assembly) / 1024, 1),
    }


def _zipped(assembly: Path) -> int:
    """Return the bytes that the CDK CLI uploads."""
    archive = BytesIO()
    with ZipFile(archive, "w", ZIP_DEFLATED) as zipped:
        for asset in assembly.glob("asset.*"):
            for file in sorted([asset] if asset.is_file() else asset.rglob("*")):
                if file.is_file():
                    zipped.write(file, file.relative_to(assembly))
    return len(archive.getvalue())
