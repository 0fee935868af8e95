"""The way of a call from the handler to a service and back, with all that can go wrong on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError
from botocore.validate import ParamValidator

from tests.simulation.iam import Iam
from tests.simulation.kinesis import RATE_EXCEEDED
from tests.simulation.service import Params, Service, ServiceError
from tests.simulation.stage import Stage

if TYPE_CHECKING:
    from tests.simulation.lambda_service import Container

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
# Errors of the service models that follow from no state that is simulated: refused for good.
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
NONSENSE: tuple[dict[str, Any], ...] = (
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
"""Answers that botocore can read and that miss what they should have."""
_ACTIONS = {"Invoke": "InvokeFunction"}
LONG = " It is a very long message, of which there are some." * 40


@cache
def operation_model(service: str, method: str) -> OperationModel:
    """Find the operation of a service that a method of its client stands for."""
    model = botocore.session.get_session().get_service_model(service)
    for name in model.operation_names:
        if xform_name(name) == method:
            return model.operation_model(name)
    raise AttributeError(method)


@dataclass
class Call:
    """A call of the handler.

    Parameters
    ----------
    service, operation, params
        What was called.
    began
        When the handler called.
    served
        When the service carried it out or refused it; None when it never reached the service.
    ended
        When the handler went on.
    error
        Error code; empty for success.
    message
        The error's message.
    result
        What the service answered, even if the answer was lost.
    lost
        Whether the answer was lost, or made no sense.
    hung
        Whether it hung far beyond the client's timeouts.
    """

    service: str
    operation: str
    params: Params
    began: float
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
        """Name of the endpoint that it goes to, by botocore's rules."""
        return "control-kinesis" if "StreamARN" in self.params else self.service

    @property
    def url(self) -> str:
        """URL of that endpoint."""
        return f"https://{self.endpoint}.amazonaws.com"

    @property
    def unanswered(self) -> bool:
        """Whether it may have had its effect although nothing was shown of it."""
        return self.lost or self.error in {code for code, _ in SERVER_ERRORS[self.service]}

    @property
    def throttled(self) -> bool:
        """Whether it was refused because there were too many calls."""
        return self.error in {code for code, _ in THROTTLING[self.service]}

    @property
    def shown(self) -> dict[str, Any] | None:
        """What the handler was shown; None when it was shown nothing."""
        return None if self.error or self.lost or self.ended is None else self.result


class Api:
    """All services, and the network in between.

    Parameters
    ----------
    stage
        Time, memory and mishaps.
    iam
        The rights.
    services
        Simulated services by name.
    latency
        Longest usual time of a call, in seconds.
    silent
        Endpoints that never answer, such as ``kms`` from within a VPC that has none of it.
    rng
        Source of latencies.
    """

    def __init__(
        self,
        stage: Stage,
        iam: Iam,
        services: dict[str, Service],
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
        self, service: str, model: OperationModel, params: Params, container: Container
    ) -> dict[str, Any]:
        """Make a call on behalf of the invocation that runs in a container."""
        report = ParamValidator().validate(params, model.input_shape)
        assert not report.has_errors(), report.generate_report()
        call = Call(service, model.name, params, self._scheduler.now)
        container.may_die("before")
        invocation = container.running
        invocation.calls.append(call)
        try:
            return self._travel(call, container)
        except ServiceError as error:
            call.error, call.message = error.code, error.message
            raise ClientError(
                {
                    "Error": {"Code": error.code, "Message": error.message},
                    "ResponseMetadata": {"HTTPStatusCode": error.status},
                },
                model.name,
            ) from None
        finally:
            call.ended = self._scheduler.now
            self._journal.note(
                str(invocation),
                call.operation,
                call.error or _brief(call.result),
                "(answer lost)" * call.lost,
            )

    def _travel(self, call: Call, container: Container) -> dict[str, Any]:
        self._connect(call, container)
        slow = self._faults.hit("api: slow")
        container.sleep(self._rng.uniform(0.5, 2.2) if slow else self._leg())
        call.served = self._scheduler.now
        try:
            self._refuse(call)
            call.result = self._services[call.service].serve(
                call.operation, call.params, container.running
            )
        except ServiceError:
            container.sleep(self._leg())
            container.may_die("after")
            raise
        if self._faults.hit("api: answer lost"):
            call.lost = True
            if self._rng.random() < 0.5:
                container.sleep(READ_TIMEOUT)
                container.may_die("after")
                raise ReadTimeoutError(endpoint_url=call.url, error="read timeout")
            raise ConnectionClosedError(endpoint_url=call.url)
        container.sleep(self._rng.uniform(0.5, 2.2) if slow else self._leg())
        container.may_die("after")
        if self._faults.hit(f"api: {call.service} answers nonsense"):
            call.lost = True
            if self._rng.random() < 0.5:
                raise ResponseParserError("Unable to parse response, invalid XML received")
            return dict(self._rng.choice(NONSENSE))
        return call.result

    def _connect(self, call: Call, container: Container) -> None:
        """Reach the service, or raise what botocore raises when that fails."""
        if self._faults.hit("api: hangs"):
            call.hung = True
            container.sleep(HANG)
        if call.endpoint in self._silent:
            self._faults.count(f"api: {call.endpoint} never answers")
            call.lost = True
            if call.service == "cloudformation":  # a proxy takes the call and does no more
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

    def _leg(self) -> float:
        return self._rng.uniform(0.002, self._latency) / 2

    def _refuse(self, call: Call) -> None:
        """Raise an error that has nothing to do with the state of what is called for."""
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
        what = "look" if call.operation.startswith("Describe") else "change"
        if call.operation in REFUSALS and self._faults.hit(f"api: {service} refuses a {what}"):
            self._refusals[call.operation] = rng.choice(REFUSALS[call.operation])
        if call.operation in self._refusals:
            long = LONG if self._faults.hit("api: long message") else ""
            raise ServiceError(self._refusals[call.operation], f"The request is refused.{long}")


def _brief(result: dict[str, Any]) -> str:
    """What the journal tells of an answer."""
    detail = next((one for one in result.values() if isinstance(one, dict)), {})
    told = ("StreamStatus", "KeyId", "KeyState", "ResourceStatus")
    return " ".join(str(detail[name]) for name in told if name in detail) or "ok"


class Client:
    """A client of boto3, as far as the handler can tell.

    Parameters
    ----------
    api
        The services.
    service
        Which of them.
    container
        Where the client lives.
    """

    def __init__(self, api: Api, service: str, container: Container) -> None:
        self._api = api
        self._service = service
        self._container = container

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        model = operation_model(self._service, method)
        return lambda **params: self._api.call(self._service, model, params, self._container)
