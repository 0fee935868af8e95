"""Shows one schedule: python -m tests.simulation.replay SEED."""

from __future__ import annotations

import argparse
import sys
from pprint import pformat

from tests.simulation.invariants import check_invariants
from tests.simulation.run import simulate


def show(seed: int) -> str:
    """Return all events of a schedule and its violations."""
    aws = simulate(seed)
    result = check_invariants(aws)
    violations = [f"VIOLATION {violation}" for violation in result.violations] or ["no violation"]
    exempt = [f"exempted {count} x {kind}" for kind, count in sorted(result.exemptions.items())]
    return "\n".join((pformat(aws.schedule, width=100), aws.journal.text(), *exempt, *violations))


def main() -> int:
    """Show the schedule of the seed on the command line; 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay", description=__doc__)
    parser.add_argument("seed", type=int)
    text = show(parser.parse_args().seed)
    sys.stdout.write(f"{text}\n")
    return int("VIOLATION" in text)


if __name__ == "__main__":
    sys.exit(main())
