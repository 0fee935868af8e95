"""Many schedules: python -m tests.simulation.campaign --seeds 100000 --workers 2 --out FILE.

The schedules are of the handler; with ``--guard``, each seed has one of the guard and one of
remediation. The seeds are new, unless ``--first`` specifies them. Prints them, the progress, and a
summary, and writes the summary as JSON. The exit status is 1 when an invariant did not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.guard.run import remediate
from tests.simulation.guard.run import run as run_guard
from tests.simulation.outcome import Outcome
from tests.simulation.run import run

BATCH = 100
SEEDS_SHOWN = 20
BASES = 10**12
"""Bases of seeds are drawn below this, in steps of a million."""


@dataclass
class Summary:
    """Added results of many schedules."""

    schedules: int = 0
    requests: int = 0
    invocations: int = 0
    calls: int = 0
    dead_letters: int = 0
    violated_schedules: int = 0
    profiles: Counter[str] = field(default_factory=Counter)
    stacks: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    exemptions: Counter[str] = field(default_factory=Counter)
    notifications: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    first_seeds: dict[str, list[int]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of one schedule."""
        self.schedules += 1
        self.requests += outcome.requests
        self.invocations += outcome.invocations
        self.calls += outcome.calls
        self.dead_letters += outcome.dead_letters
        self.violated_schedules += bool(outcome.violations)
        self.profiles[outcome.profile] += 1
        self.stacks[outcome.stack] += 1
        self.faults += outcome.faults
        self.errors += outcome.errors
        self.exemptions += outcome.exemptions
        self.notifications += outcome.notifications
        for violation in outcome.violations:
            sys.stderr.write(f"\rseed {outcome.seed}: {violation}\n")
            self.violations[violation.check] += 1
            seeds = self.first_seeds.setdefault(violation.check, [])
            if len(seeds) < SEEDS_SHOWN and outcome.seed not in seeds:
                seeds.append(outcome.seed)


def campaign(first: int, seeds: int, workers: int, *, guard: bool) -> Iterator[Summary]:
    """Run the schedules from a first seed on, and yield the summary after each batch."""
    summary = Summary()
    starts = range(first, first + seeds, BATCH)
    batches = [range(start, min(start + BATCH, first + seeds)) for start in starts]
    with get_context("spawn").Pool(workers) as pool:
        for outcomes in pool.imap(_guard_batch if guard else _batch, batches):
            for outcome in outcomes:
                summary.add(outcome)
            yield summary


def new_base() -> int:
    """Draw a first seed that is unlikely to have been tried before."""
    return random.SystemRandom().randrange(0, BASES, 10**6)


def _batch(seeds: range) -> list[Outcome]:
    return [run(seed) for seed in seeds]


def _guard_batch(seeds: range) -> list[Outcome]:
    return [kind(seed) for seed in seeds for kind in (run_guard, remediate)]


def _revision() -> str:
    """The tested commit, and whether the handler differs from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.campaign")
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules")
    parser.add_argument("--first", type=int, help="the first seed (default: a new one)")
    parser.add_argument("--guard", action="store_true", help="of the guard instead of the handler")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, help="where to write the summary as JSON")
    options = parser.parse_args()
    first = new_base() if options.first is None else options.first
    target = "simulate-guard" if options.guard else "simulate"
    again = f"make {target} FIRST={first} SEEDS={options.seeds}"
    sys.stderr.write(f"seeds from {first}; again: {again}\n")
    began, revision = time.monotonic(), _revision()
    summary = Summary()
    for summary in campaign(first, options.seeds, options.workers, guard=options.guard):
        seconds = time.monotonic() - began
        sys.stderr.write(
            f"\r{summary.schedules} schedules, {summary.schedules / seconds:.0f} a second,"
            f" {summary.violated_schedules} with violations"
        )
    seconds = time.monotonic() - began
    report = {
        "revision": revision,
        "first_seed": first,
        "seconds": round(seconds, 1),
        "workers": options.workers,
        **vars(summary),
    }
    text = json.dumps(report, indent=2, sort_keys=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(f"{text}\n", encoding="utf-8")
    sys.stdout.write(f"\n{text}\n")
    return int(summary.violated_schedules > 0)


if __name__ == "__main__":
    sys.exit(main())
