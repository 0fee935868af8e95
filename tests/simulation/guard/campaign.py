"""Many schedules of the guard: python -m tests.simulation.guard.campaign --seeds 100000.

Each seed has a schedule of the guard, and one of remediation.

The seeds are ones never tried before, unless ``--first`` names them. The exit status is 1 when an
invariant did not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.campaign import new_base
from tests.simulation.guard.run import Outcome, remediate, run

BATCH = 100
SEEDS_SHOWN = 20


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.guard.campaign")
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules")
    parser.add_argument("--first", type=int, help="the first seed (default: a new one)")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, help="where to write the summary as JSON")
    options = parser.parse_args()
    first = new_base() if options.first is None else options.first
    again = f"make simulate-guard FIRST={first} SEEDS={options.seeds}"
    sys.stderr.write(f"seeds from {first}; again: {again}\n")
    began, total, violated = time.monotonic(), Counter[str](), dict[int, list[str]]()
    counts = {
        name: Counter[str]() for name in ("profiles", "notifications", "faults", "violations")
    }
    starts = range(first, first + options.seeds, BATCH)
    with get_context("spawn").Pool(options.workers) as pool:
        for outcomes in pool.imap(_batch, [(start, first + options.seeds) for start in starts]):
            for outcome in outcomes:
                _add(outcome, total, counts, violated)
            speed = total["schedules"] / (time.monotonic() - began)
            sys.stderr.write(
                f"\r{total['schedules']} schedules, {speed:.1f} a second,"
                f" {total['violated_schedules']} with violations"
            )
            sys.stderr.flush()
    summary = {
        "first_seed": first,
        "seconds": round(time.monotonic() - began, 1),
        **total,
        **{name: dict(sorted(counter.items())) for name, counter in counts.items()},
        "first_violations": violated,
    }
    text = json.dumps(summary, indent=2)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(f"{text}\n", encoding="utf-8")
    sys.stdout.write(f"\n{text}\n")
    return int(total["violated_schedules"] > 0)


def _add(
    outcome: Outcome,
    total: Counter[str],
    counts: dict[str, Counter[str]],
    violated: dict[int, list[str]],
) -> None:
    total.update(
        schedules=1,
        invocations=outcome.invocations,
        calls=outcome.calls,
        given_up=outcome.given_up,
        violated_schedules=int(bool(outcome.violations)),
    )
    counts["profiles"][outcome.profile] += 1
    counts["notifications"] += outcome.notifications
    counts["faults"] += outcome.faults
    counts["violations"].update(each.check for each in outcome.violations)
    if outcome.violations and len(violated) < SEEDS_SHOWN:
        violated[outcome.seed] = [str(each) for each in outcome.violations]


def _batch(batch: tuple[int, int]) -> list[Outcome]:
    start, end = batch
    seeds = range(start, min(start + BATCH, end))
    return [kind(seed) for seed in seeds for kind in (run, remediate)]


if __name__ == "__main__":
    sys.exit(main())
