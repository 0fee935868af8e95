"""The real handler on the simulated service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.model import OperationModel

from benchmarks.simulation.service import INVOKE, KEY, SEND_RESPONSE, Completion, Services
from simulated_aws.client import Client
from simulated_aws.scheduler import Clock, Lock, Timer
from simulated_aws.service import FUNCTION_ARN, Params, arn
from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime

_STACK = arn("cloudformation", "stack/app/3b1f2c10-0000-1111-2222-333344445555")
_LAMBDA_TIMEOUT = 900


class SimulatedHandler:
    """One custom resource and the function that handles it.

    Parameters
    ----------
    services
        The services that it calls.
    stream
        ARN of the stream.
    timeout
        ServiceTimeout, in seconds.
    """

    def __init__(self, services: Services, stream: str, *, timeout: int) -> None:
        self._services, self._stream, self._timeout = services, stream, timeout
        self._scheduler = services.scheduler
        self._continuation: dict[str, Any] | None = None
        self._completion: Completion | None = None
        self._handler = Handler(
            Runtime(
                clock=Clock(self._scheduler),
                client=lambda service: Client(service, self._serve),
                put=self._put,
                timer=lambda seconds, action: Timer(self._scheduler, seconds, action),
                uniform=services.rng.uniform,
                write=lambda _: None,
                lock=lambda: Lock(self._scheduler),
            )
        )

    def create(self) -> Completion:
        """Send a Create and return the response, after all continuations."""
        issued = datetime.fromtimestamp(self._scheduler.now, UTC)
        event: dict[str, Any] | None = {
            "RequestType": "Create",
            "ResponseURL": f"https://bucket.s3.example/?X-Amz-Date={issued:%Y%m%dT%H%M%SZ}",
            "StackId": _STACK,
            "RequestId": self._stream,
            "LogicalResourceId": "Encryption",
            "ServiceTimeout": str(self._timeout),
            "ResourceProperties": {
                "ServiceToken": FUNCTION_ARN,
                "StreamArn": self._stream,
                "KeyId": KEY.arn,
            },
        }
        while event is not None:
            self._invoke(event)
            if self._completion:
                return self._completion
            event, self._continuation = self._continuation, None
            self._services.pass_time(INVOKE)
        return Completion(self._scheduler.now, succeeded=False)

    def _invoke(self, event: dict[str, Any]) -> None:
        ends = self._scheduler.now + _LAMBDA_TIMEOUT
        context = SimpleNamespace(
            invoked_function_arn=FUNCTION_ARN,
            function_name="encryption",
            aws_request_id="benchmark",
            get_remaining_time_in_millis=lambda: int((ends - self._scheduler.now) * 1000),
        )
        self._handler(event, context)

    def _serve(self, _: str, model: OperationModel, params: Params) -> dict[str, Any]:
        if model.name == INVOKE:
            self._continuation = json.loads(params["Payload"])
            return {"StatusCode": 202}
        return self._services.call(model.name, params)

    def _put(self, url: str, body: bytes, timeout: float) -> int:  # noqa: ARG002
        self._services.pass_time(SEND_RESPONSE)
        succeeded = json.loads(body)["Status"] == "SUCCESS"
        self._completion = Completion(self._scheduler.now, succeeded)
        return 200
