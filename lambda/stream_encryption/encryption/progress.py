"""The progress of a request, which one invocation passes to the next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Progress:
    """The progress of a request; all times in seconds since the epoch.

    Parameters
    ----------
    since
        Start of the wait for the stream.
    propagation_pending
        Whether a change may just have completed: one that was observed, one of this request, or
        one of an earlier delivery of the request.
    accepted
        Whether Kinesis has accepted our change.
    no_response_since
        Time of a change that returned no response.
    limited_since
        Time of the first `LimitExceededException` in a row that may be the daily quota or a call
        rate.
    """

    since: float
    propagation_pending: bool = False
    accepted: bool = False
    no_response_since: float | None = None
    limited_since: float | None = None
