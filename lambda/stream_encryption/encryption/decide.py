"""What to do next about a stream: decided from what it is described to be."""

from __future__ import annotations

from enum import Enum, auto

from stream_encryption.aws.kinesis import StreamDescription
from stream_encryption.encryption.key import KeyMatch


class Step(Enum):
    """What to do next about a stream."""

    DONE = auto()
    CHANGE = auto()
    WAIT = auto()
    UNCONFIRMED = auto()
    """Our change was accepted, and the stream may still be described as it was before."""
    OVERWRITTEN = auto()
    """Our change was accepted, and is gone: somebody else has made another."""


def decide(
    description: StreamDescription, key: KeyMatch, *, accepted: bool, window_passed: bool
) -> Step:
    """Decide what to do about a stream that exists and is not being deleted.

    ``key`` tells whether it has the wanted key, which counts only once the stream is ACTIVE;
    ``accepted``, whether Kinesis has accepted our change; ``window_passed``, whether that must
    show.
    """
    if description.status != "ACTIVE":
        return Step.WAIT
    if key is KeyMatch.SAME:
        return Step.DONE
    if not accepted:
        return Step.CHANGE
    if not window_passed:
        return Step.UNCONFIRMED
    # Kinesis took the key that an alias means, and says no more than we can find out.
    return Step.DONE if key is KeyMatch.UNKNOWN else Step.OVERWRITTEN
