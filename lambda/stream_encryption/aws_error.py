"""What an error from AWS means for the one who waits: try again, or give up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

from botocore.exceptions import (
    ClientError,
    HTTPClientError,
)
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)


class Kind(Enum):
    """How an error is to be taken."""

    THROTTLED = auto()
    """Too many calls: refused without effect, and may succeed later."""
    UNANSWERED = auto()
    """Server error or lost connection: may succeed later, and may have had its effect."""
    IN_USE = auto()
    """The stream is not ACTIVE: look again later."""
    NOT_FOUND = auto()
    DENIED = auto()
    """No policy allows it, which a policy still propagating may yet do."""
    DENIED_EXPLICITLY = auto()
    """A policy forbids it: no propagation will help."""
    DAILY_LIMIT = auto()
    """The stream's 25 key changes of 24 hours are spent."""
    LIMIT = auto()
    """LimitExceededException that doesn't say which limit."""
    KEY = auto()
    """KMS refuses the key."""
    OTHER = auto()


OVERLOAD = {Kind.THROTTLED, Kind.UNANSWERED}
"""Kinds of errors that trying again later may mend."""

_THROTTLING = {
    "ConcurrentModificationException",
    "KMSThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_SERVER = {
    "DependencyTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalFailureException",
    "KMSInternalException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
}
# The last three are what a role answers with whose credentials have not propagated yet.
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "KMSAccessDeniedException",
    "NotAuthorized",
    "UnauthorizedOperation",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "IncompleteSignature",
}
_KEY = {
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    "KMSOptInRequired",
}
_NOT_FOUND = {"NotFoundException", "ResourceNotFoundException"}
_RATE = re.compile(r"rate exceeded|too many requests|throttl", re.IGNORECASE)
_DAILY = re.compile(r"\b24\b|\bhours?\b|\bday\b|\brolling\b", re.IGNORECASE)
_FIRST_SERVER_STATUS = 500


class AwsError(Exception):
    """An AWS call that failed.

    Parameters
    ----------
    action
        IAM action of the call, such as ``kinesis:StartStreamEncryption``.
    kind
        How it is to be taken.
    code
        The service's error code, or the name of the client's exception.
    message
        The service's message.
    """

    def __init__(self, action: str, kind: Kind, code: str, message: str) -> None:
        super().__init__(f"{action}: {code}: {message}")
        self.action = action
        self.kind = kind
        self.code = code
        self.message = message


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise botocore's errors of one call as `AwsError`.

    Raises
    ------
    AwsError
        For every error of the service or of the connection to it.
    """
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        code = str(details.get("Code", "Unknown"))
        message = str(details.get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise AwsError(action, _kind(action, code, message, status), code, message) from error
    except (BotocoreConnectionError, HTTPClientError) as error:
        raise AwsError(action, Kind.UNANSWERED, type(error).__name__, str(error)) from error


def _kind(action: str, code: str, message: str, status: int) -> Kind:
    kind = Kind.OTHER
    if code in _THROTTLING:
        kind = Kind.THROTTLED
    elif code in _SERVER or status >= _FIRST_SERVER_STATUS:
        kind = Kind.UNANSWERED
    elif code == "LimitExceededException":
        kind = _limit(action, message)
    elif code == "ResourceInUseException":
        kind = Kind.IN_USE
    elif code in _NOT_FOUND:
        kind = Kind.NOT_FOUND
    elif code in _DENIED:
        explicit = "explicit deny" in message.lower()
        kind = Kind.DENIED_EXPLICITLY if explicit else Kind.DENIED
    elif code in _KEY:
        kind = Kind.KEY
    return kind


def _limit(action: str, message: str) -> Kind:
    """Tell "too many calls" from "25 key changes in 24 hours": the code is the same."""
    if not action.endswith("StartStreamEncryption") or _RATE.search(message):
        return Kind.THROTTLED
    return Kind.DAILY_LIMIT if _DAILY.search(message) else Kind.LIMIT
