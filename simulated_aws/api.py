"""API calls of the handler, and everything that can go wrong with them on the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError

from simulated_aws.client import client_error
from simulated_aws.iam import Iam
from simulated_aws.kinesis import RATE_EXCEEDED
from simulated_aws.service import Params, ServiceError, SimulatedService
from simulated_aws.stage import Stage

if TYPE_CHECKING:
    from simulated_aws.lambda_service import Container

CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 5.0
HANG = 3600.0

THROTTLING = {
    "kinesis": (("ThrottlingException", 400), ("LimitExceededException", 400)),
    "kms": (("ThrottlingException", 400),),
    "cloudformation": (("Throttling", 400),),
    "lambda": (("TooManyRequestsException", 429),),
}
SERVER_ERRORS = {
    "kinesis": (("InternalFailure", 500), ("ServiceUnavailable", 503)),
    "kms": (("KMSInternalException", 500), ("DependencyTimeoutException", 503)),
    "cloudformation": (("InternalFailure", 500), ("ServiceUnavailable", 503)),
    "lambda": (("ServiceException", 500),),
}
# Errors of the service models that no simulated state causes: non-retryable.
REFUSALS = {
    "StartStreamEncryption": ("InvalidArgumentException", "KMSOptInRequired"),
    "DescribeStreamSummary": ("InvalidArgumentException",),
    "DescribeKey": ("InvalidArnException",),
    "Invoke": (
        "InvalidParameterValueException",
        "RecursiveInvocationException",
        "ResourceConflictException",
        "ResourceNotFoundException",
    ),
}
INVALID_RESPONSES: tuple[dict[str, Any], ...] = (
    {},
    {
        "StreamDescriptionSummary": {},
        "KeyMetadata": {},
        "StackResourceDetail": {},
        "Stacks": [],
    },
    {
        "StreamDescriptionSummary": None,
        "KeyMetadata": None,
        "StackResourceDetail": None,
        "Stacks": None,
    },
)
"""Responses that botocore can parse, without the members that they should have."""
_ACTIONS = {"Invoke": "InvokeFunction"}
LONG = " It is a very long message, of which there are some." * 40


@dataclass(slots=True)
class Call:
    """A call of the handler or the guard.

    Parameters
    ----------
    service, operation
        The API call.
    began
        When the call started.
    params
        Its parameters; not kept for the guard, whose calls are many.
    served
        When the service performed or refused it; None when it never reached the service.
    ended
        When the call returned or raised.
    error
        Error code; empty for success.
    message
        The error's message.
    result
        What the service returned, even if the response was lost.
    lost
        Whether the response was lost or invalid.
    hung
        Whether it hung far beyond the client's timeouts.
    """

    service: str
    operation: str
    began: float
    params: Params = field(default_factory=dict)
    served: float | None = None
    ended: float | None = None
    error: str = ""
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    lost: bool = False
    hung: bool = False

    @property
    def action(self) -> str:
        """IAM action of the call."""
        return f"{self.service}:{_ACTIONS.get(self.operation, self.operation)}"

    @property
    def endpoint(self) -> str:
        """Name of the endpoint that botocore resolves for it."""
        return "control-kinesis" if "StreamARN" in self.params else self.service

    @property
    def url(self) -> str:
        """URL of that endpoint."""
        return f"https://{self.endpoint}.amazonaws.com"

    @property
    def outcome_unknown(self) -> bool:
        """Whether it may have taken effect although the handler received no result."""
        return self.lost or self.error in {code for code, _ in SERVER_ERRORS[self.service]}

    @property
    def throttled(self) -> bool:
        """Whether it was throttled."""
        return self.error in {code for code, _ in THROTTLING[self.service]}

    @property
    def shown(self) -> dict[str, Any] | None:
        """The result that the handler received; None when it received none."""
        return None if self.error or self.lost or self.ended is None else self.result


class Api:
    """All services, and the network in between.

    Parameters
    ----------
    stage
        Clock, journal, and faults.
    iam
        Permissions of the handler's role.
    services
        Simulated services by name.
    latency
        Longest usual time of a call, in seconds.
    silent
        Endpoints that never respond, such as ``kms`` in a VPC without an endpoint for it.
    rng
        Source of latencies.
    """

    def __init__(
        self,
        stage: Stage,
        iam: Iam,
        services: dict[str, SimulatedService],
        *,
        latency: float,
        silent: frozenset[str],
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._iam = iam
        self._services = services
        self._latency = latency
        self._silent = silent
        self._rng = rng
        self._refusals: dict[str, str] = {}

    def call(
        self, container: Container, service: str, model: OperationModel, params: Params
    ) -> dict[str, Any]:
        """Make a call for the invocation that runs in a container."""
        call = Call(service, model.name, self._scheduler.now, params)
        container.kill_if_due("before")
        invocation = container.running
        invocation.calls.append(call)
        try:
            return self._send(call, container)
        except ServiceError as error:
            call.error, call.message = error.code, error.message
            raise client_error(error, model.name) from None
        finally:
            call.ended = self._scheduler.now
            self._journal.note(
                str(invocation),
                call.operation,
                call.error or _brief(call.result),
                "(response lost)" * call.lost,
            )

    def _send(self, call: Call, container: Container) -> dict[str, Any]:
        self._connect(call, container)
        slow = self._faults.hit("api: slow")
        container.sleep(self._rng.uniform(0.5, 2.2) if slow else self._one_way_latency())
        call.served = self._scheduler.now
        try:
            self._refuse(call)
            call.result = self._services[call.service].serve(
                call.operation, call.params, container.running
            )
        except ServiceError:
            container.sleep(self._one_way_latency())
            container.kill_if_due("after")
            raise
        if self._faults.hit("api: response lost"):
            call.lost = True
            if self._rng.random() < 0.5:
                container.sleep(READ_TIMEOUT)
                container.kill_if_due("after")
                raise ReadTimeoutError(endpoint_url=call.url, error="read timeout")
            raise ConnectionClosedError(endpoint_url=call.url)
        container.sleep(self._rng.uniform(0.5, 2.2) if slow else self._one_way_latency())
        container.kill_if_due("after")
        if self._faults.hit(f"api: {call.service} returns an invalid response"):
            call.lost = True
            if self._rng.random() < 0.5:
                raise ResponseParserError("Unable to parse response, invalid XML received")
            return dict(self._rng.choice(INVALID_RESPONSES))
        return call.result

    def _connect(self, call: Call, container: Container) -> None:
        """Connect to the service, or raise what botocore raises when that fails."""
        if self._faults.hit("api: hangs"):
            call.hung = True
            container.sleep(HANG)
        if call.endpoint in self._silent:
            self._faults.count(f"api: {call.endpoint} never responds")
            call.lost = True
            if call.service == "cloudformation":  # a proxy accepts the call and does not respond
                container.sleep(READ_TIMEOUT)
                raise ReadTimeoutError(endpoint_url=call.url, error="read timeout")
            container.sleep(CONNECT_TIMEOUT)
            raise ConnectTimeoutError(endpoint_url=call.url)
        if self._faults.hit("api: connection failed"):
            call.lost = True
            if self._rng.random() < 0.5:
                container.sleep(CONNECT_TIMEOUT)
                raise ConnectTimeoutError(endpoint_url=call.url)
            raise EndpointConnectionError(endpoint_url=call.url)

    def _one_way_latency(self) -> float:
        return self._rng.uniform(0.002, self._latency) / 2

    def _refuse(self, call: Call) -> None:
        """Raise an error that does not depend on the state of the resource."""
        service, rng = call.service, self._rng
        self._iam.check(call.action, self._scheduler.now)
        if self._faults.hit("api: throttled"):
            code, status = rng.choice(THROTTLING[service])
            limit = code == "LimitExceededException"
            raise ServiceError(code, RATE_EXCEEDED if limit else "Rate exceeded", status)
        if call.operation == "StartStreamEncryption" and self._faults.hit("api: KMS throttled"):
            raise ServiceError("KMSThrottlingException", "Rate exceeded")
        if self._faults.hit("api: server error"):
            code, status = rng.choice(SERVER_ERRORS[service])
            raise ServiceError(code, "We encountered an internal error.", status)
        what = "read" if call.operation.startswith("Describe") else "change"
        if call.operation in REFUSALS and self._faults.hit(f"api: {service} refuses a {what}"):
            self._refusals[call.operation] = rng.choice(REFUSALS[call.operation])
        if call.operation in self._refusals:
            long = LONG if self._faults.hit("api: long message") else ""
            raise ServiceError(self._refusals[call.operation], f"The request is refused.{long}")


def _brief(result: dict[str, Any]) -> str:
    """Summary of a response for the journal."""
    detail = next((one for one in result.values() if isinstance(one, dict)), {})
    names = ("StreamStatus", "KeyId", "KeyState", "ResourceStatus")
    return " ".join(str(detail[name]) for name in names if name in detail) or "ok"
