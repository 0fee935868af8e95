"""Clock, journal, and faults, which all parts of the simulation share."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.journal import Faults, Journal
from tests.simulation.scheduler import Scheduler


@dataclass(frozen=True)
class Stage:
    """Clock, journal, and faults of one schedule.

    Parameters
    ----------
    scheduler
        Virtual clock and scheduled actions.
    journal
        Records events.
    faults
        Injects faults and counts them.
    """

    scheduler: Scheduler
    journal: Journal
    faults: Faults
