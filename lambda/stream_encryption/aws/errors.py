"""What an error from AWS means for the one who waits: try again, or give up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.parsers import ResponseParserError


class Kind(Enum):
    """How an error is to be taken."""

    THROTTLED = auto()
    """Too many calls: refused without effect, and may succeed later."""
    UNANSWERED = auto()
    """Server error, lost connection or an answer that makes no sense: may have had its effect."""
    IN_USE = auto()
    """The stream is not ACTIVE."""
    NOT_FOUND = auto()
    DENIED = auto()
    """No policy allows it, which a policy still propagating may yet do."""
    DENIED_EXPLICITLY = auto()
    """A policy forbids it: no propagation will help."""
    QUOTA = auto()
    """The stream's 25 keys of 24 hours are spent, or its rate of calls: AWS tells it either way."""
    KEY = auto()
    """KMS refuses the key."""
    OTHER = auto()


_KINDS = {
    "KMSThrottlingException": Kind.THROTTLED,
    "LimitExceededException": Kind.THROTTLED,
    "ProvisionedThroughputExceededException": Kind.THROTTLED,
    "RequestLimitExceeded": Kind.THROTTLED,
    "Throttling": Kind.THROTTLED,
    "ThrottlingException": Kind.THROTTLED,
    "TooManyRequestsException": Kind.THROTTLED,
    "RequestTimeout": Kind.UNANSWERED,
    "RequestTimeoutException": Kind.UNANSWERED,
    "ResourceInUseException": Kind.IN_USE,
    "InvalidArnException": Kind.NOT_FOUND,
    "NotFoundException": Kind.NOT_FOUND,
    "ResourceNotFoundException": Kind.NOT_FOUND,
    "AccessDenied": Kind.DENIED,
    "AccessDeniedException": Kind.DENIED,
    "KMSAccessDeniedException": Kind.DENIED,
    # What a role answers with whose credentials have not propagated yet.
    "IncompleteSignature": Kind.DENIED,
    "InvalidClientTokenId": Kind.DENIED,
    "UnrecognizedClientException": Kind.DENIED,
    "KMSDisabledException": Kind.KEY,
    "KMSInvalidStateException": Kind.KEY,
    "KMSNotFoundException": Kind.KEY,
    "KMSOptInRequired": Kind.KEY,
}
_FOR_ACCOUNT = re.compile(r"\bfor account\b", re.IGNORECASE)


class AwsError(Exception):
    """An AWS call that failed: its IAM action, and the service's error code and message."""

    def __init__(self, action: str, kind: Kind, code: str, message: str) -> None:
        super().__init__(f"{action}: {code}: {message}")
        self.action = action
        self.kind = kind
        self.code = code
        self.message = message


@contextmanager
def recorded(errors: dict[str, AwsError], call: str) -> Iterator[None]:
    """Keep the error that a call ends with, as the latest, until the same call succeeds."""
    errors.pop(call, None)
    try:
        yield
    except AwsError as error:
        errors[call] = error
        raise


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise what goes wrong in a call, and in reading what it answered, as `AwsError`.

    Raises
    ------
    AwsError
        For every error of the service, of the connection to it, and of its answer.
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
    except BotoCoreError as error:
        raise AwsError(action, Kind.OTHER, type(error).__name__, str(error)) from error
    except (ResponseParserError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"the answer makes no sense: {error}"
        raise AwsError(action, Kind.UNANSWERED, type(error).__name__, message) from error


def _kind(action: str, code: str, message: str, status: int) -> Kind:
    kind = _KINDS.get(code, Kind.UNANSWERED if status >= 500 else Kind.OTHER)
    if kind is Kind.DENIED and "explicit deny" in message.lower():
        return Kind.DENIED_EXPLICITLY
    if code == "LimitExceededException" and action.endswith(":StartStreamEncryption"):
        return kind if _FOR_ACCOUNT.search(message) else Kind.QUOTA
    return kind
