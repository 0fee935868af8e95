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
    INVOKE,
    KEY,
    REGION,
    SEND_RESPONSE,
    CloudFormationClient,
    Kinesis,
    KinesisClient,
    KmsClient,
    Response,
)
from simulated_aws.scheduler import Entry, Lock, Scheduler
from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime

_FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:encryption"
_STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/app/3b1f2c10-0000-1111-2222-333344445555"
_LAMBDA_TIMEOUT = 900


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
class _LambdaClient:
    """The part of boto3's Lambda client that the handler uses; keeps the event."""

    event: dict[str, Any] | None = None

    def invoke(self, *, Payload: bytes, **_: str) -> None:  # noqa: N803
        self.event = json.loads(Payload)


class SimulatedHandler:
    """One custom resource and the function that handles it.

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
        self._lambda = _LambdaClient()
        self._response: Response | None = None
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

    def create(self) -> Response:
        """Send a Create and return the response, after all continuations."""
        issued = datetime.fromtimestamp(self._scheduler.now, UTC)
        event: dict[str, Any] | None = {
            "RequestType": "Create",
            "ResponseURL": f"https://bucket.s3.example/?X-Amz-Date={issued:%Y%m%dT%H%M%SZ}",
            "StackId": _STACK,
            "RequestId": self._arn,
            "LogicalResourceId": "Encryption",
            "ServiceTimeout": str(self._timeout),
            "ResourceProperties": {
                "ServiceToken": _FUNCTION,
                "StreamArn": self._arn,
                "KeyId": KEY,
            },
        }
        while event is not None:
            self._invoke(event)
            if self._response:
                return self._response
            event, self._lambda.event = self._lambda.event, None
            self._kinesis.pass_time(INVOKE)
        return Response(self._scheduler.now, succeeded=False)

    def _invoke(self, event: dict[str, Any]) -> None:
        ends = self._scheduler.now + _LAMBDA_TIMEOUT
        context = SimpleNamespace(
            invoked_function_arn=_FUNCTION,
            function_name="encryption",
            aws_request_id="benchmark",
            get_remaining_time_in_millis=lambda: int((ends - self._scheduler.now) * 1000),
        )
        self._handler(event, context)

    def _put(self, url: str, body: bytes, timeout: float) -> int:  # noqa: ARG002
        self._kinesis.pass_time(SEND_RESPONSE)
        succeeded = json.loads(body)["Status"] == "SUCCESS"
        self._response = Response(self._scheduler.now, succeeded)
        return 200
