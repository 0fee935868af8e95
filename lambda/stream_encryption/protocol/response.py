"""The response to CloudFormation: within its limits, and sent while there is time.

Sources: CloudFormation User Guide, "Custom resource response objects" and "Custom resources": at
most 4,096 bytes, sent by PUT to a presigned Amazon S3 URL, without a content type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stream_encryption.encryption.failure import MAX_REASON, cut
from stream_encryption.log import Log
from stream_encryption.runtime import Put
from stream_encryption.waiting import Backoff, DeadlinePassed, Wait

MAX_BODY = 4096
"""Maximum bytes of a response."""

MAX_PHYSICAL_ID = 1024
"""Maximum bytes of a physical resource ID."""

_ECHOED = ("StackId", "RequestId", "LogicalResourceId")
_TIMEOUT = 5.0
_REJECTED = range(400, 500)
_RETRYABLE_STATUSES = {408, 429}


class UndeliveredError(Exception):
    """The response did not reach CloudFormation in time."""


def compose(
    event: Mapping[str, Any], *, status: str, reason: str, physical_id: str, data: dict[str, str]
) -> bytes:
    """Build the body of a response, and truncate the reason if the body is too long.

    The reason keeps its beginning, which contains the cause. The IDs of the event are returned
    unchanged.
    """
    body: dict[str, Any] = {
        "Status": status,
        "Reason": cut(reason, MAX_REASON),
        "PhysicalResourceId": cut(physical_id, MAX_PHYSICAL_ID, mark=""),
        **{name: str(event.get(name, "")) for name in _ECHOED},
        "NoEcho": False,
        "Data": data,
    }
    excess = len(_encoded(body)) - MAX_BODY
    if excess > 0:
        kept = max(len(body["Reason"]) - excess, 0)
        body["Reason"] = cut(body["Reason"], kept)
    return _encoded(body)


def send(put: Put, url: str, body: bytes, *, wait: Wait, backoff: Backoff, log: Log) -> None:
    """Send a response, with retries until it is accepted, rejected, or time is up.

    The URL is presigned, which makes it a credential: it is never logged.

    Raises
    ------
    UndeliveredError
        If no attempt has succeeded in time. Lambda then delivers the event again.
    """
    while True:
        try:
            status = put(url, body, min(_TIMEOUT, max(wait.until - wait.clock.now(), 0.1)))
        except OSError as error:
            # The text of the exception may contain the URL.
            log.warning("the response was not sent", error=type(error).__name__)
        else:
            if 200 <= status < 300:
                log.info("the response was sent", status=status)
                return
            log.warning("the response was not accepted", status=status)
            if status in _REJECTED and status not in _RETRYABLE_STATUSES:
                return
        try:
            wait.sleep(backoff.failed())
        except DeadlinePassed:
            raise UndeliveredError from None


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
