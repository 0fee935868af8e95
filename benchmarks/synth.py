"""What a deployment is made of: synth time, resources, bytes of template and assets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from benchmarks.figures import interval, say, summary
from benchmarks.settings import PROJECT, Settings
from local_aws.folders import VENV_BIN

_PATH = os.pathsep.join([str(VENV_BIN), os.environ.get("PATH", os.defpath)])
_BY_HAND = "crhelper, looks by hand"


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Synthesize each peer at each size in processes of their own, in a new order each round."""
    peers = settings.synth_peers
    say(f"synth: {settings.synths} for each of {len(peers)} peers, {settings.synth_sizes}")
    rng, rows = Random(0), []
    for size in settings.synth_sizes:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in peers}
        for _ in range(settings.synths):
            for name in rng.sample(peers, len(peers)):
                found[name].append(_synth(name, size))
        rows += [_row(name, size, found[name], found[_BY_HAND]) for name in peers]
    return rows


def _row(
    name: str, size: int, synths: list[dict[str, Any]], by_hand: list[dict[str, Any]]
) -> dict[str, Any]:
    if failed := [synth["error"] for synth in synths if "error" in synth]:
        return {"peer": name, "streams": size, "error": failed[0]}
    row = {
        "peer": name,
        "streams": size,
        "seconds": summary([synth["seconds"] for synth in synths]),
        **{key: value for key, value in synths[0].items() if key != "seconds"},
    }
    if not any("error" in synth for synth in by_hand):
        ratios = [
            one["seconds"] / other["seconds"] for one, other in zip(synths, by_hand, strict=True)
        ]
        row |= {"of by hand": summary(ratios), "of by hand, 95 %": interval(ratios)}
    return row


def _synth(name: str, size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        completed = subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.app", name, str(size)],
            cwd=PROJECT,
            env={**os.environ, "CDK_OUTDIR": folder, "PATH": _PATH},
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode:
            return {"error": completed.stderr.strip().splitlines()[-1][:300]}
        seconds = json.loads(completed.stdout.splitlines()[-1])["seconds"]
        return {"seconds": seconds, **_contents(Path(folder))}


def _contents(assembly: Path) -> dict[str, Any]:
    (template,) = assembly.glob("*.template.json")
    resources = json.loads(template.read_text())["Resources"]
    types = Counter(resource["Type"] for resource in resources.values())
    files = _assets(assembly)
    own = sum(count for kind, count in types.items() if kind.startswith("Custom::"))
    return {
        "resources": len(resources),
        "besides": len(resources) - own,
        "types": dict(types),
        "template bytes": template.stat().st_size,
        "asset bytes": sum(file.stat().st_size for _, file in files),
        "asset bytes zipped": _zipped(files),
    }


def _assets(assembly: Path) -> list[tuple[str, Path]]:
    return sorted(
        (file.relative_to(assembly).as_posix(), file)
        for asset in assembly.glob("asset.*")
        for file in ([asset] if asset.is_file() else asset.rglob("*"))
        if file.is_file()
    )


def _zipped(files: list[tuple[str, Path]]) -> int:
    """Bytes that are uploaded, as the CDK CLI zips them."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, file in files:
            archive.write(file, name)
    return packed.tell()
