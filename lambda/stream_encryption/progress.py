"""What one invocation has to tell the next about a change under way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Progress:
    """How far a request has come; all times in seconds since the epoch.

    Parameters
    ----------
    since
        When the wait for the stream began.
    physical_id
        Id of the resource as it stands.
    seen_changing
        Whether the stream was seen to be other than ACTIVE, so that a change has just ended.
    accepted
        Whether Kinesis has accepted our change.
    plaintext_until
        Creation time of the stream if it was in plaintext when our change was asked for.
    unanswered_since
        When a change was asked for that got no answer.
    doubted_since
        Since when the stream is not as wanted although our change was accepted.
    refused_since
        By action, since when AWS refuses it.
    look_due
        Before when another look at a stream that is changing comes too soon.
    """

    since: float
    physical_id: str
    seen_changing: bool = False
    accepted: bool = False
    plaintext_until: int | None = None
    unanswered_since: float | None = None
    doubted_since: float | None = None
    refused_since: dict[str, float] = field(default_factory=dict)
    look_due: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Give the progress in the form that JSON carries."""
        return asdict(self)
