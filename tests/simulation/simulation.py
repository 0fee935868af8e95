"""Connects all parts of the simulation and runs a schedule."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from simulated_aws.api import Api
from simulated_aws.cloudformation import CloudFormation
from simulated_aws.iam import Iam
from simulated_aws.kinesis import Kinesis
from simulated_aws.kms import Kms
from simulated_aws.lambda_service import LambdaService
from simulated_aws.response_endpoint import ResponseEndpoint
from simulated_aws.scheduler import BEGIN, Scheduler
from simulated_aws.service import SimulatedService
from simulated_aws.stage import Faults, Journal, Stage
from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime
from tests.simulation.other_principals import OtherPrincipals
from tests.simulation.schedule import Schedule

MAX_DURATION = 30 * 24 * 3600.0
IDLE_AFTER = 3 * 3600.0
"""Seconds after the last user operation until everything has to be idle."""


class HandlerSimulation:
    """The simulated services of one schedule, with their user.

    Parameters
    ----------
    schedule
        Schedule to run.
    make_handler
        Makes the handler; tests pass broken ones.
    """

    def __init__(
        self, schedule: Schedule, make_handler: Callable[[Runtime], Any] = Handler
    ) -> None:
        def rng(part: str) -> Random:
            # The name selects the random sequence: renaming it changes the schedule of each seed.
            return Random(f"{part} {schedule.seed}")

        self.schedule = schedule
        self.scheduler = Scheduler(BEGIN)
        self.journal = Journal(self.scheduler)
        self.faults = Faults(rng("faults"), schedule.rates)
        stage = Stage(self.scheduler, self.journal, self.faults)
        self.iam = Iam(schedule.denials)
        self.kms = Kms(
            stage,
            schedule.keys,
            schedule.aliases,
            lag=schedule.kms_lag,
            rng=rng("kms"),
        )
        self.kinesis = Kinesis(stage, self.kms, schedule.kinesis, rng("kinesis"))
        for name, state in schedule.streams.items():
            self.kinesis.add(name, state, schedule.spent[name])
        self.endpoint = ResponseEndpoint(
            stage, schedule.outages, schedule.signature, rng("endpoint")
        )
        self.cloudformation = CloudFormation(
            stage,
            self.endpoint,
            kms=self.kms,
            invoke=self._invoke,
            operations=schedule.operations,
            traits=schedule.cloudformation,
            rng=rng("cloudformation"),
        )
        services: dict[str, SimulatedService] = {
            "kinesis": self.kinesis,
            "kms": self.kms,
            "cloudformation": self.cloudformation,
        }
        self.api = Api(
            stage,
            self.iam,
            services,
            latency=schedule.latency,
            silent=schedule.silent,
            rng=rng("network"),
        )
        self.lambda_service = LambdaService(
            stage,
            self.api,
            self.endpoint,
            make_function=make_handler,
            timeout=schedule.function_timeout,
            rng=rng("lambda"),
            handler_rng=rng("handler"),
        )
        services["lambda"] = self.lambda_service
        OtherPrincipals(stage, self.kinesis, self.kms, schedule.external_changes, rng("actors"))

    def run(self) -> None:
        """Run all user operations, and then wait until everything is idle."""
        scheduler = self.scheduler
        scheduler.spawn(self.cloudformation.run_operations)
        scheduler.run(BEGIN + MAX_DURATION, stop=lambda: self.cloudformation.finished)
        scheduler.run(scheduler.now + IDLE_AFTER)

    def _invoke(self, payload: str, request_id: str) -> None:
        self.lambda_service.invoke(payload, request_id)
