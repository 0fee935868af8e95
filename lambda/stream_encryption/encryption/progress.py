"""How far a request has come: what one invocation has to tell the next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Progress:
    """How far a request has come; all times in seconds since the epoch.

    Parameters
    ----------
    since
        When the wait for the stream began.
    must_settle
        Whether a change may just have ended: one that was seen, one of this request, or one of
        an earlier delivery of it.
    accepted
        Whether Kinesis has accepted our change.
    unanswered_since
        When a change was asked for that got no answer.
    refused_since
        Since when Kinesis answers with the day's quota or a rate of calls, not saying which.
    """

    since: float
    must_settle: bool = False
    accepted: bool = False
    unanswered_since: float | None = None
    refused_since: float | None = None
