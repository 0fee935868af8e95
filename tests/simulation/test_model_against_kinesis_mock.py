"""The simulated Kinesis behaves like kinesis-mock in the same short scripts."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
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
from tests.simulation.scripts import KEYS, SCRIPTS, Observation, Script, Step, run_script

NAME = "orders"
ARN = arn("kinesis", f"stream/{NAME}")
STABLE = ("ACTIVE", "")
TIMEOUT = 60.0
NO_STREAM = ("", "", "")
CHANGE = 0.5
"""Seconds that a creation takes in kinesis-mock, and in this test also a change of encryption."""

REMOVAL = 1.5
"""Seconds until kinesis-mock removes a deleted stream, or a new one of the same name."""


class Simulated:
    """The simulated Kinesis with a clock of its own."""

    def __init__(self) -> None:
        self.scheduler = Scheduler()
        stage = Stage(self.scheduler, Journal(self.scheduler), Faults(Random(0), {}))
        keys = tuple(Key(key.rpartition("/")[2]) for key in KEYS.values())
        traits = KinesisTraits(
            staleness=0.0, shows_target=True, load=0.0, durations=(0, 1, 0, 0, 0)
        )
        kms = Kms(stage, keys, {})
        self.kinesis = Kinesis(stage, kms, traits, Random(0))
        self.stream = self.kinesis.add(ARN, NOTHING)

    def do(self, step: Step) -> str:
        params = {"StreamName": NAME, "EncryptionType": "KMS", "KeyId": KEYS.get(step.key, "")}
        try:
            match step.method:
                case "wait":
                    self.scheduler.run(self.scheduler.now + 3600)
                case "create_stream":
                    self.kinesis.create(self.stream)
                case "delete_stream":
                    self.kinesis.delete(self.stream)
                case "start_stream_encryption":
                    self.kinesis.serve("StartStreamEncryption", params, "script")
                case "stop_stream_encryption":
                    self.kinesis.serve("StopStreamEncryption", params, "script")
        except ServiceError as error:
            return error.code
        return ""

    def describe(self) -> tuple[str, str, str]:
        try:
            response = self.kinesis.serve("DescribeStreamSummary", {"StreamName": NAME}, "script")
        except ServiceError:
            return NO_STREAM
        return _described(response)


class Emulated:
    """kinesis-mock, with a stream for each run of a script."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.late = False
        """Whether a slow machine described the stream when a change may already have ended."""
        self._changes_until = math.inf

    def do(self, step: Step) -> str:
        params: dict[str, Any] = {"StreamName": self.name}
        if step.method == "wait":
            self._changes_until = math.inf
            return self._wait_until_stable()
        self._changes_until = min(self._changes_until, time.monotonic() + CHANGE)
        if step.method == "create_stream":
            params["ShardCount"] = 1
        if step.key:
            params |= {"EncryptionType": "KMS", "KeyId": KEYS[step.key]}
        try:
            getattr(self.client, step.method)(**params)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    def describe(self) -> tuple[str, str, str]:
        try:
            return _described(self.client.describe_stream_summary(StreamName=self.name))
        except self.client.exceptions.ResourceNotFoundException:
            return NO_STREAM
        finally:
            self.late = self.late or time.monotonic() >= self._changes_until

    def _wait_until_stable(self) -> str:
        end = time.monotonic() + TIMEOUT
        while self.describe()[0] not in STABLE:
            assert time.monotonic() < end, self.describe()
            time.sleep(0.1)
        if self.describe() == NO_STREAM:
            time.sleep(REMOVAL)
        return ""


def _described(response: dict[str, Any]) -> tuple[str, str, str]:
    summary = response["StreamDescriptionSummary"]
    status, encryption = summary["StreamStatus"], summary.get("EncryptionType", "NONE")
    return (status, encryption, summary.get("KeyId", "") if encryption == "KMS" else "")


@pytest.fixture(scope="module")
def kinesis_mock() -> Iterator[Any]:
    """A client of kinesis-mock whose streams are UPDATING for half a second."""
    with LocalAws(updating=timedelta(seconds=CHANGE)) as aws:
        yield aws.client("kinesis")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_both_return_the_same(script: Script, kinesis_mock: Any) -> None:
    assert list(run_script(script, Simulated())) == observations_in_time(script, kinesis_mock)


def observations_in_time(script: Script, kinesis_mock: Any) -> list[Observation]:
    """Results of kinesis-mock, from the first run whose descriptions were all in time."""
    while True:
        emulated = Emulated(kinesis_mock, name=f"orders-{uuid.uuid4().hex[:8]}")
        shown = list(run_script(script, emulated))
        if not emulated.late:
            return shown
