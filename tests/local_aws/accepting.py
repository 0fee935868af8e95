"""Runs `python -m acceptance` as a shell does, with the credentials of a local AWS."""

import json
import subprocess
import sys
from pathlib import Path

from local_aws import LocalAws

_SHELL_SCRIPT = """
import runpy, signal
# A background process of a shell ignores SIGINT, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("acceptance", run_name="__main__")
"""


def accept(
    aws: LocalAws, folder: Path, *options: str, trust_emulators: bool = False
) -> subprocess.Popen[str]:
    """Start a run; with `trust_emulators`, it evaluates their responses as if they were AWS."""
    environment = aws.process_environment()
    if trust_emulators:
        del environment["ACCEPT_NOT_SHOWN"]
    return subprocess.Popen(
        [sys.executable, "-c", _SHELL_SCRIPT, "--folder", str(folder), *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(
    aws: LocalAws, folder: Path, *options: str, trust_emulators: bool = False
) -> tuple[int, str]:
    process = accept(aws, folder, *options, trust_emulators=trust_emulators)
    output, _ = process.communicate()
    return process.returncode, output


def rows(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of the written report, by name."""
    report = json.loads((folder / "report.json").read_text())
    return {row["row"]: row for row in report["rows"]}
