"""Classification of AWS errors: retry, or fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.parsers import ResponseParserError


class ErrorKind(Enum):
    """Class of an error."""

    THROTTLED = auto()
    """Too many calls: rejected without effect, may succeed later."""
    NO_RESPONSE = auto()
    """Server error, lost connection, or malformed response: the call may have had an effect."""
    IN_USE = auto()
    """The stream is not ACTIVE."""
    NOT_FOUND = auto()
    DENIED = auto()
    """No policy allows the call yet; a new policy may still propagate."""
    DENIED_EXPLICITLY = auto()
    """A policy denies the call explicitly: propagation does not help."""
    QUOTA = auto()
    """The 25 key changes of 24 hours, or the call rate of the stream: the message is the same."""
    KEY = auto()
    """KMS rejects the use of the key."""
    OTHER = auto()


_KINDS = {
    "KMSThrottlingException": ErrorKind.THROTTLED,
    "LimitExceededException": ErrorKind.THROTTLED,
    "ProvisionedThroughputExceededException": ErrorKind.THROTTLED,
    "RequestLimitExceeded": ErrorKind.THROTTLED,
    "Throttling": ErrorKind.THROTTLED,
    "ThrottlingException": ErrorKind.THROTTLED,
    "TooManyRequestsException": ErrorKind.THROTTLED,
    "RequestTimeout": ErrorKind.NO_RESPONSE,
    "RequestTimeoutException": ErrorKind.NO_RESPONSE,
    "ResourceInUseException": ErrorKind.IN_USE,
    "InvalidArnException": ErrorKind.NOT_FOUND,
    "NotFoundException": ErrorKind.NOT_FOUND,
    "ResourceNotFoundException": ErrorKind.NOT_FOUND,
    "AccessDenied": ErrorKind.DENIED,
    "AccessDeniedException": ErrorKind.DENIED,
    "KMSAccessDeniedException": ErrorKind.DENIED,
    # New credentials of a role that have not propagated yet.
    "IncompleteSignature": ErrorKind.DENIED,
    "InvalidClientTokenId": ErrorKind.DENIED,
    "UnrecognizedClientException": ErrorKind.DENIED,
    "KMSDisabledException": ErrorKind.KEY,
    "KMSInvalidStateException": ErrorKind.KEY,
    "KMSNotFoundException": ErrorKind.KEY,
    "KMSOptInRequired": ErrorKind.KEY,
}
_FOR_ACCOUNT = re.compile(r"\bfor account\b", re.IGNORECASE)


class AwsError(Exception):
    """A failed AWS call: its IAM action, and the error code and message of the service."""

    def __init__(self, action: str, kind: ErrorKind, code: str, message: str) -> None:
        super().__init__(f"{action}: {code}: {message}")
        self.action = action
        self.kind = kind
        self.code = code
        self.message = message


@contextmanager
def recorded(errors: dict[str, AwsError], call: str) -> Iterator[None]:
    """Record the error of a call as the latest one, until the same call succeeds."""
    errors.pop(call, None)
    try:
        yield
    except AwsError as error:
        errors[call] = error
        raise


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise errors of a call, and of reading its response, as `AwsError`.

    Raises
    ------
    AwsError
        For every error of the service, the connection, and the response.
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
        raise AwsError(action, ErrorKind.NO_RESPONSE, type(error).__name__, str(error)) from error
    except BotoCoreError as error:
        raise AwsError(action, ErrorKind.OTHER, type(error).__name__, str(error)) from error
    except (ResponseParserError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"malformed response: {error}"
        raise AwsError(action, ErrorKind.NO_RESPONSE, type(error).__name__, message) from error


def _kind(action: str, code: str, message: str, status: int) -> ErrorKind:
    kind = _KINDS.get(code, ErrorKind.NO_RESPONSE if status >= 500 else ErrorKind.OTHER)
    if kind is ErrorKind.DENIED and "explicit deny" in message.lower():
        return ErrorKind.DENIED_EXPLICITLY
    if code == "LimitExceededException" and action.endswith(":StartStreamEncryption"):
        return kind if _FOR_ACCOUNT.search(message) else ErrorKind.QUOTA
    return kind
