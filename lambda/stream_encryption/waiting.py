"""Waiting: a clock, a deadline, polling intervals, and backoff."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

INTERVAL_RATIO = 0.15
"""Interval to the next poll, as a ratio of the time already waited."""

MIN_INTERVAL, MAX_INTERVAL = 0.6, 2.0
"""Bounds of the polling interval, in seconds."""

BACKOFF_BASE, BACKOFF_CAP = 1.0, 45.0
"""Upper bounds of the first and of the longest pause of a backoff, in seconds."""


class Clock(Protocol):
    """Source of time; tests and simulations replace it."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class SystemClock:
    """The system clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(seconds)


class DeadlinePassed(Exception):
    """The deadline passed before the condition was true."""


class Wait:
    """A wait until a deadline; the last poll is at the deadline.

    Parameters
    ----------
    until, since
        End and start of the wait, in seconds since the epoch. Default of ``since``: now. A
        continuation has an earlier ``since``.
    """

    def __init__(self, clock: Clock, until: float, since: float | None = None) -> None:
        self.clock = clock
        self.until = until
        self.since = clock.now() if since is None else since

    def pause(self, at_least: float = 0.0) -> None:
        """Sleep until the next poll, for ``at_least`` that many seconds.

        The delay after the condition becomes true is proportional to a short wait, and limited in
        a long one.

        Raises
        ------
        DeadlinePassed
            If no time is left for another poll.
        """
        waited = self.clock.now() - self.since
        self.sleep(max(min(max(INTERVAL_RATIO * waited, MIN_INTERVAL), MAX_INTERVAL), at_least))

    def sleep(self, seconds: float) -> None:
        """Sleep for that long, but not past the deadline.

        Raises
        ------
        DeadlinePassed
            If the deadline has passed.
        """
        left = self.until - self.clock.now()
        if left <= 0:
            raise DeadlinePassed
        self.clock.sleep(min(seconds, left))

    def restart(self) -> None:
        """Return to short intervals, because the awaited change has just started."""
        self.since = self.clock.now()


class Backoff:
    """Exponential backoff with full jitter, for one operation.

    Source: AWS Architecture Blog, "Exponential Backoff and Jitter". A success halves the bound
    that a failure has doubled: throttling rarely ends with the first success.

    Parameters
    ----------
    uniform
        Returns a random number between its two arguments.
    cap
        Upper bound of the longest pause, in seconds. Default: 45.
    """

    def __init__(self, uniform: Callable[[float, float], float], cap: float = BACKOFF_CAP) -> None:
        self._uniform = uniform
        self._cap = cap
        self._bound = 0.0

    def failed(self) -> float:
        """Return the seconds to wait after another failure."""
        self._bound = min(max(2 * self._bound, BACKOFF_BASE), self._cap)
        return self._uniform(0.0, self._bound)

    def succeeded(self) -> float:
        """Return the minimum seconds to wait before the call that follows a success."""
        self._bound /= 2
        return self._uniform(0.0, self._bound)
