"""The answer to CloudFormation: within its limits, delivered while there is time.

Sources: CloudFormation user guide, "Custom resource response objects" and "Custom resources":
4,096 bytes at most, sent by PUT to a presigned Amazon S3 URL, with no content type.
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
"""Bytes of an answer."""

MAX_PHYSICAL_ID = 1024
"""Bytes of a physical resource id."""

_ECHOED = ("StackId", "RequestId", "LogicalResourceId")
_TIMEOUT = 5.0
_FINAL = range(300, 500)
_WORTH_RETRYING = {408, 429}


class UndeliveredError(Exception):
    """The answer did not reach CloudFormation while there was time."""


def compose(
    event: Mapping[str, Any], *, status: str, reason: str, physical_id: str, data: dict[str, str]
) -> bytes:
    """Build the body of an answer, cutting what is too long from its end.

    The reason keeps its beginning, which names the cause; the event's ids are given back as they
    came.
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
    """Send an answer, again and again until it is accepted, refused for good, or time is up.

    The URL is presigned, so a credential, and never logged.

    Raises
    ------
    UndeliveredError
        When no attempt succeeded while there was time, so that another invocation may.
    """
    while True:
        try:
            status = put(url, body, min(_TIMEOUT, max(wait.until - wait.clock.now(), 0.1)))
        except OSError as error:
            # The exception's text may hold the URL.
            log.warning("the answer was not delivered", error=type(error).__name__)
        else:
            if 200 <= status < 300:
                log.info("the answer was delivered", status=status)
                return
            log.warning("the answer was not accepted", status=status)
            if status in _FINAL and status not in _WORTH_RETRYING:
                return
        try:
            wait.sleep(backoff.failed())
        except DeadlinePassed:
            raise UndeliveredError from None


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
