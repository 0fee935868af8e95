"""`make bench`: measure, judge and tell."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from benchmarks import cold_start, fleet, guard, local, report, synth, targets, waits
from benchmarks.figures import save, say
from benchmarks.settings import FIGURES, FULL, QUICK, Settings
from local_aws.process import exit_on_signals

SECTIONS: dict[str, Callable[[Settings], list[dict[str, Any]]]] = {
    "cold_start": cold_start.measure,
    "synth": synth.measure,
    "waits": waits.measure,
    "fleet": fleet.measure,
    "local": local.measure,
    "guard": guard.measure,
}


def main() -> int:
    """Run the benchmark; the exit status tells whether it ran, with --check whether all is met."""
    arguments = _arguments()
    exit_on_signals()
    only_tell = arguments.check or arguments.report
    failed = [] if only_tell else _measure(arguments.sections, arguments.settings)
    judgements = targets.judge()
    if not arguments.check:
        report.write(judgements)
    print(targets.table(judgements))
    if failed:
        say(f"did not run: {', '.join(failed)}")
        return 1
    if arguments.check:
        return int(any(each.verdict is not targets.Verdict.MET for each in judgements))
    return 0


def _measure(sections: list[str], settings: Settings) -> list[str]:
    """Measure; return the sections that failed, whose old figures are removed."""
    failed = []
    for section in sections:
        began = time.monotonic()
        try:
            rows = SECTIONS[section](settings)
        except Exception:  # noqa: BLE001  the others are still worth having
            say(traceback.format_exc())
            (FIGURES / f"{section}.json").unlink(missing_ok=True)
            failed.append(section)
        else:
            save(section, settings, rows, time.monotonic() - began)
    return failed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        dest="settings",
        action="store_const",
        const=QUICK,
        default=QUICK if os.environ.get("QUICK") else FULL,
        help="few repeats (also: QUICK=1)",
    )
    parser.add_argument("--check", action="store_true", help="judge the figures that are there")
    parser.add_argument("--report", action="store_true", help="tell of the figures that are there")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    arguments.sections = arguments.sections or list(SECTIONS)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
