"""The real handler on the simulated service."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from benchmarks.simulation.service import (
    ACCOUNT,
    KEY,
    REGION,
    Answer,
    CloudFormationClient,
    Kinesis,
    KinesisClient,
    KmsClient,
)
from stream_encryption.handler import STREAMS, Handler
from stream_encryption.runtime import Runtime
from tests.simulation.scheduler import Entry, Scheduler

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:encryption"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/app/3b1f2c10-0000-1111-2222-333344445555"


class _Clock:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now(self) -> float:
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)


class _Timer:
    def __init__(self, scheduler: Scheduler, seconds: float, action: Callable[[], None]) -> None:
        self._scheduler, self._seconds, self._action = scheduler, seconds, action
        self._entry: Entry | None = None

    def start(self) -> None:
        self._entry = self._scheduler.after(self._seconds, self._action)

    def cancel(self) -> None:
        if self._entry:
            self._entry.cancel()


@dataclass
class _Polling:
    """EventBridge, as far as one function's rule needs it: a wake-up call each minute."""

    target: dict[str, Any] | None = None

    def put_rule(self, **_: object) -> None: ...

    def put_targets(self, *, Rule: str, Targets: list[dict[str, str]]) -> dict[str, int]:  # noqa: N803, ARG002
        self.target = json.loads(Targets[0]["Input"])
        return {"FailedEntryCount": 0}

    def remove_targets(self, **_: object) -> None:
        self.target = None

    def delete_rule(self, **_: object) -> None: ...


class Ours:
    """One custom resource, served by the handler in a function instance of its own.

    Parameters
    ----------
    kinesis
        The service.
    arn
        The stream.
    streams
        How many streams the provider serves, as the construct tells the function.
    """

    def __init__(self, kinesis: Kinesis, arn: str, *, streams: int = 1) -> None:
        self._kinesis, self._arn = kinesis, arn
        self._scheduler = kinesis.scheduler
        self._polling = _Polling()
        self.answer: Answer | None = None
        clients: dict[str, object] = {
            "kinesis": KinesisClient(kinesis),
            "kms": KmsClient(kinesis, arn),
            "cloudformation": CloudFormationClient(kinesis, arn),
            "events": self._polling,
        }
        self._handler = Handler(
            Runtime(
                clock=_Clock(self._scheduler),
                client=clients.__getitem__,
                put=self._put,
                timer=lambda seconds, action: _Timer(self._scheduler, seconds, action),
                uniform=kinesis.rng.uniform,
                write=lambda _: None,
                environ={"POLLING_RULE_PREFIX": "benchmark", STREAMS: str(streams)},
            )
        )

    def create(self) -> Answer:
        """Let CloudFormation create it, and return when it has the answer."""
        issued = datetime.fromtimestamp(self._scheduler.now, UTC)
        self._invoke(
            {
                "RequestType": "Create",
                "ResponseURL": f"https://bucket.s3.example/?X-Amz-Date={issued:%Y%m%dT%H%M%SZ}",
                "StackId": STACK,
                "RequestId": self._arn,
                "LogicalResourceId": "Encryption",
                "ResourceProperties": {
                    "ServiceToken": FUNCTION,
                    "ServiceTimeout": "3600",
                    "StreamArn": self._arn,
                    "KeyId": KEY,
                },
            }
        )
        while self.answer is None:
            # EventBridge's rate(1 minute) counts from the making of the rule.
            self._scheduler.sleep(60.0)
            if self._polling.target:
                self._invoke(self._polling.target)
        return self.answer

    def _invoke(self, event: dict[str, Any]) -> None:
        ends = self._scheduler.now + 900
        context = SimpleNamespace(
            invoked_function_arn=FUNCTION,
            function_name="encryption",
            aws_request_id="benchmark",
            get_remaining_time_in_millis=lambda: int((ends - self._scheduler.now) * 1000),
        )
        self._handler(event, context)

    def _put(self, url: str, body: bytes, timeout: float) -> int:  # noqa: ARG002
        self._kinesis.pass_time("PutAnswer")
        told = json.loads(body)
        succeeded = told["Status"] == "SUCCESS"
        self.answer = Answer(self._scheduler.now, succeeded, told["Reason"])
        return 200
