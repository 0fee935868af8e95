"""Waiting: a clock, a deadline, and the pace of looks in between."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

_LONGEST_SPREAD = 120.0
"""Seconds that the most streams which a stack can have, 500, need to get their turn."""


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


class Room(NamedTuple):
    """Seconds over which a fleet has to spread its calls once it is throttled.

    Its functions know nothing of each other: one that is throttled cannot tell two competitors
    from five hundred. How many streams there are is known when the stack is made, though.

    Parameters
    ----------
    streams
        How many may be changed at once.
    """

    streams: int

    @property
    def line(self) -> float:
        """For the first look: four a second, which leaves most of 20 to the looks that follow."""
        return max(0.24 * self.streams, 2.0)

    @property
    def place(self) -> float:
        """For the calls after the first look, which not all of the fleet has got yet."""
        return min(max(0.1 * self.streams, 2.0), 8.0)


_ALONE = Room(streams=1)


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
    room
        What the rest of the fleet leaves. Default: that of a lone stream.
    """

    def __init__(
        self,
        *,
        fraction: float = 0.15,
        shortest: float = 0.59,
        longest: float = float("inf"),
        jitter: float = 0.1,
        uniform: Callable[[float, float], float] = random.uniform,
        room: Room = _ALONE,
    ) -> None:
        self._fraction = fraction
        self._shortest = shortest
        self._longest = longest
        self._jitter = jitter
        self._uniform = uniform
        self._room = room
        self._spread = 0.0

    def interval(self, waited: float) -> float:
        """Seconds until the next look, after ``waited`` seconds."""
        if self._spread:
            return self._uniform(0, self._spread)
        even = min(max(waited * self._fraction, self._shortest), self._longest)
        return even * self._uniform(1 - self._jitter, 1 + self._jitter)

    def throttled(self, *, in_line: bool) -> None:
        """Leave room for the fleet: together it asks for more than the account may.

        The next call comes at any time within a spread, and from now on looks are further apart.

        Parameters
        ----------
        in_line
            Whether the whole fleet may be waiting for this call, as for the first look.
        """
        self._shortest = max(self._shortest, self._room.place)
        self.failed(self._room.line if in_line else self._room.place)

    def failed(self, spread: float = 2.0) -> None:
        """Let the next call come at any time within a spread, longer with each failure in a row."""
        self._spread = min(max(self._spread * 1.3, spread), _LONGEST_SPREAD)

    def succeeded(self) -> None:
        """Return to even intervals."""
        self._spread = 0.0


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

    def __init__(self, clock: Clock, until: float, pace: Pace, since: float | None = None) -> None:
        self.clock = clock
        self.until = until
        self.pace = pace
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
        self.clock.sleep(min(self.next_look(), self.until) - now)

    def next_look(self) -> float:
        """When the next look is due, in seconds since the epoch."""
        now = self.clock.now()
        return now + self.pace.interval(now - self.since)

    def restart(self) -> None:
        """Begin anew with short intervals: what is waited for from now on has just begun."""
        self.since = self.clock.now()
