"""Messages in the guard's queue."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, NamedTuple

from stream_encryption.guard.finding import ENCRYPTED, Finding, State

START, STOP = "StartStreamEncryption", "StopStreamEncryption"
CREATE, DELETE = "CreateStream", "DeleteStream"

_NAME = re.compile(r":stream/([^/]+)")
_RESULTS = {
    START: ENCRYPTED,
    STOP: {State.UNENCRYPTED},
    CREATE: {State.UNENCRYPTED},
    DELETE: {State.DELETED},
}


class ApiCall(NamedTuple):
    """A call that may have changed a stream; CloudTrail truncates its time to seconds."""

    name: str
    caller: str
    time: float
    key_id: str | None

    def precedes(self, created: float) -> bool:
        """Whether the call was made on a previous stream of that name."""
        # A stream is created somewhat later than CreateStream is called.
        return self.time + (60 if self.name == CREATE else 1) < created

    def may_result_in(self, finding: Finding) -> bool:
        """Whether the finding may be a result of this call; a tag call may have any result."""
        if self.name == START and self.key_id not in {None, finding.key}:
            return False
        return finding.state in _RESULTS.get(self.name, set(State))

    def may_explain(self, before: Finding, after: Finding) -> bool:
        """Whether this call may have changed one finding into the other."""
        if self.name in _RESULTS:
            return self.may_result_in(after)
        return before != after and State.EXEMPT in {before.state, after.state}


class Check(NamedTuple):
    """Check one stream.

    ``exempt`` is what a scan found in the tagging API; None if the tags have not been read.
    """

    name: str
    call: ApiCall | None = None
    exempt: bool | None = None


class Scan(NamedTuple):
    """Check all streams whose names sort after ``after``, in a scan that ``started`` then, or now.

    Once all streams are ``listed``, the scan finishes with those that only the table knows.
    """

    started: float | None = None
    after: str = ""
    listed: bool = False


class Count(NamedTuple):
    """Count the noncompliant streams."""


class Remediate(NamedTuple):
    """Restore the encryption of a stream that has been unencrypted since ``drift``."""

    stream: str
    drift: str


class Release(NamedTuple):
    """Close the circuit breaker; or forget the remediations of one ``stream``."""

    stream: str | None = None


class RetryLater(Exception):
    """The message has to be received again: after ``seconds``, or later the older it is."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class NonRetryableError(Exception):
    """Receiving the message again does not help, once it is ``after`` seconds old."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


def parse(body: str) -> Check | Scan | Count | Remediate | Release | None:
    """Parse a message; None for an event that does not name a stream.

    Sources: Kinesis developer guide, "Logging Amazon Kinesis Data Streams API calls with AWS
    CloudTrail"; EventBridge user guide, "AWS service events delivered via AWS CloudTrail". An
    event names the stream as the caller did, by name or by ARN.

    Raises
    ------
    NonRetryableError
        If it is neither a message of the guard nor a CloudTrail event.
    """
    try:
        message = json.loads(body)
        if "scan" in message:
            return Scan(**message["scan"])
        if "count" in message:
            return Count(**message["count"])
        if "remediate" in message:
            return Remediate(**message["remediate"])
        if "release" in message:
            return Release(**message["release"])
        if "check" in message:
            return Check(message["check"], exempt=message["exempt"])
        return _event(message["detail"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NonRetryableError(f"malformed message: {type(error).__name__}: {error}") from error


def _event(detail: dict[str, Any]) -> Check | None:
    parameters = detail.get("requestParameters") or {}
    identity = detail.get("userIdentity") or {}
    arn = _NAME.search(parameters.get("streamARN") or parameters.get("resourceARN") or "")
    name = parameters.get("streamName") or (arn and arn[1])
    caller = identity.get("arn") or identity.get("invokedBy") or identity.get("principalId")
    call = ApiCall(
        name=detail["eventName"],
        caller=caller or identity.get("type", "unknown"),
        time=datetime.fromisoformat(detail["eventTime"]).timestamp(),
        key_id=parameters.get("keyId"),
    )
    return Check(name, call) if name else None
