"""What a stream is found to be, beside what it is to be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from stream_encryption.aws.arn import Place
from stream_encryption.aws.kinesis import StreamDescription
from stream_encryption.encryption.key import Sameness, compare


class State(StrEnum):
    """States of a guarded stream."""

    AS_WANTED = "as wanted"
    PLAINTEXT = "plaintext"
    OTHER_KEY = "other key"
    UNKNOWN = "unknown"
    """Encrypted, and which key an alias means cannot be found out: no drift."""
    EXEMPT = "exempt"
    GONE = "gone"


DRIFT = {State.PLAINTEXT, State.OTHER_KEY}
ENCRYPTED = {State.AS_WANTED, State.OTHER_KEY, State.UNKNOWN}

_OF_KEY = {
    Sameness.SAME: State.AS_WANTED,
    Sameness.DIFFERENT: State.OTHER_KEY,
    Sameness.UNKNOWN: State.UNKNOWN,
}


class Finding(NamedTuple):
    """What a stream is found to be; the key as Kinesis names it, if there is one.

    A stream of the same name that was created at another time is another stream.
    """

    state: State
    key: str
    created: str

    def __str__(self) -> str:
        return f"{self.state}, {self.key or 'no key'}, created {self.created}"


def judge(
    description: StreamDescription,
    wanted: str | None,
    place: Place,
    resolve: Callable[[str], str | None],
    *,
    exempt: bool,
) -> Finding:
    """Say what an ACTIVE stream is; ``resolve`` gives the ARN of the key that an alias means."""
    key = description.key_id
    if exempt:
        state = State.EXEMPT
    elif key is None:
        state = State.PLAINTEXT
    elif wanted is None:
        state = State.AS_WANTED
    else:
        state = _OF_KEY[compare(key, wanted, place, resolve)]
    return Finding(state, key or "", utc(description.created))


def utc(seconds: float) -> str:
    """Write a time for people and for the table."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
