"""What to do next about a stream: decided from what it is described to be."""

from __future__ import annotations

from enum import Enum, auto

from stream_encryption.aws.kinesis import StreamDescription
from stream_encryption.encryption.key import Sameness


class Step(Enum):
    """What to do next about a stream."""

    DONE = auto()
    CHANGE = auto()
    WAIT = auto()
    UNCONFIRMED = auto()
    """Not as wanted although our change was accepted: described too early, or changed by others."""


def decide(description: StreamDescription, key: Sameness, *, accepted: bool) -> Step:
    """Decide what to do about a stream that exists and is not being deleted.

    ``key`` tells whether it has the wanted key, which counts only once the stream is ACTIVE;
    ``accepted``, whether Kinesis has accepted our change.
    """
    if description.status != "ACTIVE":
        return Step.WAIT
    if key is Sameness.SAME:
        return Step.DONE
    if accepted:
        # Kinesis took the key that an alias means, and says no more than we can find out.
        return Step.DONE if key is Sameness.UNKNOWN else Step.UNCONFIRMED
    return Step.CHANGE
