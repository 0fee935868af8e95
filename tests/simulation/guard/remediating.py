"""A guard with remediation, or two of them, and the owners of the streams: drawn from a seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

from simulated_aws.cloudformation import GUARD_STACK, GuardStack
from simulated_aws.cloudtrail import Trail
from simulated_aws.dynamodb import TABLE, DynamoDb
from simulated_aws.event_source import Function, Invocation, Window
from simulated_aws.kinesis import Kinesis, KinesisTraits, State, Stream
from simulated_aws.kms import Key, Kms
from simulated_aws.listing import Lists
from simulated_aws.scheduler import BEGIN, Scheduler
from simulated_aws.service import Params, arn
from simulated_aws.sns import TOPIC, Publication, Sns
from simulated_aws.sqs import DEAD_LETTERS, QUEUE, REMEDIATION, Sqs
from simulated_aws.stage import Faults, History, Journal, Stage
from stream_encryption.guard.handler import Guard
from stream_encryption.guard.settings import Settings
from tests.simulation.guard.account import Make
from tests.simulation.guard.owners import Owners
from tests.simulation.guard.schedule import (
    EXEMPT,
    HOUR,
    KEY_ARNS,
    KEYS,
    NAMES,
    PROFILES,
    RATES,
    Deed,
    Deployment,
)

ACTIVE_FOR = 4 * HOUR
DAY = 24 * HOUR
OWN_KEY = KEY_ARNS[2]
"""The key to which owners switch."""

OWNERS = ("once", "insists", "applies", "own key", "exempts", "recreates", "restores", "idle")
FLEET = 100


@dataclass
class Schedule:
    """What is going to happen."""

    seed: int
    profile: str
    keys: list[str]
    owners: dict[str, str]
    max_changes: int
    max_streams: int
    check_every: float
    kinesis: KinesisTraits
    latency: float
    rates: dict[str, float]
    deeds: list[Deed] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    releases: list[tuple[float, str]] = field(default_factory=list)

    @property
    def ends(self) -> float:
        """When the latest event and the scans after it have been handled."""
        return BEGIN + ACTIVE_FOR + 2 * HOUR + 3 * self.check_every


def draw(seed: int) -> Schedule:
    """Draw the schedule of a seed."""
    rng = Random(f"remediation {seed}")
    profile = rng.choices(list(PROFILES), list(PROFILES.values()))[0]
    troubled = profile not in {"quiet", "deployments"}
    fleet = rng.random() < 0.04
    names = [f"s{number:03}" for number in range(FLEET)] if fleet else list(NAMES)
    keys = [KEY_ARNS[0]]
    if fleet and rng.random() < 0.5:
        keys = [KEY_ARNS[1]]  # a wrong one, as all streams have the first
    elif not fleet and rng.random() < 0.25:
        keys.append(rng.choice(KEY_ARNS[:2]))
    schedule = Schedule(
        seed=seed,
        profile=profile,
        keys=keys,
        owners={name: "once" if fleet else rng.choice(OWNERS) for name in names},
        max_changes=rng.randint(1, 5),
        max_streams=rng.choice((1, 2, 10, 10)),
        check_every=rng.choice((HOUR / 2, HOUR, 2 * HOUR)),
        kinesis=KinesisTraits(
            staleness=rng.choice((0.0, 1.0, 3.0, 8.0)) if troubled else 0.0,
            shows_target=rng.random() < 0.5,
            load=rng.choice((0.0, 0.0, 0.9)) if troubled and not fleet else 0.0,
            durations=rng.choice(((1, 6, 1, 0, 0), (1, 6, 3, 1, 0))),
        ),
        latency=rng.choice((0.02, 0.1, 0.4)),
        rates=RATES[profile],
    )
    for name in names:
        _own(schedule, name, rng)
    schedule.deeds.sort(key=lambda deed: deed.when)
    if profile in {"deployments", "everything"} and not fleet:
        for _ in range(rng.randint(1, 3)):
            schedule.deployments.append(_deployment(rng))
        schedule.deployments.sort(key=lambda each: each.when)
    if profile in {"refusals", "everything"}:
        for _ in range(rng.randint(1, 3)):
            begins = BEGIN + rng.uniform(0, ACTIVE_FOR)
            service = rng.choice(("dynamodb", "sns", "kinesis", "cloudformation", "kms"))
            length = rng.choice((60.0, 600.0, HOUR)) * rng.uniform(0.5, 1.0)
            schedule.windows.append(Window(service, begins, begins + length))
    if rng.random() < 0.2:
        body = rng.choice(("{}", json.dumps({"stream": rng.choice(names)})))
        schedule.releases.append((BEGIN + rng.uniform(HOUR, ACTIVE_FOR), body))
    return schedule


def _deployment(rng: Random) -> Deployment:
    return Deployment(
        when=BEGIN + rng.uniform(300, ACTIVE_FOR),
        key=rng.choice(KEY_ARNS[:2]),
        streams=tuple(name for name in NAMES if rng.random() < 0.5),
        guard_first=rng.random() < 0.5,
        ends=rng.choices(("complete", "rolled back", "rollback failed"), (4, 2, 1))[0],
        failed_for=rng.choice((300.0, HOUR)) * rng.uniform(0.5, 1.0),
    )


def _own(schedule: Schedule, name: str, rng: Random) -> None:
    """Plan what the owner of a stream does; a stop of an unencrypted stream is refused."""
    owner = schedule.owners[name]
    if owner == "idle":
        return
    first = BEGIN + rng.uniform(600, 2 * HOUR)
    deeds = [(0.0, "stop", ""), *_DEEDS[owner](rng)]
    last = BEGIN + ACTIVE_FOR - first
    for later, what, value in deeds:
        if later < last:
            schedule.deeds.append(Deed(first + later, what, name, value, owner))


def _restores(rng: Random) -> list[tuple[float, str, str]]:
    deeds, when = [], 0.0
    for _ in range(rng.randint(1, 6)):
        start = when + rng.choice((5, 60, 900)) * rng.uniform(0.5, 1.5)
        deeds += [(start, "start", KEY_ARNS[0])]
        when += rng.uniform(900, 2400)
        deeds += [(when, "stop", "")]
    return deeds


_DEEDS: dict[str, Callable[[Random], list[tuple[float, str, str]]]] = {
    "once": lambda _: [],
    "insists": lambda rng: [(n * rng.uniform(150, 400), "stop", "") for n in range(1, 60)],
    # As Terraform does: at every apply.
    "applies": lambda rng: [(n * rng.uniform(1500, 3600), "stop", "") for n in range(1, 10)],
    "own key": lambda rng: [
        (rng.uniform(0.5, 40), "start", OWN_KEY),
        (rng.uniform(100, 4000), "stop", ""),
    ],
    "exempts": lambda rng: [
        (rng.uniform(-5, 20), "tag", EXEMPT),
        (rng.uniform(1000, 4000), "untag", EXEMPT),
    ],
    "recreates": lambda rng: [
        (rng.uniform(15, 40), "delete", ""),
        (rng.uniform(75, 600), "create", ""),
        (rng.uniform(700, 900), "start", KEY_ARNS[0]),
        (rng.uniform(1200, 4000), "stop", ""),
    ],
    "restores": _restores,
}


class Part:
    """One guard: its queues, table, topic, and functions."""

    def __init__(self, account: GuardedAccount, number: int, key: str, make: Make) -> None:
        self._account, now = account, lambda: account.scheduler.now
        self.sqs, self.sns, self.table = Sqs(now), Sns(now), DynamoDb()
        self.key: History[str | None] = History(BEGIN, key)
        self.published: list[tuple[Publication, Invocation]] = []
        schedule = account.schedule
        common: dict[str, Any] = {
            "serve": self._serve,
            "make": make,
            "windows": schedule.windows,
            "latency": schedule.latency,
        }
        self.checks = Function(
            account.stage,
            self.sqs,
            settings=partial(self._settings, limits=False),
            rng=account.rng(f"function {number}"),
            **common,
        )
        self.remediates = Function(
            account.stage,
            self.sqs,
            settings=partial(self._settings, limits=True),
            rng=account.rng(f"remediation {number}"),
            queue=REMEDIATION,
            timeout=300,
            visibility=360,
            attempts=1,
            **common,
        )

    def _settings(self, *, limits: bool) -> Settings:
        schedule = self._account.schedule
        given: dict[str, Any] = {
            "queue": REMEDIATION if limits else QUEUE,
            "dead_letter_queue": DEAD_LETTERS,
            "table": TABLE,
            "stack": GUARD_STACK,
            "topic": TOPIC,
            "key": self.key.value,
            "exempt_tag_key": EXEMPT,
        }
        if limits:
            given["limits"] = {
                "check_queue": QUEUE,
                "max_changes_per_stream": schedule.max_changes,
                "max_streams_per_hour": schedule.max_streams,
                "known_good_for": DAY,
            }
        else:
            given["remediation_queue"] = REMEDIATION
        return Settings.parse(json.dumps(given))

    def _serve(
        self, service: str, operation: str, params: Params, invocation: Invocation
    ) -> dict[str, Any]:
        account = self._account
        if operation in {"DescribeStreamSummary", "StartStreamEncryption"}:
            return account.kinesis.serve(operation, params, (self, invocation))
        if service == "kms":
            return account.kms.serve(operation, params, invocation)
        if service == "sqs":
            return self.sqs.serve(operation, params, invocation.message.continuations + 1)
        if service == "sns":
            response = self.sns.serve(operation, params)
            self.published.append((self.sns.published[-1], invocation))
            account.journal.note("TOPIC", self.sns.published[-1].subject)
            return response
        parts: dict[str, Any] = {"dynamodb": self.table, "cloudformation": account.stack}
        served: dict[str, Any] = parts.get(service, account.lists).serve(operation, params)
        return served


class GuardedAccount:
    """One schedule, ready to happen; ``make`` makes the functions, and tests give broken ones."""

    def __init__(self, schedule: Schedule, make: Make = Guard) -> None:
        self.schedule = schedule
        self.scheduler = Scheduler(BEGIN)
        self.journal = Journal(self.scheduler)
        self.faults = Faults(self.rng("faults"), schedule.rates)
        self.stage = Stage(self.scheduler, self.journal, self.faults)
        self.kms = Kms(self.stage, tuple(map(Key, KEYS)), {})
        self.kinesis = Kinesis(self.stage, self.kms, schedule.kinesis, self.rng("kinesis"))
        for name in schedule.owners:
            stream_arn = arn("kinesis", f"stream/{name}")
            state = State("ACTIVE", KEY_ARNS[0], BEGIN - DAY)
            self.kinesis.streams[stream_arn] = Stream(stream_arn, BEGIN, state, [])
        self.tags = {name: History(BEGIN, dict[str, str]()) for name in schedule.owners}
        self.status, self.stack = History(BEGIN, "CREATE_COMPLETE"), GuardStack()
        self.lists = Lists(
            self._names, lambda name: self.tags[name].value, lambda name: self.tags[name].value
        )
        self.guards = [Part(self, n, key, make) for n, key in enumerate(schedule.keys)]
        trail = Trail(self.stage, _All(self.guards), self.rng("trail"))  # type: ignore[arg-type]
        Owners(
            self.stage,
            self.kinesis,
            self.kms,
            trail,
            tags=self.tags,
            desired_key=self.guards[0].key,
            status=self.status,
            set_status=self._set_status,
            rng=self.rng("people"),
        ).plan(schedule.deeds, schedule.deployments)
        self._record_starts(trail)

    def rng(self, part: str) -> Random:
        """Make the source of chance of one part."""
        return Random(f"{part} {self.schedule.seed}")

    def happen(self) -> None:
        """Let everything happen."""
        self.scheduler.at(BEGIN + 60, self._tick)
        for when, body in self.schedule.releases:
            release = f'{{"release": {body}}}'
            for guard in self.guards:
                self.scheduler.at(when, partial(guard.sqs.send, REMEDIATION, release))
        self.scheduler.run(self.schedule.ends)

    def _tick(self) -> None:
        for guard in self.guards:
            guard.sqs.send(QUEUE, '{"scan": {}}')
        self.scheduler.after(self.schedule.check_every, self._tick)

    def _set_status(self, status: str) -> None:
        if status == "UPDATE_IN_PROGRESS":
            self.stack.updated = datetime.fromtimestamp(self.scheduler.now, UTC)
        self.stack.status = status

    def _names(self) -> list[str]:
        streams = self.kinesis.streams.values()
        return [stream.name for stream in streams if stream.history.value.status]

    def _record_starts(self, trail: Trail) -> None:
        """Record the calls of the guards in the trail, too."""
        serve = self.kinesis.serve

        def recorded(operation: str, params: Params, caller: object) -> dict[str, Any]:
            response = serve(operation, params, caller)
            if operation == "StartStreamEncryption":
                trail.record(operation, params["StreamName"], "guard", keyId=params["KeyId"])
            return response

        self.kinesis.serve = recorded  # type: ignore[method-assign]


class _All:
    """Delivers an event to each guard."""

    def __init__(self, guards: list[Part]) -> None:
        self._guards = guards

    def send(self, queue: str, body: str) -> None:
        for guard in self._guards:
            guard.sqs.send(queue, body)
