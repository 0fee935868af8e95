"""How soon the guard tells, on the local AWS; and what its sweeps take, simulated.

From the event in the guard's queue to the notification at a subscriber. The stream is as the event
leads to before that is sent, so nothing of Kinesis' own time is in it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from benchmarks.figures import say, summary
from benchmarks.settings import Settings
from local_aws import Cdk, LocalAws, folders
from local_aws.guarding import Guarding, within
from tests.simulation.guard.sweeping import SIZES, sweep

_STREAM, _STACK = "payments", "guarded-stream"
_PATIENCE = 60.0


class _Bench:
    """A guarded stream whose encryption is ended and put back again and again."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws, self._kinesis = aws, aws.client("kinesis")
        self._key = str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])
        self._kinesis.create_stream(StreamName=_STREAM, ShardCount=1)
        self._until(None)
        cdk = Cdk(aws, app=f"{sys.executable} {folders.PROJECT / 'examples' / 'guard.py'}")
        context = {"stream": _STREAM, "key": self._key, "stackName": _STACK}
        self._outputs = cdk.deploy(context=context).outputs[_STACK]
        self._guarding = Guarding(aws, self._outputs)
        self._guarding.subscribe()
        self._until(self._key)

    def warm(self) -> float:
        """Seconds until the end of encryption, or its being put back, is told."""
        change, call, key = (
            (self._kinesis.stop_stream_encryption, "StopStreamEncryption", None)
            if self._describe()[1]
            else (self._kinesis.start_stream_encryption, "StartStreamEncryption", self._key)
        )
        change(StreamName=_STREAM, EncryptionType="KMS", KeyId=self._key)
        self._until(key)
        began = time.monotonic()
        self._guarding.tell(call, _STREAM)
        if self._guarding.told(_PATIENCE) is None:
            raise RuntimeError(f"nothing is told within {_PATIENCE:.0f} s")
        return time.monotonic() - began

    def cold(self) -> float:
        """The same, of a function whose process has yet to begin."""
        functions = self._aws.client("lambda")
        name = self._outputs["FunctionName"]
        memory = functions.get_function_configuration(FunctionName=name)["MemorySize"]
        functions.update_function_configuration(FunctionName=name, MemorySize=memory + 1)
        return self.warm()

    def _describe(self) -> tuple[str, str | None]:
        answer = self._kinesis.describe_stream_summary(StreamName=_STREAM)
        found = answer["StreamDescriptionSummary"]
        return found["StreamStatus"], found.get("KeyId")

    def _until(self, key: str | None) -> None:
        if not within(_PATIENCE, lambda: self._describe() == ("ACTIVE", key)):
            raise RuntimeError(f"the stream is not ACTIVE with key {key}")


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Measure warm and cold, and a sweep of each size."""
    say(f"guard: {settings.guard_samples} notifications each of a warm and a cold function")
    with LocalAws(updating=timedelta(seconds=0.5)) as aws:
        Cdk(aws).bootstrap()
        bench = _Bench(aws)
        bench.warm()
        told = {
            function: summary([sample() for _ in range(settings.guard_samples)])
            for function, sample in (("warm", bench.warm), ("cold", bench.cold))
        }
    rows: list[dict[str, Any]] = [{"function": each, "seconds": told[each]} for each in told]
    for streams in SIZES:
        say(f"guard: a sweep of {streams:,} streams, simulated")
        rows.append({"sweep": asdict(sweep(streams))})
    return rows
