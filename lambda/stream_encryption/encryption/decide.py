"""The next step for a stream, decided from its description."""

from __future__ import annotations

from enum import Enum, auto

from stream_encryption.aws.kinesis import StreamDescription
from stream_encryption.encryption.key import KeyMatch


class Step(Enum):
    """The next step for a stream."""

    DONE = auto()
    CHANGE = auto()
    WAIT = auto()
    UNCONFIRMED = auto()
    """Our change was accepted, and the description may still show the previous state."""
    OVERWRITTEN = auto()
    """Our change was accepted, and another caller has changed the stream again."""


def decide(
    description: StreamDescription, match: KeyMatch, *, accepted: bool, window_passed: bool
) -> Step:
    """Decide the next step for a stream that exists and is not being deleted.

    Parameters
    ----------
    match
        Whether the stream has the desired key. Evaluated only if the stream is ACTIVE.
    accepted
        Whether Kinesis has accepted our change.
    window_passed
        Whether the description must show an accepted change by now.
    """
    if description.status != "ACTIVE":
        return Step.WAIT
    if match is KeyMatch.SAME:
        return Step.DONE
    if not accepted:
        return Step.CHANGE
    if not window_passed:
        return Step.UNCONFIRMED
    # Kinesis accepted the alias, and we cannot resolve it: there is nothing more to verify.
    return Step.DONE if match is KeyMatch.UNKNOWN else Step.OVERWRITTEN
