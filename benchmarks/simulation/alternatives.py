"""How the alternatives wait, on the same simulated service.

Each model follows the documentation or source of the alternative: order of calls, intervals, and
SDK retries. Cold starts are not included, neither here nor for the handler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from botocore.exceptions import ClientError

from benchmarks.simulation.handler import SimulatedHandler
from benchmarks.simulation.service import INVOKE, SEND_RESPONSE, Completion, Services
from local_aws.scenario import PROPAGATION
from simulated_aws.kinesis import Stream

_BOTO3_ATTEMPTS = 5
"""botocore's legacy mode, the default; its `_retry.json` includes LimitExceededException."""

_JAVASCRIPT_ATTEMPTS = 3
"""The AWS SDK for JavaScript 3, standard mode."""

_GO_ATTEMPTS = 25
"""Terraform's AWS provider, `max_retries`."""

_LONGEST_INVOCATION = 899
_T = TypeVar("_T")


class Alternative(Protocol):
    """Creates one resource and returns when CloudFormation has the response."""

    def __call__(self, services: Services, stream: Stream, timeout: int, /) -> Completion:
        """Encrypt the stream, for which CloudFormation allows ``timeout`` seconds."""


def this_construct(services: Services, stream: Stream, timeout: int) -> Completion:
    """Run the real handler."""
    return SimulatedHandler(services, stream.arn, timeout=timeout).create()


def provider(interval: float) -> Alternative:
    """CDK's Provider with an is_complete_handler that checks the status.

    Its state machine checks immediately and then an interval after each result; an error in the
    handler fails the resource.
    """

    def create(services: Services, stream: Stream, timeout: int) -> Completion:
        def work() -> None:
            services.pass_time(INVOKE)
            _with_retries(services, _BOTO3_ATTEMPTS, lambda: services.start(stream))
            while True:
                services.pass_time(INVOKE)  # from the state machine to the framework's function
                services.pass_time(INVOKE)  # and from there to the user's function
                if _is_active(services, stream, _BOTO3_ATTEMPTS):
                    return
                services.scheduler.sleep(interval)

        return _response(services, work, limit=timeout)

    return create


def crhelper_poll(services: Services, stream: Stream, timeout: int) -> Completion:
    """Use crhelper's create and poll_create with its shortest polling_interval, a minute."""

    def work() -> None:
        _with_retries(services, _BOTO3_ATTEMPTS, lambda: services.start(stream))
        while True:
            services.scheduler.sleep(60.0)
            if _is_active(services, stream, _BOTO3_ATTEMPTS):
                return

    return _response(services, work, limit=timeout)


def crhelper_wait(services: Services, stream: Stream, timeout: int) -> Completion:
    """Wait in a crhelper handler that polls every second, until Lambda ends it."""

    def work() -> None:
        _with_retries(services, _BOTO3_ATTEMPTS, lambda: services.start(stream))
        while not _is_active(services, stream, _BOTO3_ATTEMPTS):
            services.scheduler.sleep(1.0)

    return _response(services, work, limit=min(timeout, _LONGEST_INVOCATION))


def aws_custom_resource(services: Services, stream: Stream, _timeout: int) -> Completion:
    """CDK's AwsCustomResource: one call, no wait."""
    return _response(
        services,
        lambda: _with_retries(services, _JAVASCRIPT_ATTEMPTS, lambda: services.start(stream)),
        limit=120.0,
    )


def terraform(services: Services, stream: Stream, timeout: int) -> Completion:
    """Terraform's StateChangeConf with a delay of 10 s and a minimum of 3 s.

    Intervals double from there to 10 s. Without CloudFormation, no response is sent.
    """

    def work() -> None:
        _with_retries(services, _GO_ATTEMPTS, lambda: services.start(stream))
        services.scheduler.sleep(10.0)
        interval = 3.0
        while not _is_active(services, stream, _GO_ATTEMPTS):
            services.scheduler.sleep(interval)
            interval = min(interval * 2, 10.0)

    return _response(services, work, limit=timeout, send=False)


THIS = "this construct"
ALTERNATIVES: dict[str, Alternative] = {
    THIS: this_construct,
    "Provider, every 5 s": provider(5.0),
    "Provider, every 1 s": provider(1.0),
    "crhelper, poll_create": crhelper_poll,
    "crhelper, wait loop": crhelper_wait,
    "AwsCustomResource": aws_custom_resource,
    "Terraform": terraform,
}
"""Models by their name in all figures."""


def wait_after_active(name: str) -> float:
    """Return the seconds that an alternative waits after ACTIVE until records are encrypted."""
    return PROPAGATION.total_seconds() if name == THIS else 0.0


class _TimedOut(Exception):
    """The wait was ended from outside."""


def _response(
    services: Services, work: Callable[[], None], *, limit: float, send: bool = True
) -> Completion:
    began = services.scheduler.now
    try:
        work()
        if services.scheduler.now - began > limit:
            raise _TimedOut
    except (ClientError, _TimedOut):
        succeeded = False
    else:
        succeeded = True
    if send:
        services.pass_time(SEND_RESPONSE)
    return Completion(services.scheduler.now, succeeded)


def _is_active(services: Services, stream: Stream, attempts: int) -> bool:
    return _with_retries(services, attempts, lambda: services.status(stream)) == "ACTIVE"


def _with_retries(services: Services, attempts: int, call: Callable[[], _T]) -> _T:
    """Call as an SDK does: exponential backoff with full jitter, at most 20 s."""
    for attempt in range(attempts - 1):
        try:
            return call()
        except ClientError:
            services.scheduler.sleep(min(services.rng.random() * 2**attempt, 20.0))
    return call()
