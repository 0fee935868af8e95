"""Waiting: a clock, a deadline, the intervals of looks, and backoff."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

INTERVAL_RATIO = 0.15
"""Interval to the next look, as a share of the time already waited."""

MIN_INTERVAL, MAX_INTERVAL = 0.6, 2.0
"""Bounds of the interval between looks, in seconds."""

BACKOFF_BASE, BACKOFF_CAP = 1.0, 45.0
"""Upper bounds of a backoff's first pause and of its longest, in seconds."""


class Clock(Protocol):
    """Source of time; tests and the simulation bring their own."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(seconds)


class DeadlinePassed(Exception):
    """The deadline came before the condition."""


class Wait:
    """A wait that ends at a deadline, on which its last look falls.

    Parameters
    ----------
    until, since
        When it ends and when it began, in seconds since the epoch. Default of ``since``: now;
        earlier when a wait goes on in another invocation.
    """

    def __init__(self, clock: Clock, until: float, since: float | None = None) -> None:
        self.clock = clock
        self.until = until
        self.since = clock.now() if since is None else since

    def pause(self, at_least: float = 0.0) -> None:
        """Sleep until the next look is due, ``at_least`` so many seconds.

        Its lag behind what is waited for stays in proportion to a short wait, and small in a long
        one.

        Raises
        ------
        DeadlinePassed
            When there is no time left for another look.
        """
        waited = self.clock.now() - self.since
        self.sleep(max(min(max(INTERVAL_RATIO * waited, MIN_INTERVAL), MAX_INTERVAL), at_least))

    def sleep(self, seconds: float) -> None:
        """Sleep for so long, but not past the deadline.

        Raises
        ------
        DeadlinePassed
            When the deadline has come.
        """
        left = self.until - self.clock.now()
        if left <= 0:
            raise DeadlinePassed
        self.clock.sleep(min(seconds, left))

    def restart(self) -> None:
        """Begin anew with short intervals: what is waited for from now on has just begun."""
        self.since = self.clock.now()


class Backoff:
    """Exponential backoff with full jitter, for one operation.

    Source: AWS Architecture Blog, "Exponential Backoff and Jitter". A success halves the bound
    that a failure has doubled: what was throttled a moment ago mostly still is.

    Parameters
    ----------
    uniform
        Gives a number between its two arguments.
    cap
        Upper bound of the longest pause, in seconds. Default: 45.
    """

    def __init__(self, uniform: Callable[[float, float], float], cap: float = BACKOFF_CAP) -> None:
        self._uniform = uniform
        self._cap = cap
        self._bound = 0.0

    def failed(self) -> float:
        """Seconds to wait after one more failure."""
        self._bound = min(max(2 * self._bound, BACKOFF_BASE), self._cap)
        return self._uniform(0.0, self._bound)

    def succeeded(self) -> float:
        """Seconds to wait, at least, before the call that follows a success."""
        self._bound /= 2
        return self._uniform(0.0, self._bound)
