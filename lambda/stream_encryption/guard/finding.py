"""Evaluation of a stream: its described state against the desired key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from stream_encryption.aws.arn import Place
from stream_encryption.aws.kinesis import StreamDescription
from stream_encryption.encryption.key import KeyMatch, compare


class State(StrEnum):
    """States of a guarded stream."""

    COMPLIANT = "compliant"
    UNENCRYPTED = "unencrypted"
    OTHER_KEY = "other key"
    UNKNOWN = "unknown"
    """Encrypted with an alias that cannot be resolved to a key: not drift."""
    EXEMPT = "exempt"
    DELETED = "deleted"


NONCOMPLIANT = {State.UNENCRYPTED, State.OTHER_KEY}
ENCRYPTED = {State.COMPLIANT, State.OTHER_KEY, State.UNKNOWN}

_BY_SAMENESS = {
    KeyMatch.SAME: State.COMPLIANT,
    KeyMatch.DIFFERENT: State.OTHER_KEY,
    KeyMatch.UNKNOWN: State.UNKNOWN,
}


class Finding(NamedTuple):
    """Result of an evaluation; ``key`` is the key identifier that Kinesis returns, or empty.

    A stream of the same name with another creation time is another stream.
    """

    state: State
    key: str
    created: str

    @property
    def noncompliance(self) -> str:
        """The state if it is noncompliant, else empty."""
        return self.state if self.state in NONCOMPLIANT else ""

    def __str__(self) -> str:
        return f"{self.state}, {self.key or 'no key'}, created {self.created}"


def evaluate(
    description: StreamDescription,
    desired_key: str | None,
    place: Place,
    resolve: Callable[[str], str | None],
    *,
    exempt: bool,
) -> Finding:
    """Evaluate an ACTIVE stream; ``resolve`` returns the key ARN of an alias ARN."""
    key = description.key_id
    if exempt:
        state = State.EXEMPT
    elif key is None:
        state = State.UNENCRYPTED
    elif desired_key is None:
        state = State.COMPLIANT
    else:
        state = _BY_SAMENESS[compare(key, desired_key, place, resolve)]
    return Finding(state, key or "", utc(description.created))


def utc(seconds: float) -> str:
    """Format a time as ISO 8601 in UTC, for notifications and the table."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
