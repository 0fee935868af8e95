"""`make bench`: measures, evaluates the targets, and writes the page."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from benchmarks import cold_start, deployed_lag, fleet, guard, lag, synth
from benchmarks.figures import PROJECT, Target, Verdict, load, provenance, save, show
from benchmarks.page import format_page
from local_aws.process import exit_on_signals

SECTIONS: dict[str, ModuleType] = {
    "lag": lag,
    "deployed_lag": deployed_lag,
    "fleet": fleet,
    "synth": synth,
    "cold_start": cold_start,
    "guard": guard,
}
"""Each has `measure`, `targets`, and `page`; in the order of the page."""

_ORDER = ("cold_start", "synth", "lag", "fleet", "deployed_lag", "guard")
"""CPU times are measured first, before other sections warm up the machine."""


def main() -> int:
    """Run the benchmark; fail if a section fails or, with --check, if a target is not met."""
    options = _options()
    exit_on_signals()
    folder = PROJECT / ("build/bench" if options.quick else "docs")
    figures_file = folder / "performance" / "figures.json"
    sections = load(figures_file)
    only_evaluate = options.check or options.page
    failed = [] if only_evaluate else _measure(options.sections, sections, quick=options.quick)
    targets = all_targets(sections)
    if not only_evaluate:
        save(figures_file, sections)
    if not options.check:
        (folder / "performance.md").write_text(format_page(sections, SECTIONS, targets))
    print(_report(targets))
    if missing := [name for name in SECTIONS if name not in sections]:
        show(f"no figures: {', '.join(missing)}")
    if options.check:
        return int(bool(missing) or any(each.verdict is not Verdict.MET for each in targets))
    return int(bool(failed))


def all_targets(sections: dict[str, Any]) -> list[Target]:
    """Evaluate the targets of all sections that have figures."""
    return [
        target
        for name, module in SECTIONS.items()
        if name in sections
        for target in module.targets(sections[name]["rows"])
    ]


def _measure(names: list[str], sections: dict[str, Any], *, quick: bool) -> list[str]:
    """Measure; return the sections that failed, and remove their previous figures."""
    failed = []
    for name in sorted(names, key=_ORDER.index):
        section = provenance(quick=quick)
        try:
            sections[name] = section | {"rows": SECTIONS[name].measure(quick=quick)}
        except Exception:  # noqa: BLE001  the other sections are measured nevertheless
            show(f"{name} failed\n{traceback.format_exc()}")
            sections.pop(name, None)
            failed.append(name)
    return failed


def _report(targets: list[Target]) -> str:
    width = max((len(each.target) for each in targets), default=0)
    return "\n".join(
        f"{each.verdict.value:<9}  {each.target:<{width}}  {each.figure}" for each in targets
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        default=bool(os.environ.get("QUICK")),
        help="few samples, written to build/bench (also: QUICK=1)",
    )
    parser.add_argument("--check", action="store_true", help="evaluate the existing figures")
    parser.add_argument("--page", action="store_true", help="write the page of existing figures")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    options = parser.parse_args()
    if unknown := set(options.sections) - SECTIONS.keys():
        parser.error(f"unknown section: {', '.join(sorted(unknown))}")
    options.sections = options.sections or list(SECTIONS)
    return options


if __name__ == "__main__":
    sys.exit(main())
