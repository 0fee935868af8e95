"""Runs a schedule: the owners change streams and deploy, while the guards watch."""

from __future__ import annotations

from functools import partial

from simulated_aws.event_source import MakeGuard
from simulated_aws.guarded_account import FIRST_SCAN, GuardedAccount
from simulated_aws.scheduler import BEGIN
from simulated_aws.sqs import QUEUE, REMEDIATION
from stream_encryption.guard.handler import Guard
from tests.simulation.guard.owners import Owners
from tests.simulation.guard.schedule import GuardSchedule


class GuardSimulation(GuardedAccount):
    """One schedule, ready to run.

    Parameters
    ----------
    schedule
        Schedule to run.
    make
        Makes the function of a guard; tests pass broken ones.
    """

    def __init__(self, schedule: GuardSchedule, make: MakeGuard = Guard) -> None:
        super().__init__(schedule, make)
        self.schedule = schedule
        self.ticks: list[float] = []
        self.fault_times: list[float] = []
        self.faults.on_fault = self._record_fault
        Owners(self, self.rng("people")).plan(schedule.deeds, schedule.deployments)

    def run(self) -> None:
        """Run the schedule until it is idle."""
        self.scheduler.at(BEGIN + FIRST_SCAN, self._tick)
        for when, body in self.schedule.releases:
            for guard in self.guards:
                release = f'{{"release": {body}}}'
                self.scheduler.at(when, partial(guard.sqs.send, REMEDIATION, release))
        self.scheduler.run(self.schedule.ends)

    def faults_between(self, begin: float, end: float) -> int:
        """Faults of the functions, their calls, and their queues in a time."""
        return sum(begin <= when <= end for when in self.fault_times)

    @property
    def last_fault(self) -> float:
        """When the last of them was."""
        return max(self.fault_times, default=BEGIN)

    def _record_fault(self, kind: str) -> None:
        if not kind.startswith(("trail", "people", "own stack")):
            self.fault_times.append(self.scheduler.now)

    def _tick(self) -> None:
        self.ticks.append(self.scheduler.now)
        for guard in self.guards:
            guard.sqs.send(QUEUE, '{"scan": {}}')
        self.scheduler.after(self.schedule.check_every, self._tick)
