"""The simulated account: all parts of the guard's simulation combined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from simulated_aws.cloudformation import GUARD_STACK, GuardStack
from simulated_aws.cloudtrail import Trail
from simulated_aws.dynamodb import TABLE, DynamoDb
from simulated_aws.event_source import Function, Invocation
from simulated_aws.kinesis import Kinesis, State, Stream
from simulated_aws.kms import AWS_MANAGED_ALIAS, Key, Kms
from simulated_aws.listing import Lists
from simulated_aws.scheduler import BEGIN, Scheduler
from simulated_aws.service import Params, ServiceError, arn
from simulated_aws.sns import TOPIC, Publication, Sns
from simulated_aws.sqs import DEAD_LETTERS, QUEUE, Sqs
from simulated_aws.stage import Faults, History, Journal, Stage
from stream_encryption.guard.handler import Guard
from stream_encryption.guard.settings import Settings
from stream_encryption.runtime import Runtime
from tests.simulation.guard.owners import Owners
from tests.simulation.guard.schedule import ALIASES, KEYS, Schedule

FIRST_SCAN = 60.0
MANAGED = f"4{'0' * 7}-0000-4000-8000-{'0' * 12}"
Make = Callable[[Runtime, Settings], Callable[[dict[str, Any], Any], dict[str, Any]]]


class GuardedAccount:
    """One schedule, ready to happen; ``make`` makes the guard, and tests give broken ones."""

    def __init__(self, schedule: Schedule, make: Make = Guard) -> None:
        def rng(part: str) -> Random:
            return Random(f"{part} {schedule.seed}")

        self.schedule = schedule
        self._rng = rng("aliases")
        self.scheduler = Scheduler(BEGIN)
        self.journal = Journal(self.scheduler)
        self.fault_times: list[float] = []
        self.faults = _Faults(rng("faults"), schedule.rates, self._fault)
        stage = Stage(self.scheduler, self.journal, self.faults)
        keys = tuple(Key(key) for key in (*KEYS, MANAGED))
        aliases = {**ALIASES, AWS_MANAGED_ALIAS: MANAGED}
        self.kms = Kms(stage, keys, aliases)
        self.kinesis = Kinesis(stage, self.kms, schedule.kinesis, rng("kinesis"))
        for name, key in schedule.streams.items():
            state = State("ACTIVE", key, BEGIN - 86400)
            stream = Stream(arn("kinesis", f"stream/{name}"), BEGIN, state, [])
            self.kinesis.streams[stream.arn] = stream
        self.tags = {name: History(BEGIN, tags) for name, tags in schedule.tags.items()}
        self.desired_key: History[str | None] = History(BEGIN, schedule.settings["key"])
        self.status = History(BEGIN, "CREATE_COMPLETE")
        self.stack = GuardStack()
        self.sqs, self.sns = Sqs(lambda: self.scheduler.now), Sns(lambda: self.scheduler.now)
        self.table = DynamoDb()
        lag = schedule.index_lag
        self.lists = Lists(
            self._names,
            lambda name: self.tags[name].value,
            lambda name: self.tags[name].at(self.scheduler.now - lag),
        )
        self.trail = Trail(stage, self.sqs, rng("trail"))
        self.published: list[tuple[Publication, Invocation]] = []
        self.ticks: list[float] = []
        self.function = Function(
            stage,
            self.sqs,
            settings=self._settings,
            serve=self._serve,
            make=make,
            windows=schedule.windows,
            latency=schedule.latency,
            rng=rng("function"),
        )
        Owners(
            stage,
            self.kinesis,
            self.kms,
            self.trail,
            tags=self.tags,
            desired_key=self.desired_key,
            status=self.status,
            set_status=lambda status: setattr(self.stack, "status", status),
            rng=rng("people"),
        ).plan(schedule.deeds, schedule.deployments)

    def faults_between(self, begin: float, end: float) -> int:
        """Faults of the function, its calls and its queue in a time."""
        return sum(begin <= when <= end for when in self.fault_times)

    @property
    def last_fault(self) -> float:
        """When the last of them was."""
        return max(self.fault_times, default=BEGIN)

    def happen(self) -> None:
        """Run the schedule until it is idle."""
        self.scheduler.at(BEGIN + FIRST_SCAN, self._tick)
        self.scheduler.run(self.schedule.ends)

    def _fault(self, kind: str) -> None:
        if not kind.startswith(("trail", "people", "own stack")):
            self.fault_times.append(self.scheduler.now)

    def _tick(self) -> None:
        self.ticks.append(self.scheduler.now)
        self.sqs.send(QUEUE, '{"scan": {}}')
        self.scheduler.after(self.schedule.check_every, self._tick)

    def _names(self) -> list[str]:
        streams = self.kinesis.streams.values()
        return [stream.name for stream in streams if stream.history.value.status]

    def _hide_new_alias(self, key_id: str) -> None:
        """Show the desired alias only sometimes, as if it was created just before the scan."""
        desired_key = self.desired_key.value or ""
        since = self.scheduler.now - BEGIN - FIRST_SCAN
        is_new = 0 <= since < self.schedule.alias_lag
        if (
            "alias/" in desired_key
            and key_id.endswith(desired_key)
            and is_new
            and self._rng.random() < 0.7
        ):
            self.faults.count("people: made the desired alias")
            raise ServiceError("NotFoundException", f"Alias {key_id} is not found.")

    def _settings(self) -> Settings:
        given = {**self.schedule.settings, "key": self.desired_key.value}
        return Settings(QUEUE, DEAD_LETTERS, TABLE, GUARD_STACK, TOPIC, **given)

    def _serve(
        self, service: str, operation: str, params: Params, invocation: Invocation
    ) -> dict[str, Any]:
        if operation == "DescribeStreamSummary":
            return self.kinesis.serve(operation, params, invocation)
        if service == "kms":
            self._hide_new_alias(params["KeyId"])
            return self.kms.serve(operation, params, invocation)
        if service == "sqs":
            return self.sqs.serve(operation, params, invocation.message.continuations + 1)
        if service == "sns":
            response = self.sns.serve(operation, params)
            self.published.append((self.sns.published[-1], invocation))
            self.journal.note("TOPIC", self.sns.published[-1].subject)
            return response
        parts: dict[str, Any] = {"dynamodb": self.table, "cloudformation": self.stack}
        served: dict[str, Any] = parts.get(service, self.lists).serve(operation, params)
        return served


class _Faults(Faults):
    """Reports when a fault was injected."""

    def __init__(
        self, rng: Random, rates: Mapping[str, float], on_fault: Callable[[str], None]
    ) -> None:
        super().__init__(rng, rates)
        self._on_fault = on_fault

    def hit(self, kind: str) -> bool:
        hit = super().hit(kind)
        if hit:
            self._on_fault(kind)
        return hit

    def count(self, kind: str) -> None:
        super().count(kind)
        self._on_fault(kind)
