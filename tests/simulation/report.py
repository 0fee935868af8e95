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

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
_RESULT = re.compile(r"(<!-- result: [^\n]*-->\n).*(<!-- end of result -->)", re.DOTALL)


def with_result(page: str, summaries: Sequence[Mapping[str, Any]]) -> str:
    """Return the page with the results of campaigns in it."""
    text = "\n".join(_result(summaries)) + "\n"
    return _RESULT.sub(lambda found: found[1] + text + found[2], page)


def _result(summaries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    handler = [each for each in summaries if each["requests"]]
    guard = [each for each in summaries if not each["requests"]]
    yield (
        "| Simulation | Commit | First seed | Schedules | Invocations | Calls | Faults |"
        " Violations |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for name, campaigns in (("handler", handler), ("guard, remediation", guard)):
        for one in campaigns:
            faults, violations = sum(one["faults"].values()), sum(one["violations"].values())
            counts = (one["schedules"], one["invocations"], one["calls"], faults, violations)
            cells = " | ".join(f"{count:,}" for count in counts)
            yield f"| {name} | `{one['revision']}` | {one['first_seed']} | {cells} |"
    for title, campaigns, table in (
        ("Exemptions of the handler", handler, "exemptions"),
        ("Faults of the handler", handler, "faults"),
        ("Faults of the guard", guard, "faults"),
    ):
        yield from ("", f"| {title} | Times |", "|---|---:|")
        for name, count in sorted(_sum(campaigns, table).items()):
            yield f"| {name} | {count:,} |"


def _sum(summaries: Sequence[Mapping[str, Any]], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in summaries:
        total.update(one[name])
    return total


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
