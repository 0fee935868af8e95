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
from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime
from tests.simulation.scheduler import Entry, Lock, Scheduler

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:encryption"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/app/3b1f2c10-0000-1111-2222-333344445555"


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
class _Lambda:
    """What of boto3's Lambda client the handler uses: keeps what it is to be invoked with."""

    event: dict[str, Any] | None = None

    def invoke(self, *, Payload: bytes, **_: str) -> None:  # noqa: N803
        self.event = json.loads(Payload)


class Ours:
    """One custom resource, served by the handler in a function instance of its own.

    Parameters
    ----------
    kinesis
        The service.
    arn
        The stream.
    timeout
        ServiceTimeout, in seconds.
    """

    def __init__(self, kinesis: Kinesis, arn: str, *, timeout: int) -> None:
        self._kinesis, self._arn, self._timeout = kinesis, arn, timeout
        self._scheduler = kinesis.scheduler
        self._lambda = _Lambda()
        self.answer: Answer | None = None
        clients: dict[str, object] = {
            "kinesis": KinesisClient(kinesis),
            "kms": KmsClient(kinesis, arn),
            "cloudformation": CloudFormationClient(kinesis, arn),
            "lambda": self._lambda,
        }
        self._handler = Handler(
            Runtime(
                clock=self,
                client=clients.__getitem__,
                put=self._put,
                timer=lambda seconds, action: _Timer(self._scheduler, seconds, action),
                uniform=kinesis.rng.uniform,
                write=lambda _: None,
                lock=lambda: Lock(self._scheduler),
            )
        )

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        self._scheduler.sleep(seconds)

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
                "ServiceTimeout": str(self._timeout),
                "ResourceProperties": {
                    "ServiceToken": FUNCTION,
                    "StreamArn": self._arn,
                    "KeyId": KEY,
                },
            }
        )
        while self.answer is None:
            event, self._lambda.event = self._lambda.event, None
            if event is None:
                return Answer(self._scheduler.now, False, "no answer")
            self._kinesis.pass_time("Invoke")
            self._invoke(event)
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
