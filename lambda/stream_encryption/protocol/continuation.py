"""The continuation of a wait in a new invocation: its state, and how it is started."""

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
"""Field that the event of a continuation has in addition to CloudFormation's."""

VERSION = 2
"""Version of that field. The field of another version is ignored, and the event is handled as new:
after a rollback of the stack, older code may receive an event of newer code."""


class Continuation(NamedTuple):
    """The state that one invocation passes to the next."""

    number: int
    """How many continuations preceded this invocation, including its own."""
    issued: float
    """When CloudFormation sent the request, in seconds since the epoch."""
    progress: Progress


def read(event: Mapping[str, Any]) -> Continuation | None:
    """Return the state in an event; None in the first invocation of a request."""
    field = event.get(FIELD)
    if not isinstance(field, Mapping) or field.get("Version") != VERSION:
        return None
    return Continuation(field["Count"], field["Issued"], Progress(**field["Progress"]))


def continue_later(
    client: Callable[[], Any],
    function_arn: str,
    event: Mapping[str, Any],
    continuation: Continuation,
    *,
    wait: Wait,
    backoff: Backoff,
    log: Log,
) -> AwsError | None:
    """Start a new invocation, with retries until the wait ends; return the error if that fails.

    It is harmless if two invocations are started.
    """
    field = {
        "Version": VERSION,
        "Count": continuation.number,
        "Issued": continuation.issued,
        "Progress": asdict(continuation.progress),
    }
    while True:
        try:
            function.invoke(client(), function_arn, {**event, FIELD: field})
        except AwsError as error:
            log.warning("the continuation was not started", error=error)
            try:
                wait.sleep(backoff.failed())
            except DeadlinePassed:
                return error
        else:
            log.info("continuing in a new invocation", continuation=continuation.number)
            return None
