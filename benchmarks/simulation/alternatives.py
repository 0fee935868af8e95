"""How the alternatives wait, on the same simulated service.

Each model follows the documentation or source of the alternative: order of calls, intervals, and
SDK retries. Cold starts are not included, neither here nor for the handler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from botocore.exceptions import ClientError

from benchmarks.simulation.handler import SimulatedHandler
from benchmarks.simulation.service import INVOKE, SEND_RESPONSE, Kinesis, Response
from local_aws.scenario import PROPAGATION

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

    def __call__(self, kinesis: Kinesis, arn: str, timeout: int, /) -> Response:
        """Encrypt the stream, for which CloudFormation allows ``timeout`` seconds."""


def this_construct(kinesis: Kinesis, arn: str, timeout: int) -> Response:
    """Run the real handler."""
    return SimulatedHandler(kinesis, arn, timeout=timeout).create()


def provider(interval: float) -> Alternative:
    """CDK's Provider with an is_complete_handler that checks the status.

    Its state machine checks immediately and then an interval after each result; an error in the
    handler fails the resource.
    """

    def create(kinesis: Kinesis, arn: str, timeout: int) -> Response:
        def work() -> None:
            kinesis.pass_time(INVOKE)
            _with_retries(kinesis, _BOTO3_ATTEMPTS, lambda: kinesis.start(arn))
            while True:
                kinesis.pass_time(INVOKE)  # from the state machine to the framework's function
                kinesis.pass_time(INVOKE)  # and from there to the user's function
                if _is_active(kinesis, arn, _BOTO3_ATTEMPTS):
                    return
                kinesis.scheduler.sleep(interval)

        return _response(kinesis, work, limit=timeout)

    return create


def crhelper_poll(kinesis: Kinesis, arn: str, timeout: int) -> Response:
    """Use crhelper's create and poll_create with its shortest polling_interval, a minute."""

    def work() -> None:
        _with_retries(kinesis, _BOTO3_ATTEMPTS, lambda: kinesis.start(arn))
        while True:
            kinesis.scheduler.sleep(60.0)
            if _is_active(kinesis, arn, _BOTO3_ATTEMPTS):
                return

    return _response(kinesis, work, limit=timeout)


def crhelper_wait(kinesis: Kinesis, arn: str, timeout: int) -> Response:
    """Wait in a crhelper handler that polls every second, until Lambda ends it."""

    def work() -> None:
        _with_retries(kinesis, _BOTO3_ATTEMPTS, lambda: kinesis.start(arn))
        while not _is_active(kinesis, arn, _BOTO3_ATTEMPTS):
            kinesis.scheduler.sleep(1.0)

    return _response(kinesis, work, limit=min(timeout, _LONGEST_INVOCATION))


def aws_custom_resource(kinesis: Kinesis, arn: str, _timeout: int) -> Response:
    """CDK's AwsCustomResource: one call, no wait."""
    return _response(
        kinesis,
        lambda: _with_retries(kinesis, _JAVASCRIPT_ATTEMPTS, lambda: kinesis.start(arn)),
        limit=120.0,
    )


def terraform(kinesis: Kinesis, arn: str, timeout: int) -> Response:
    """Terraform's StateChangeConf with a delay of 10 s and a minimum of 3 s.

    Intervals double from there to 10 s. Without CloudFormation, no response is sent.
    """

    def work() -> None:
        _with_retries(kinesis, _GO_ATTEMPTS, lambda: kinesis.start(arn))
        kinesis.scheduler.sleep(10.0)
        interval = 3.0
        while not _is_active(kinesis, arn, _GO_ATTEMPTS):
            kinesis.scheduler.sleep(interval)
            interval = min(interval * 2, 10.0)

    return _response(kinesis, work, limit=timeout, send=False)


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
    kinesis: Kinesis, work: Callable[[], None], *, limit: float, send: bool = True
) -> Response:
    began = kinesis.scheduler.now
    try:
        work()
        if kinesis.scheduler.now - began > limit:
            raise _TimedOut
    except (ClientError, _TimedOut):
        succeeded = False
    else:
        succeeded = True
    if send:
        kinesis.pass_time(SEND_RESPONSE)
    return Response(kinesis.scheduler.now, succeeded)


def _is_active(kinesis: Kinesis, arn: str, attempts: int) -> bool:
    return _with_retries(kinesis, attempts, lambda: kinesis.status(arn)) == "ACTIVE"


def _with_retries(kinesis: Kinesis, attempts: int, call: Callable[[], _T]) -> _T:
    """Call as an SDK does: exponential backoff with full jitter, at most 20 s."""
    for attempt in range(attempts - 1):
        try:
            return call()
        except ClientError:
            kinesis.scheduler.sleep(min(kinesis.rng.random() * 2**attempt, 20.0))
    return call()
