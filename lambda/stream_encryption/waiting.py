"""Waiting: a clock, a deadline, and the pace of looks in between."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol


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


class Pace:
    """Geometric polling: the next look comes after a fixed fraction of the time waited.

    The lag behind the event looked for then stays below that fraction of the wait, while the
    number of looks grows with the logarithm of the wait.

    Parameters
    ----------
    fraction
        Interval to the next look, as a fraction of the time already waited.
    shortest, longest
        Bounds of the interval, in seconds.
    jitter
        Largest relative deviation of an interval, so that a fleet does not look in step.
    uniform
        Gives a number between its two arguments.
    """

    def __init__(
        self,
        *,
        fraction: float = 0.15,
        shortest: float = 0.7,
        longest: float = 60.0,
        jitter: float = 0.1,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._fraction = fraction
        self._shortest = shortest
        self._longest = longest
        self._jitter = jitter
        self._uniform = uniform
        self._stretch = 1.0

    def interval(self, waited: float) -> float:
        """Seconds until the next look, after ``waited`` seconds."""
        even = min(max(waited * self._fraction, self._shortest) * self._stretch, self._longest)
        return even * self._uniform(1 - self._jitter, 1 + self._jitter)

    def throttled(self) -> None:
        """Look more rarely: the service or the account is overloaded."""
        self._stretch = min(self._stretch * 2, self._longest / self._shortest)

    def succeeded(self) -> None:
        """Return towards the undisturbed pace, slower than it was left."""
        self._stretch = max(self._stretch * 0.8, 1.0)


class Wait:
    """A paced wait that ends at a deadline.

    Parameters
    ----------
    clock
        Source of time.
    until
        Deadline, in seconds since the epoch. The last look falls on it.
    pace
        Rule for the intervals.
    since
        When the waiting began; now by default. Earlier when a wait goes on in another invocation.
    """

    def __init__(
        self, clock: Clock, until: float, pace: Pace | None = None, since: float | None = None
    ) -> None:
        self.clock = clock
        self.until = until
        self.pace = pace or Pace()
        self.since = clock.now() if since is None else since

    def pause(self) -> None:
        """Sleep until the next look is due.

        Raises
        ------
        DeadlinePassed
            When there is no time left for another look.
        """
        now = self.clock.now()
        if now >= self.until:
            raise DeadlinePassed
        self.clock.sleep(min(self.pace.interval(now - self.since), self.until - now))

    def restart(self) -> None:
        """Begin anew with short intervals: what is waited for from now on has just begun."""
        self.since = self.clock.now()
