"""`make demo`: the main job on a local AWS, from a plaintext stream to clean-up."""

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from local_aws import process
from local_aws.cdk import Cdk, CdkError, Target
from local_aws.environment import LocalAws
from local_aws.guard_demo import GuardDemo, GuardDemoError

_STREAM = "orders"
_STACK = "kinesis-stream-encryption"
_UPDATING = timedelta(seconds=3)
_SETTLING = timedelta(seconds=5)
_BETWEEN_RECORDS = 0.5
_RESOURCE = "Custom::KinesisStreamEncryption"


class DemoError(RuntimeError):
    """Something is not as the demo says it is."""


@dataclass
class Producer:
    """Writes records all the time, as an application would, and keeps what Kinesis said."""

    kinesis: Any
    stream: str
    encryption_types: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write until the block ends."""
        stopped = threading.Event()
        thread = threading.Thread(target=self._write_until, args=[stopped], daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def write(self) -> str:
        """Write one record and return the encryption type that Kinesis stored it with."""
        answer = self.kinesis.put_record(StreamName=self.stream, Data=b"1", PartitionKey="1")
        return str(answer.get("EncryptionType", "NONE"))

    def _write_until(self, stopped: threading.Event) -> None:
        while not stopped.wait(_BETWEEN_RECORDS):
            try:
                self.encryption_types.append(self.write())
            except Exception as error:  # noqa: BLE001  whatever it is, the demo's end tells it
                self.failures.append(str(error))


@dataclass(frozen=True)
class Seen:
    """A row of the closing table."""

    step: str
    status: str
    encryption: str
    key: str
    record: str
    took: str


class Demo:
    """Tells and checks the story, step by step.

    Parameters
    ----------
    aws
        Where it is told; bootstrapped for the CDK.
    stream, stack
        Names of what is made.
    keys_are
        How the keys that are made are described.
    updating
        How long a change of encryption takes at least.
    """

    def __init__(
        self, aws: Target, *, stream: str, stack: str, keys_are: str, updating: timedelta
    ) -> None:
        self.stream, self.stack, self.keys_are, self.updating = stream, stack, keys_are, updating
        self.kinesis, self.kms = aws.client("kinesis"), aws.client("kms")
        self.cloudformation = aws.client("cloudformation")
        self.cdk = Cdk(aws, on_line=lambda line: print(f"      {line}", flush=True))
        self.producer = Producer(self.kinesis, stream)
        self.rows: list[Seen] = []
        self.names: dict[str | None, str] = {None: "-"}
        self._steps = itertools.count(1)

    def run(self) -> None:
        """Run all steps; raise at the first thing that is not as it should be."""
        self.say(f"create the stream {self.stream!r} outside any stack, in plaintext")
        self.kinesis.create_stream(StreamName=self.stream, ShardCount=1)
        self.kinesis.get_waiter("stream_exists").wait(
            StreamName=self.stream, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        first, second, disabled = map(self._key, ("first key", "second key", "disabled key"))
        self.kms.disable_key(KeyId=disabled)
        self._look("before", encryption="NONE", key=None)

        with self.producer.running():
            self.say(f"deploy app.py with a key: cdk deploy -c stream={self.stream} -c key=…")
            self._deploy(first)
            self._look("encrypted", encryption="KMS", key=first, took=self._took("CREATE"))

            self.say("deploy again with another key")
            self._deploy(second)
            self._look("key switched", encryption="KMS", key=second, took=self._took("UPDATE"))

            self.say("deploy a disabled key: it is refused before anything is changed")
            self._refused(disabled)
            self._look("bad key refused", encryption="KMS", key=second)

            self.say("destroy the stack: the stream stays as it is")
            self.cdk.destroy(context=self._context(second))
            self._look("destroyed", encryption="KMS", key=second)
        self._check_producer()

    def table(self) -> str:
        """The story as a table."""
        rows = [
            ("STEP", "STREAM", "ENCRYPTION", "KEY", "NEXT RECORD", "CUSTOM RESOURCE TOOK"),
            *((r.step, r.status, r.encryption, r.key, r.record, r.took) for r in self.rows),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _deploy(self, key: str) -> None:
        self.cdk.deploy(context=self._context(key))

    def _refused(self, key: str) -> None:
        try:
            self._deploy(key)
        except CdkError:
            reasons = [
                event["ResourceStatusReason"]
                for event in self._events()
                if event["ResourceStatus"] == "UPDATE_FAILED" and event["ResourceType"] == _RESOURCE
            ]
            if not reasons:
                raise
            print(f"\n      CloudFormation: {reasons[0]}", flush=True)
        else:
            raise DemoError(f"the disabled key {key} was accepted")

    def _look(self, step: str, *, encryption: str, key: str | None, took: str = "-") -> None:
        summary = self.kinesis.describe_stream_summary(StreamName=self.stream)
        found = summary["StreamDescriptionSummary"]
        status, found_key = found["StreamStatus"], found.get("KeyId")
        record = self.producer.write()
        name = self.names.get(found_key, str(found_key))
        row = Seen(step, status, found["EncryptionType"], name, record, took)
        self.rows.append(row)
        print(
            f"      stream {status}, {row.encryption}, key {row.key}; a record now: {record}",
            flush=True,
        )
        if (status, row.encryption, found_key, record) != ("ACTIVE", encryption, key, encryption):
            raise DemoError(f"expected ACTIVE, {encryption}, key {key}; found {row}")

    def _took(self, kind: str) -> str:
        """How long the custom resource took, and what of it the service needed."""
        times: dict[str, datetime] = {}
        for event in self._events():
            if event["ResourceType"] == _RESOURCE:
                times.setdefault(event["ResourceStatus"], event["Timestamp"])
        took = times[f"{kind}_COMPLETE"] - times[f"{kind}_IN_PROGRESS"]
        needed = self.updating + _SETTLING
        print(
            f"      the custom resource took {took.total_seconds():.1f} s; UPDATING and the"
            f" {_SETTLING.total_seconds():.0f} s that the service asks for after it take"
            f" {needed.total_seconds():.0f} s at least",
            flush=True,
        )
        if took < needed:
            raise DemoError(f"it ended after {took}, before the stream was encrypted ({needed})")
        return f"{took.total_seconds():.1f} s"

    def _events(self) -> list[dict[str, Any]]:
        """Events of the stack, the newest first."""
        events: list[dict[str, Any]] = self.cloudformation.describe_stack_events(
            StackName=self.stack
        )["StackEvents"]
        return events

    def _key(self, description: str) -> str:
        key = str(self.kms.create_key(Description=self.keys_are)["KeyMetadata"]["Arn"])
        self.names[key] = f"{description} (...{key[-12:]})"
        return key

    def _context(self, key: str) -> dict[str, str]:
        return {"stream": self.stream, "key": key, "stackName": self.stack}

    def _check_producer(self) -> None:
        written = self.producer.encryption_types
        counts = {kind: written.count(kind) for kind in ("NONE", "KMS")}
        self.say(
            f"a producer wrote {len(written)} records meanwhile ({counts['NONE']} before"
            f" encryption, {counts['KMS']} encrypted), {len(self.producer.failures)} were refused"
        )
        if self.producer.failures:
            raise DemoError(f"a record was refused: {self.producer.failures[0]}")
        if not all(counts.values()):
            raise DemoError("records were expected both before and after encryption")

    def say(self, what: str) -> None:
        """Print the heading of the next step."""
        print(f"\n[{next(self._steps)}] {what}", flush=True)


def main() -> int:
    """Run the demo and return its exit status."""
    process.exit_on_signals()
    began = time.monotonic()
    print("[0] start the local AWS (ministack and kinesis-mock, on loopback only)", flush=True)
    try:
        with LocalAws(updating=_UPDATING) as aws:
            demo = Demo(aws, stream=_STREAM, stack=_STACK, keys_are="demo", updating=_UPDATING)
            try:
                print("\n[0] bootstrap the account for the CDK", flush=True)
                demo.cdk.bootstrap()
                demo.run()
                GuardDemo(aws, demo.say).run()
            except BaseException:
                print(f"\n{aws.log_tails()}", file=sys.stderr)
                raise
            print(f"\n{demo.table()}\n")
    except (
        DemoError,
        GuardDemoError,
        CdkError,
        process.ServiceError,
        process.CommandTimeoutError,
    ) as error:
        print(f"\nthe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    print(f"all of it held, and everything is stopped ({time.monotonic() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
