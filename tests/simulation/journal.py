"""Journal of events, and injection of faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Protocol


class Time(Protocol):
    """A source of the current time."""

    now: float


class Journal:
    """The events of one schedule in order, for a failure message.

    Parameters
    ----------
    time
        The virtual clock.
    """

    def __init__(self, time: Time) -> None:
        self._time = time
        self._began = time.now
        self._lines: list[tuple[float, str, str, tuple[object, ...]]] = []

    def note(self, who: str, what: str, *details: object) -> None:
        """Record an event; the details are formatted later and must not change until then."""
        self._lines.append((self._time.now, who, what, details))

    def text(self) -> str:
        """Format all events, one a line, with the seconds since the start."""
        return "\n".join(
            f"{when - self._began:10.3f}  {who:<16} {what}"
            + "".join(f" {detail}" for detail in details)
            for when, who, what, details in self._lines
        )


class Faults:
    """Decides which faults are injected, and counts them.

    Parameters
    ----------
    rng
        Source of randomness.
    rates
        Probability of each kind of fault, at each opportunity.
    """

    def __init__(self, rng: Random, rates: Mapping[str, float]) -> None:
        self.rng = rng
        self._rates = rates
        self.counts: Counter[str] = Counter()

    def hit(self, kind: str) -> bool:
        """Decide whether a fault of a kind is injected now."""
        rate = self._rates.get(kind, 0.0)
        if rate == 0.0 or self.rng.random() >= rate:
            return False
        self.counts[kind] += 1
        return True

    def count(self, kind: str) -> None:
        """Count a fault that is decided elsewhere."""
        self.counts[kind] += 1
