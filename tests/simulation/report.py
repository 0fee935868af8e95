"""Writes campaign results into docs/testing.md: python -m tests.simulation.report SUMMARY..."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.simulation.invariants import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
_RESULT = re.compile(r"(<!-- result: [^\n]*-->\n).*(<!-- end of result -->)", re.DOTALL)


def with_result(page: str, summaries: Sequence[Mapping[str, Any]]) -> str:
    """Return the page with the results of campaigns in it."""
    text = "\n".join(_result(summaries)) + "\n"
    return _RESULT.sub(lambda found: found[1] + text + found[2], page)


def _result(summaries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| Commit | Seeds | Schedules | Requests | Invocations | Calls | Faults | Violations |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for one in summaries:
        first, schedules = one["first_seed"], one["schedules"]
        figures = (
            schedules,
            one["requests"],
            one["invocations"],
            one["calls"],
            sum(one["faults"].values()),
            sum(one["violations"].values()),
        )
        cells = " | ".join(f"{figure:,}" for figure in figures)
        yield f"| `{one['revision']}` | {first} to {first + schedules - 1} | {cells} |"
    yield ""
    yield "All of them together:"
    yield ""
    violations = _sum(summaries, "violations")
    yield from _table("Check", "Violations", {name: violations[name] for name in CHECKS})
    yield ""
    yield from _table("Exemption", "Uses", _sum(summaries, "exemptions"))
    yield ""
    yield from _table("Fault", "Times", _sum(summaries, "faults"))
    yield ""
    yield from _table("Stack ended", "Schedules", _sum(summaries, "stacks"))


def _sum(summaries: Sequence[Mapping[str, Any]], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in summaries:
        total.update(one[name])
    return Counter(dict(sorted(total.items())))


def _table(name: str, count: str, rows: Mapping[str, int]) -> Iterator[str]:
    yield f"| {name} | {count} |"
    yield "|---|---:|"
    for key, value in rows.items():
        yield f"| {key.replace('_', ' ')} | {value:,} |"


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.report", description=__doc__)
    parser.add_argument("summaries", type=Path, nargs="+")
    paths: list[Path] = parser.parse_args().summaries
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    PAGE.write_text(with_result(PAGE.read_text(encoding="utf-8"), summaries), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
