"""How the peers wait, on the same simulated service.

Each is a model of its own documentation or source: the order of its calls, its intervals, and the
retries of its SDK. Their functions' start-up is left out, as ours is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from botocore.exceptions import ClientError

from benchmarks.simulation.ours import Ours
from benchmarks.simulation.service import Answer, Kinesis

_BOTO3_ATTEMPTS = 5
"""botocore's legacy mode, the default; its `_retry.json` counts Kinesis' LimitExceededException."""

_JAVASCRIPT_ATTEMPTS = 3
"""The AWS SDK for JavaScript 3, standard mode."""

_GO_ATTEMPTS = 25
"""Terraform's AWS provider, `max_retries`."""

_LONGEST_INVOCATION = 899
_T = TypeVar("_T")


class Peer(Protocol):
    """Creates one resource and returns when CloudFormation has the answer."""

    def __call__(self, kinesis: Kinesis, arn: str, timeout: int, /) -> Answer:
        """Encrypt the stream, for which CloudFormation allows ``timeout`` seconds."""


def ours(kinesis: Kinesis, arn: str, timeout: int) -> Answer:
    """Run the real handler."""
    return Ours(kinesis, arn, timeout=timeout).create()


def provider(interval: float) -> Peer:
    """CDK's Provider with an is_complete_handler that looks at the stream.

    Its state machine asks at once and then each interval after the last answer; an error of the
    handler fails the resource.
    """

    def create(kinesis: Kinesis, arn: str, timeout: int) -> Answer:
        def work() -> None:
            kinesis.pass_time("Invoke")
            _retried(kinesis, _BOTO3_ATTEMPTS, lambda: kinesis.start(arn))
            while True:
                kinesis.pass_time("Invoke")  # from the state machine to the framework's function
                kinesis.pass_time("Invoke")  # and from there to the user's
                if _active(kinesis, arn, _BOTO3_ATTEMPTS):
                    return
                kinesis.scheduler.sleep(interval)

        return _answered(kinesis, work, limit=timeout)

    return create


def crhelper_poll(kinesis: Kinesis, arn: str, timeout: int) -> Answer:
    """Use crhelper's create and poll_create with its shortest polling_interval, a minute."""

    def work() -> None:
        _retried(kinesis, _BOTO3_ATTEMPTS, lambda: kinesis.start(arn))
        while True:
            kinesis.scheduler.sleep(60.0)
            if _active(kinesis, arn, _BOTO3_ATTEMPTS):
                return

    return _answered(kinesis, work, limit=timeout)


def by_hand(kinesis: Kinesis, arn: str, timeout: int) -> Answer:
    """Wait inside a crhelper handler that looks each second, until Lambda ends it."""

    def work() -> None:
        _retried(kinesis, _BOTO3_ATTEMPTS, lambda: kinesis.start(arn))
        while not _active(kinesis, arn, _BOTO3_ATTEMPTS):
            kinesis.scheduler.sleep(1.0)

    return _answered(kinesis, work, limit=min(timeout, _LONGEST_INVOCATION))


def aws_custom_resource(kinesis: Kinesis, arn: str, _timeout: int) -> Answer:
    """CDK's AwsCustomResource: one call, no wait."""
    return _answered(
        kinesis,
        lambda: _retried(kinesis, _JAVASCRIPT_ATTEMPTS, lambda: kinesis.start(arn)),
        limit=120.0,
    )


def terraform(kinesis: Kinesis, arn: str, timeout: int) -> Answer:
    """Terraform's StateChangeConf with a delay of 10 s and a minimum of 3 s.

    Intervals double from there to 10 s. Without CloudFormation there is no answer to deliver.
    """

    def work() -> None:
        _retried(kinesis, _GO_ATTEMPTS, lambda: kinesis.start(arn))
        kinesis.scheduler.sleep(10.0)
        interval = 3.0
        while not _active(kinesis, arn, _GO_ATTEMPTS):
            kinesis.scheduler.sleep(interval)
            interval = min(interval * 2, 10.0)

    return _answered(kinesis, work, limit=timeout, put=False)


PEERS: dict[str, Peer] = {
    "ours": ours,
    "Provider, 5 s (default)": provider(5.0),
    "Provider, 1 s": provider(1.0),
    "crhelper poll_create": crhelper_poll,
    "crhelper, looks by hand": by_hand,
    "AwsCustomResource": aws_custom_resource,
    "Terraform": terraform,
}
"""What is compared, by the name it has in all figures."""


class _TooLate(Exception):
    """Who waits has been ended."""


def _answered(
    kinesis: Kinesis, work: Callable[[], None], *, limit: float, put: bool = True
) -> Answer:
    began = kinesis.scheduler.now
    try:
        work()
        if kinesis.scheduler.now - began > limit:
            raise _TooLate
    except (ClientError, _TooLate) as error:
        succeeded, reason = False, str(error) or "out of time"
    else:
        succeeded, reason = True, ""
    if put:
        kinesis.pass_time("PutAnswer")
    return Answer(kinesis.scheduler.now, succeeded, reason)


def _active(kinesis: Kinesis, arn: str, attempts: int) -> bool:
    return _retried(kinesis, attempts, lambda: kinesis.look(arn)).status == "ACTIVE"


def _retried(kinesis: Kinesis, attempts: int, call: Callable[[], _T]) -> _T:
    """Call as an SDK does: exponential backoff with full jitter, 20 s at most."""
    for attempt in range(attempts - 1):
        try:
            return call()
        except ClientError:
            kinesis.scheduler.sleep(min(kinesis.rng.random() * 2**attempt, 20.0))
    return call()
