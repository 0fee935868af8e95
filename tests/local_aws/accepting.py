"""`python -m acceptance`, as a shell with a local AWS's credentials runs it."""

import json
import subprocess
import sys
from pathlib import Path

from local_aws import LocalAws

AS_A_SHELL_STARTS_IT = """
import runpy, signal
# What a shell runs in the background is born ignoring it, and hands that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("acceptance", run_name="__main__")
"""


def accept(
    aws: LocalAws, folder: Path, *options: str, believing: bool = False
) -> subprocess.Popen[str]:
    """Start it; `believing` what the emulators answer, as if they were AWS."""
    environment = aws.process_environment()
    if believing:
        del environment["ACCEPT_NOT_SHOWN"]
    return subprocess.Popen(
        [sys.executable, "-c", AS_A_SHELL_STARTS_IT, "--folder", str(folder), *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(aws: LocalAws, folder: Path, *options: str, believing: bool = False) -> tuple[int, str]:
    process = accept(aws, folder, *options, believing=believing)
    output, _ = process.communicate()
    return process.returncode, output


def rows(folder: Path) -> dict[str, dict[str, str]]:
    found = json.loads((folder / "report.json").read_text())["rows"]
    return {row["row"]: row for row in found}
