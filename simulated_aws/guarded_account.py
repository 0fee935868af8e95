"""An account with guards, and with streams that they guard: the models connected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

from simulated_aws.cloudformation import GUARD_STACK, GuardStack
from simulated_aws.cloudtrail import Trail
from simulated_aws.dynamodb import TABLE, DynamoDb
from simulated_aws.event_source import MakeGuard, MessageInvocation, QueueFunction, Window
from simulated_aws.kinesis import DAY, Kinesis, KinesisTraits, State
from simulated_aws.kms import AWS_MANAGED_ALIAS, Key, Kms
from simulated_aws.listing import Lists
from simulated_aws.scheduler import BEGIN, Scheduler
from simulated_aws.service import Params, ServiceError, arn
from simulated_aws.sns import TOPIC, Publication, Sns
from simulated_aws.sqs import DEAD_LETTERS, QUEUE, REMEDIATION, Sqs
from simulated_aws.stage import Faults, History, Journal, Stage
from stream_encryption.guard.handler import Guard
from stream_encryption.guard.settings import Settings

KEYS = tuple(f"{number}{'0' * 7}-0000-4000-8000-{'0' * 12}" for number in (1, 2, 3))
KEY_ARNS = tuple(arn("kms", f"key/{key}") for key in KEYS)
ALIASES = {"alias/one": KEYS[0], "alias/two": KEYS[1]}
FIRST_SCAN = 60.0
_MANAGED = f"4{'0' * 7}-0000-4000-8000-{'0' * 12}"


@dataclass(kw_only=True)
class AccountTraits:
    """What an account contains, and how its services behave.

    Parameters
    ----------
    seed
        Of all random sources.
    keys
        One guard has each of them, in its settings.
    settings
        Which streams the guards select and exempt.
    limits
        Limits of remediation; without them, the guards have none.
    streams, tags
        Key and tags of each stream, by name.
    kinesis
        Undocumented behavior of Kinesis.
    latency
        Longest usual time of a call, in seconds.
    rates
        Probability of each kind of fault.
    index_lag
        Seconds after which the tagging API knows a tag.
    alias_lag
        Seconds from the first scan on in which KMS may not show the desired alias yet.
    windows
        Times in which a service refuses calls.
    """

    seed: int
    keys: list[str | None]
    settings: dict[str, Any]
    limits: dict[str, int] | None = None
    streams: Mapping[str, str | None]
    tags: Mapping[str, dict[str, str]] = field(default_factory=dict)
    kinesis: KinesisTraits
    latency: float
    rates: dict[str, float]
    index_lag: float = 0.0
    alias_lag: float = 0.0
    windows: list[Window] = field(default_factory=list)


class GuardedAccount:
    """The models of one account.

    Parameters
    ----------
    traits
        What it contains.
    make
        Makes the function of a guard; tests pass broken ones.
    """

    def __init__(self, traits: AccountTraits, make: MakeGuard = Guard) -> None:
        self.traits = traits
        self.scheduler = Scheduler()
        self.journal = Journal(self.scheduler)
        self.faults = Faults(self.rng("faults"), traits.rates)
        self.stage = stage = Stage(self.scheduler, self.journal, self.faults)
        keys = tuple(Key(key) for key in (*KEYS, _MANAGED))
        self.kms = Kms(stage, keys, {**ALIASES, AWS_MANAGED_ALIAS: _MANAGED})
        self.kinesis = Kinesis(stage, self.kms, traits.kinesis, self.rng("kinesis"))
        for name, key in traits.streams.items():
            state = State("ACTIVE", key, BEGIN - DAY)
            self.kinesis.add(arn("kinesis", f"stream/{name}"), state)
        self.tags = {name: History(BEGIN, traits.tags.get(name, {})) for name in traits.streams}
        self.stack, self.status = GuardStack(), History(BEGIN, "CREATE_COMPLETE")
        self.lists = Lists(
            self._names,
            lambda name: self.tags[name].value,
            lambda name: self.tags[name].at(self.scheduler.now - traits.index_lag),
        )
        self._alias_rng = self.rng("aliases")
        self.guards = [SimulatedGuard(self, n, key, make) for n, key in enumerate(traits.keys)]
        self.trail = Trail(stage, [guard.sqs for guard in self.guards], self.rng("trail"))

    def rng(self, part: str) -> Random:
        """Make the random source of a part; its name selects the random sequence."""
        return Random(f"{part} {self.traits.seed}")

    def set_stack_status(self, status: str) -> None:
        """Set the status of the stack of the guards."""
        if status == "UPDATE_IN_PROGRESS":
            self.stack.updated = datetime.fromtimestamp(self.scheduler.now, UTC)
        self.stack.status = status
        self.status.set(self.scheduler.now, status)

    def check_alias(self, key_id: str, desired_key: str | None) -> None:
        """Show the desired alias only sometimes, as if it was created just before the scan."""
        since = self.scheduler.now - BEGIN - FIRST_SCAN
        if (
            desired_key
            and "alias/" in desired_key
            and key_id.endswith(desired_key)
            and 0 <= since < self.traits.alias_lag
            and self._alias_rng.random() < 0.7
        ):
            self.faults.count("people: made the desired alias")
            raise ServiceError("NotFoundException", f"Alias {key_id} is not found.")

    def _names(self) -> list[str]:
        streams = self.kinesis.streams.values()
        return [stream.name for stream in streams if stream.history.value.status]


class SimulatedGuard:
    """One guard: its queues, table, topic, and functions.

    Parameters
    ----------
    account
        Where it is deployed.
    number
        Its position among the guards.
    key
        Its first key.
    make
        Makes its functions.
    """

    def __init__(
        self, account: GuardedAccount, number: int, key: str | None, make: MakeGuard
    ) -> None:
        self._account, now = account, lambda: account.scheduler.now
        self.sqs, self.sns, self.table = Sqs(now), Sns(now), DynamoDb()
        self.key = History(BEGIN, key)
        self.published: list[tuple[Publication, MessageInvocation]] = []
        traits = account.traits
        common: dict[str, Any] = {
            "serve": self._serve,
            "make": make,
            "windows": traits.windows,
            "latency": traits.latency,
        }
        self.checks = QueueFunction(
            account.stage,
            self.sqs,
            settings=partial(self._settings, remediates=False),
            rng=account.rng(f"function {number}" if traits.limits else "function"),
            **common,
        )
        self.remediates = QueueFunction(
            account.stage,
            self.sqs,
            settings=partial(self._settings, remediates=True),
            rng=account.rng(f"remediation {number}"),
            queue=REMEDIATION,
            timeout=300,
            visibility=360,
            attempts=1,
            **common,
        )

    def _settings(self, *, remediates: bool) -> Settings:
        traits = self._account.traits
        given: dict[str, Any] = {
            "queue": REMEDIATION if remediates else QUEUE,
            "dead_letter_queue": DEAD_LETTERS,
            "table": TABLE,
            "stack": GUARD_STACK,
            "topic": TOPIC,
            "key": self.key.value,
            **traits.settings,
        }
        if remediates:
            own = {"key": self.key.value, "check_queue": QUEUE, "known_good_for": DAY}
            given["limits"] = own | (traits.limits or {})
        elif traits.limits:
            given["remediation_queue"] = REMEDIATION
        return Settings.parse(json.dumps(given))

    def _serve(
        self, service: str, operation: str, params: Params, invocation: MessageInvocation
    ) -> dict[str, Any]:
        account = self._account
        served: dict[str, Any]
        match service, operation:
            case "kinesis", "DescribeStreamSummary" | "StartStreamEncryption":
                served = account.kinesis.serve(operation, params, (self, invocation))
                if operation == "StartStreamEncryption":
                    name, key = params["StreamName"], params["KeyId"]
                    account.trail.record(operation, name, "guard", keyId=key)
            case "kms", _:
                account.check_alias(params["KeyId"], self.key.value)
                served = account.kms.serve(operation, params, invocation)
            case "sqs", _:
                served = self.sqs.serve(operation, params, invocation.message.continuations + 1)
            case "sns", _:
                served = self.sns.serve(operation, params)
                self.published.append((self.sns.published[-1], invocation))
                account.journal.note("TOPIC", self.sns.published[-1].subject)
            case "dynamodb", _:
                served = self.table.serve(operation, params)
            case "cloudformation", _:
                served = account.stack.serve(operation, params)
            case _:
                served = account.lists.serve(operation, params)
        return served
