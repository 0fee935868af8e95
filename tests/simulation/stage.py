"""What all parts of the simulation share."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.journal import Faults, Journal
from tests.simulation.scheduler import Scheduler


@dataclass(frozen=True)
class Stage:
    """Time, memory and mishaps of one schedule.

    Parameters
    ----------
    scheduler
        The virtual clock, and what is going to happen.
    journal
        Takes what happened.
    faults
        Decides on faults and counts them.
    """

    scheduler: Scheduler
    journal: Journal
    faults: Faults
