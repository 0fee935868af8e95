"""Shows one schedule: python -m tests.simulation.replay [--guard | --remediation] SEED."""

from __future__ import annotations

import argparse
import sys
from pprint import pformat

from tests.simulation.guard import invariants, remediation_invariants, remediation_schedule
from tests.simulation.guard.run import simulate as simulate_guard
from tests.simulation.guard.schedule import GuardSchedule, draw
from tests.simulation.invariants import check_invariants
from tests.simulation.outcome import Violation
from tests.simulation.run import simulate
from tests.simulation.schedule import Schedule


def show(seed: int) -> str:
    """Return all events of a schedule of the handler and its violations."""
    simulation = simulate(seed)
    result = check_invariants(simulation)
    exempt = [f"exempted {count} x {kind}" for kind, count in sorted(result.exemptions.items())]
    journal = "\n".join((simulation.journal.text(), *exempt))
    return _format(simulation.schedule, journal, result.violations)


def show_guard(seed: int) -> str:
    """Return the same of a schedule of the guard."""
    simulation = simulate_guard(draw(seed))
    return _format(simulation.schedule, simulation.journal.text(), invariants.judge(simulation))


def show_remediation(seed: int) -> str:
    """Return the same of a schedule of remediation."""
    simulation = simulate_guard(remediation_schedule.draw(seed))
    violations = remediation_invariants.judge(simulation)
    return _format(simulation.schedule, simulation.journal.text(), violations)


def _format(schedule: Schedule | GuardSchedule, events: str, violations: list[Violation]) -> str:
    lines = [f"VIOLATION {violation}" for violation in violations] or ["no violation"]
    return "\n".join((pformat(schedule, width=100), events, *lines))


def main() -> int:
    """Show the schedule of the seed on the command line; 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay", description=__doc__)
    parser.add_argument("seed", type=int)
    for what, function in (("guard", show_guard), ("remediation", show_remediation)):
        parser.add_argument(f"--{what}", dest="show", action="store_const", const=function)
    options = parser.parse_args()
    text = (options.show or show)(options.seed)
    sys.stdout.write(f"{text}\n")
    return int("VIOLATION" in text)


if __name__ == "__main__":
    sys.exit(main())
