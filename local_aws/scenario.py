"""The scenario that `make demo` and `make accept` run: encrypt, switch keys, reject a key, destroy.

It prints each step and fails at the first observation that is not as expected.
"""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from local_aws.cdk import Cdk, CdkError, Target

PROPAGATION = timedelta(seconds=5)
"""Source: Kinesis API reference, StartStreamEncryption."""

_RECORD_INTERVAL = 0.5
_RESOURCE_TYPE = "Custom::KinesisStreamEncryption"


class ScenarioError(RuntimeError):
    """An observation is not as expected."""


@dataclass
class Producer:
    """Writes records continuously and keeps the encryption type of each."""

    kinesis: Any
    stream: str
    encryption_types: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write records until the end of the block."""
        stopped = threading.Event()
        thread = threading.Thread(target=self._write_until, args=[stopped], daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def write(self) -> str:
        """Write one record and return its encryption type."""
        response = self.kinesis.put_record(StreamName=self.stream, Data=b"1", PartitionKey="1")
        return str(response.get("EncryptionType", "NONE"))

    def _write_until(self, stopped: threading.Event) -> None:
        while not stopped.wait(_RECORD_INTERVAL):
            try:
                self.encryption_types.append(self.write())
            except Exception as error:  # noqa: BLE001  reported at the end of the scenario
                self.failures.append(str(error))


@dataclass(frozen=True)
class Observation:
    """The stream after a step, and how long the custom resource took."""

    step: str
    status: str
    encryption: str
    key: str
    record: str
    duration: str


class Scenario:
    """Deploys app.py several times and checks the stream after each step.

    Parameters
    ----------
    aws
        Target that is bootstrapped for the CDK.
    stream, stack
        Names of the resources to create.
    key_description
        Description of the keys to create.
    updating
        Shortest time that a change of encryption takes.
    """

    def __init__(
        self, aws: Target, *, stream: str, stack: str, key_description: str, updating: timedelta
    ) -> None:
        self._stream, self._stack = stream, stack
        self._key_description, self._updating = key_description, updating
        self._kinesis, self._kms = aws.client("kinesis"), aws.client("kms")
        self._cloudformation = aws.client("cloudformation")
        self._cdk = Cdk(aws, on_line=show)
        self.producer = Producer(self._kinesis, stream)
        self.observations: list[Observation] = []
        self._key_names: dict[str | None, str] = {None: "-"}
        self._numbers = itertools.count(1)

    def run(self) -> None:
        """Run all steps.

        Raises
        ------
        ScenarioError
            At the first observation that is not as expected.
        """
        self.heading(f"create stream {self._stream!r} outside any stack, unencrypted")
        self._kinesis.create_stream(StreamName=self._stream, ShardCount=1)
        self._kinesis.get_waiter("stream_exists").wait(
            StreamName=self._stream, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        first, second, disabled = map(self._create_key, ("first key", "second key", "disabled key"))
        self._kms.disable_key(KeyId=disabled)
        self._observe("before", encryption="NONE", key=None)

        with self.producer.running():
            self.heading(f"deploy app.py with a key: cdk deploy -c stream={self._stream} -c key=…")
            self._deploy(first)
            self._observe("encrypted", key=first, duration=self._duration("CREATE"))

            self.heading("deploy with another key")
            self._deploy(second)
            self._observe("key switched", key=second, duration=self._duration("UPDATE"))

            self.heading("deploy with a disabled key: rejected before anything is changed")
            self._deploy_rejected(disabled)
            self._observe("bad key rejected", key=second)

            self.heading("destroy the stack: the stream stays encrypted")
            self._cdk.destroy(self._context(second))
            self._observe("destroyed", key=second)
        self._check_producer()

    def heading(self, text: str) -> None:
        """Print the heading of the next step."""
        print(f"\n[{next(self._numbers)}] {text}", flush=True)

    def table(self) -> str:
        """Return all observations as a table."""
        rows = [
            ("STEP", "STREAM", "ENCRYPTION", "KEY", "NEXT RECORD", "CUSTOM RESOURCE TOOK"),
            *(
                (each.step, each.status, each.encryption, each.key, each.record, each.duration)
                for each in self.observations
            ),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _deploy(self, key: str) -> None:
        self._cdk.deploy(self._context(key))

    def _deploy_rejected(self, key: str) -> None:
        try:
            self._deploy(key)
        except CdkError:
            reasons = [
                event["ResourceStatusReason"]
                for event in self._resource_events()
                if event["ResourceStatus"] == "UPDATE_FAILED"
            ]
            if not reasons:
                raise
            print(f"\n      CloudFormation: {reasons[0]}", flush=True)
        else:
            raise ScenarioError(f"the disabled key {key} was accepted")

    def _observe(
        self, step: str, *, encryption: str = "KMS", key: str | None, duration: str = "-"
    ) -> None:
        response = self._kinesis.describe_stream_summary(StreamName=self._stream)
        summary = response["StreamDescriptionSummary"]
        status, found, found_key = (
            summary.get(name) for name in ("StreamStatus", "EncryptionType", "KeyId")
        )
        record = self.producer.write()
        name = self._key_names.get(found_key, str(found_key))
        self.observations.append(Observation(step, status, found, name, record, duration))
        show(f"stream {status}, {found}, key {name}; next record: {record}")
        if (status, found, found_key, record) != ("ACTIVE", encryption, key, encryption):
            observed = f"{status}, {found}, key {found_key}, next record {record}"
            raise ScenarioError(f"expected ACTIVE, {encryption}, key {key}; observed {observed}")

    def _duration(self, request: str) -> str:
        """Return how long the custom resource took; check that it waited for the service."""
        times: dict[str, datetime] = {}
        for event in self._resource_events():
            times.setdefault(event["ResourceStatus"], event["Timestamp"])
        duration = times[f"{request}_COMPLETE"] - times[f"{request}_IN_PROGRESS"]
        least = self._updating + PROPAGATION
        show(
            f"the custom resource took {duration.total_seconds():.1f} s; UPDATING and the"
            f" propagation wait take at least {least.total_seconds():.0f} s"
        )
        if duration < least:
            raise ScenarioError(f"it ended after {duration}, before the stream was encrypted")
        return f"{duration.total_seconds():.1f} s"

    def _resource_events(self) -> list[dict[str, Any]]:
        """Return the events of the custom resource, newest first."""
        events = self._cloudformation.describe_stack_events(StackName=self._stack)["StackEvents"]
        return [event for event in events if event["ResourceType"] == _RESOURCE_TYPE]

    def _create_key(self, name: str) -> str:
        created = self._kms.create_key(Description=self._key_description)
        key = str(created["KeyMetadata"]["Arn"])
        self._key_names[key] = f"{name} (...{key[-12:]})"
        return key

    def _context(self, key: str) -> dict[str, str]:
        return {"stream": self._stream, "key": key, "stackName": self._stack}

    def _check_producer(self) -> None:
        written, failures = self.producer.encryption_types, self.producer.failures
        unencrypted, encrypted = (written.count(kind) for kind in ("NONE", "KMS"))
        self.heading(
            f"in the meantime, a producer wrote {unencrypted} unencrypted and {encrypted}"
            f" encrypted records; {len(failures)} failed"
        )
        if failures:
            raise ScenarioError(f"a record was not written: {failures[0]}")
        if not unencrypted or not encrypted:
            raise ScenarioError("records are expected both before and after encryption")


def show(line: str) -> None:
    """Print a detail of a step."""
    print(f"      {line}", flush=True)
