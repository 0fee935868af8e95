"""A wait that outlasts its invocation: what the next one is told, and how it is brought about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from stream_encryption.aws import function
from stream_encryption.aws.errors import AwsError
from stream_encryption.encryption.progress import Progress
from stream_encryption.log import Log
from stream_encryption.waiting import Backoff, DeadlinePassed, Wait

FIELD = "Continuation"
"""Field that the event of a wait that goes on has more than CloudFormation's."""

VERSION = 2
"""Version of that field. Another version's is left aside, as if the event came anew: when a stack
is rolled back, older code may find what newer code has written."""


class Continuation(NamedTuple):
    """What one invocation tells the next."""

    number: int
    """How many times the wait has been handed over."""
    issued: float
    """When CloudFormation sent the request, in seconds since the epoch."""
    progress: Progress


def read(event: Mapping[str, Any]) -> Continuation | None:
    """Read what an earlier invocation has told; None when this is the first."""
    field = event.get(FIELD)
    if not isinstance(field, Mapping) or field.get("Version") != VERSION:
        return None
    return Continuation(field["Count"], field["Issued"], Progress(**field["Progress"]))


def continue_later(
    client: Callable[[], Any],
    function_arn: str,
    event: Mapping[str, Any],
    told: Continuation,
    *,
    wait: Wait,
    backoff: Backoff,
    log: Log,
) -> AwsError | None:
    """Let another invocation go on, trying for as long as the wait lasts; give why none could.

    An invocation that is brought about twice does no harm.
    """
    field = {
        "Version": VERSION,
        "Count": told.number,
        "Issued": told.issued,
        "Progress": asdict(told.progress),
    }
    while True:
        try:
            function.invoke(client(), function_arn, {**event, FIELD: field})
        except AwsError as error:
            log.warning("the wait was not handed over", error=error)
            try:
                wait.sleep(backoff.failed())
            except DeadlinePassed:
                return error
        else:
            log.info("the wait goes on in another invocation", hops=told.number)
            return None
