"""Puts a campaign's result into docs/reliability.md: python -m tests.simulation.report SUMMARY."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.simulation.invariants import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_RESULT = re.compile(r"(<!-- result: [^\n]*-->\n).*(<!-- end of result -->)", re.DOTALL)


def with_result(page: str, summary: Mapping[str, Any]) -> str:
    """Return the page with the result of a campaign in it."""
    text = "\n".join(_result(summary)) + "\n"
    return _RESULT.sub(lambda found: found[1] + text + found[2], page)


def _result(summary: Mapping[str, Any]) -> Iterator[str]:
    first, schedules = summary["first_seed"], summary["schedules"]
    yield (
        f"Commit `{summary['revision']}`, seeds {first} to {first + schedules - 1}:"
        f" {schedules:,} schedules, {summary['requests']:,} requests,"
        f" {summary['invocations']:,} invocations, {summary['calls']:,} calls,"
        f" {sum(summary['faults'].values()):,} faults,"
        f" **{sum(summary['violations'].values()):,} violations**, in"
        f" {summary['seconds'] / 60:.0f} minutes on {summary['workers']} core(s)."
    )
    yield ""
    yield from _table("Check", "Violations", {name: _of(summary, name) for name in CHECKS})
    yield ""
    yield from _table("Exemption", "Uses", summary["exemptions"])
    yield ""
    yield from _table("Fault", "Times", summary["faults"])
    yield ""
    yield from _table("Stack ended", "Schedules", summary["stacks"])


def _of(summary: Mapping[str, Any], check: str) -> int:
    return int(summary["violations"].get(check, 0))


def _table(name: str, count: str, rows: Mapping[str, int]) -> Iterator[str]:
    yield f"| {name} | {count} |"
    yield "|---|---:|"
    for key, value in rows.items():
        yield f"| {key.replace('_', ' ')} | {value:,} |"


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.report", description=__doc__)
    parser.add_argument("summary", type=Path)
    summary = json.loads(parser.parse_args().summary.read_text(encoding="utf-8"))
    PAGE.write_text(with_result(PAGE.read_text(encoding="utf-8"), summary), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
