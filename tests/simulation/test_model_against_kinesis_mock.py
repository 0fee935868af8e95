"""The simulated Kinesis behaves like kinesis-mock in the same short scripts."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws
from simulated_aws.kinesis import NOTHING, Kinesis, KinesisTraits
from simulated_aws.kms import Key, Kms
from simulated_aws.scheduler import Scheduler
from simulated_aws.service import ServiceError, arn
from simulated_aws.stage import Faults, Journal, Stage

KEYS = {number: Key(f"{number * 8}-{number * 4}-4000-8000-{number * 12}") for number in "12"}
SCRIPTS = {
    "a stream is created and deleted": "create wait delete wait",
    "encryption starts": "create wait start-1 wait",
    "another key": "create wait start-1 wait start-2 wait",
    "the same key again is also a change": "create wait start-1 wait start-1 wait",
    "encryption stops": "create wait start-1 wait stop-1 wait",
    "no change during another one": "create wait start-1 start-2 stop-1 wait",
    "no change during creation": "create start-1 wait",
    "no stream": "start-1 stop-1",
    "a new stream of the same name has nothing of the old one": (
        "create wait start-1 wait delete wait create wait"
    ),
}
"""Steps, the number being that of the key; to wait is until the stream status is stable."""

NAME = "orders"
STABLE = ("ACTIVE", "")
TIMEOUT = 60.0
NO_STREAM = ("", "", "")
CHANGE = 0.5
"""Seconds that a creation takes in kinesis-mock, and in this test also a change of encryption."""

REMOVAL = 1.5
"""Seconds until kinesis-mock removes a deleted stream, or a new one of the same name."""

Described = tuple[str, str, str]
"""Status, encryption type, and key of the stream; all empty when there is none."""

Observation = tuple[str, str, Described]
"""A step, the error code of its call, and the stream as described afterwards."""


class Simulated:
    """The simulated Kinesis with a clock of its own."""

    def __init__(self) -> None:
        self.scheduler = Scheduler()
        stage = Stage(self.scheduler, Journal(self.scheduler), Faults(Random(0), {}))
        traits = KinesisTraits(
            staleness=0.0, shows_target=True, load=0.0, durations=(0, 1, 0, 0, 0)
        )
        kms = Kms(stage, tuple(KEYS.values()), {})
        self.kinesis = Kinesis(stage, kms, traits, Random(0))
        self.stream = self.kinesis.add(arn("kinesis", f"stream/{NAME}"), NOTHING)

    def call(self, verb: str, key: str) -> str:
        try:
            match verb:
                case "create":
                    self.kinesis.create(self.stream)
                case "delete":
                    self.kinesis.delete(self.stream)
                case _:
                    params = {"StreamName": NAME, "KeyId": key}
                    operation = f"{verb.capitalize()}StreamEncryption"
                    self.kinesis.serve(operation, params, "script")
        except ServiceError as error:
            return error.code
        return ""

    def wait(self) -> None:
        self.scheduler.run(self.scheduler.now + 3600)

    def describe(self) -> Described:
        try:
            response = self.kinesis.serve("DescribeStreamSummary", {"StreamName": NAME}, "script")
        except ServiceError:
            return NO_STREAM
        return _described(response)


class Emulated:
    """kinesis-mock, with a stream for each run of a script."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.name = f"{NAME}-{uuid.uuid4().hex[:8]}"
        self.late = False
        """Whether a slow machine described the stream when a change may already have ended."""
        self._changes_until = math.inf

    def call(self, verb: str, key: str) -> str:
        self._changes_until = min(self._changes_until, time.monotonic() + CHANGE)
        calls: dict[str, Callable[..., object]] = {
            "create": partial(self.client.create_stream, ShardCount=1),
            "delete": self.client.delete_stream,
            "start": self.client.start_stream_encryption,
            "stop": self.client.stop_stream_encryption,
        }
        params: dict[str, Any] = {"EncryptionType": "KMS", "KeyId": key} if key else {}
        try:
            calls[verb](StreamName=self.name, **params)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    def wait(self) -> None:
        self._changes_until = math.inf
        end = time.monotonic() + TIMEOUT
        while self.describe()[0] not in STABLE:
            assert time.monotonic() < end, self.describe()
            time.sleep(0.1)
        if self.describe() == NO_STREAM:
            time.sleep(REMOVAL)

    def describe(self) -> Described:
        try:
            return _described(self.client.describe_stream_summary(StreamName=self.name))
        except self.client.exceptions.ResourceNotFoundException:
            return NO_STREAM
        finally:
            self.late = self.late or time.monotonic() >= self._changes_until


def _described(response: dict[str, Any]) -> Described:
    summary = response["StreamDescriptionSummary"]
    status, encryption = summary["StreamStatus"], summary.get("EncryptionType", "NONE")
    return (status, encryption, summary.get("KeyId", "") if encryption == "KMS" else "")


def _run(script: str, kinesis: Simulated | Emulated) -> Iterator[Observation]:
    for step in script.split():
        verb, _, number = step.partition("-")
        error = ""
        if verb == "wait":
            kinesis.wait()
        else:
            error = kinesis.call(verb, KEYS[number].arn if number else "")
        yield step, error, kinesis.describe()


@pytest.fixture(scope="module")
def kinesis_mock() -> Iterator[Any]:
    """A client of kinesis-mock whose streams are UPDATING for half a second."""
    with LocalAws(updating=timedelta(seconds=CHANGE)) as aws:
        yield aws.client("kinesis")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_both_return_the_same(script: str, kinesis_mock: Any) -> None:
    while True:
        emulated = Emulated(kinesis_mock)
        observed = list(_run(script, emulated))
        if not emulated.late:  # else once more
            break
    assert list(_run(script, Simulated())) == observed
