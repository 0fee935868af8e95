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
    propagation_pending
        Whether a change may just have ended: one that was seen, one of this request, or one of
        an earlier delivery of it.
    accepted
        Whether Kinesis has accepted our change.
    no_response_since
        When a change was asked for that got no answer.
    limited_since
        Since when Kinesis answers with the day's quota or a rate of calls, not saying which.
    """

    since: float
    propagation_pending: bool = False
    accepted: bool = False
    no_response_since: float | None = None
    limited_since: float | None = None
