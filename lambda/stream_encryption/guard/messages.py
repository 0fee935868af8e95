"""What a message in the queue asks for."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, NamedTuple

from stream_encryption.guard.finding import ENCRYPTED, Finding, State

START, STOP = "StartStreamEncryption", "StopStreamEncryption"
CREATE, DELETE = "CreateStream", "DeleteStream"

_NAME = re.compile(r":stream/([^/]+)")
_LEADS_TO = {
    START: ENCRYPTED,
    STOP: {State.PLAINTEXT},
    CREATE: {State.PLAINTEXT},
    DELETE: {State.GONE},
}


class Cause(NamedTuple):
    """A call that may have changed a stream, its time cut to a whole second."""

    call: str
    caller: str
    time: float
    key_id: str | None

    def leads_to(self, finding: Finding) -> bool:
        """Tell whether what is found may come from this call; from tags, anything may."""
        if self.call == START and self.key_id not in {None, finding.key}:
            return False
        return finding.state in _LEADS_TO.get(self.call, set(State))

    def explains(self, before: Finding, finding: Finding) -> bool:
        """Tell whether it may be this call that has made the one of the other."""
        if self.call in _LEADS_TO:
            return self.leads_to(finding)
        return before != finding and State.EXEMPT in {before.state, finding.state}


class Look(NamedTuple):
    """Look at one stream.

    A sweep says whether tags exempt it; ``exempt`` is None when nobody looked.
    """

    name: str
    cause: Cause | None = None
    exempt: bool | None = None


class Sweep(NamedTuple):
    """Look at all streams after one, in the sweep that ``began`` then, or begins now.

    Once all that are ``listed`` are done, those remain which are known and not listed any more.
    """

    began: float | None = None
    after: str = ""
    listed: bool = False


class NotYet(Exception):
    """The message has to come back, after so many seconds or as its age has it."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Hopeless(Exception):
    """A message that it is of no use to handle again, once it is ``patience`` seconds old."""

    def __init__(self, reason: str, patience: float = 0.0) -> None:
        super().__init__(reason)
        self.patience = patience


def parse(body: str) -> Look | Sweep | None:
    """Read a message; None for an event that does not say which stream it is about.

    Sources: Kinesis developer guide, "Logging Amazon Kinesis Data Streams API calls with AWS
    CloudTrail"; EventBridge user guide, "AWS service events delivered via AWS CloudTrail". A
    stream is named as the caller named it, by name or by ARN.

    Raises
    ------
    Hopeless
        When it is neither a message of ours nor an event of CloudTrail.
    """
    try:
        message = json.loads(body)
        if "sweep" in message:
            return Sweep(**message["sweep"])
        if "look" in message:
            return Look(message["look"], exempt=message["exempt"])
        return _event(message["detail"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Hopeless(f"malformed message: {type(error).__name__}: {error}") from error


def _event(detail: dict[str, Any]) -> Look | None:
    asked, who = detail["requestParameters"] or {}, detail["userIdentity"]
    arn = _NAME.search(asked.get("streamARN") or asked.get("resourceARN") or "")
    name = asked.get("streamName") or (arn and arn[1])
    cause = Cause(
        call=detail["eventName"],
        caller=who.get("arn") or who.get("invokedBy") or who.get("principalId") or who["type"],
        time=datetime.fromisoformat(detail["eventTime"]).timestamp(),
        key_id=asked.get("keyId"),
    )
    return Look(name, cause) if name else None
