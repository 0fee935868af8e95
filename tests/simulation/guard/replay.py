"""Shows one schedule: python -m tests.simulation.guard.replay SEED."""

from __future__ import annotations

import argparse
import sys
from pprint import pformat

from tests.simulation.guard import remediating, remediation_invariants
from tests.simulation.guard.invariants import judge
from tests.simulation.guard.run import happened


def show(seed: int) -> str:
    """Give all events of a schedule, and what is wrong with it."""
    account = happened(seed)
    wrong = [f"VIOLATION {violation}" for violation in judge(account)] or ["no violation"]
    return "\n".join((pformat(account.schedule, width=100), account.journal.text(), *wrong))


def show_remediation(seed: int) -> str:
    """Give all events of a schedule of remediation, and what is wrong with it."""
    account = remediating.GuardedAccount(remediating.draw(seed))
    account.happen()
    wrong = [f"VIOLATION {each}" for each in remediation_invariants.judge(account)]
    schedule = pformat(account.schedule, width=100)
    return "\n".join((schedule, account.journal.text(), *(wrong or ["no violation"])))


def main() -> int:
    """Show the schedule of the seed on the command line; 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--remediation", action="store_true", help="its schedule of remediation")
    options = parser.parse_args()
    text = show_remediation(options.seed) if options.remediation else show(options.seed)
    sys.stdout.write(f"{text}\n")
    return int("VIOLATION" in text)


if __name__ == "__main__":
    sys.exit(main())
