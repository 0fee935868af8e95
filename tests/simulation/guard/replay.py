"""Shows one schedule: python -m tests.simulation.guard.replay SEED."""

from __future__ import annotations

import argparse
import sys
from pprint import pformat

from tests.simulation.guard.invariants import judge
from tests.simulation.guard.run import happened


def show(seed: int) -> str:
    """Give all events of a schedule, and what is wrong with it."""
    world = happened(seed)
    wrong = [f"VIOLATION {violation}" for violation in judge(world)] or ["no violation"]
    return "\n".join((pformat(world.schedule, width=100), world.journal.text(), *wrong))


def main() -> int:
    """Show the schedule of the seed on the command line; 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    text = show(parser.parse_args().seed)
    sys.stdout.write(f"{text}\n")
    return int("VIOLATION" in text)


if __name__ == "__main__":
    sys.exit(main())
