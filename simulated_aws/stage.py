"""Clock, journal, and faults, which all simulated services share."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

from simulated_aws.scheduler import Scheduler

T = TypeVar("T")


class Journal:
    """The events of one schedule in order, for a failure message.

    Parameters
    ----------
    time
        The virtual clock.
    """

    def __init__(self, time: Scheduler) -> None:
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
        self.on_fault: Callable[[str], None] = lambda kind: None

    def hit(self, kind: str) -> bool:
        """Decide whether a fault of a kind is injected now."""
        rate = self._rates.get(kind, 0.0)
        if rate == 0.0 or self.rng.random() >= rate:
            return False
        self.count(kind)
        return True

    def count(self, kind: str) -> None:
        """Count a fault that is decided elsewhere."""
        self.counts[kind] += 1
        self.on_fault(kind)


@dataclass(frozen=True)
class Stage:
    """Clock, journal, and faults of one schedule.

    Parameters
    ----------
    scheduler
        Virtual clock and scheduled actions.
    journal
        Records events.
    faults
        Injects faults and counts them.
    """

    scheduler: Scheduler
    journal: Journal
    faults: Faults


class History(Generic[T]):
    """A value and its previous ones."""

    def __init__(self, began: float, value: T) -> None:
        self._times = [began]
        self._values = [value]

    def set(self, now: float, value: T) -> None:
        """Change the value."""
        self._times.append(now)
        self._values.append(value)

    @property
    def value(self) -> T:
        """Current value."""
        return self._values[-1]

    def at(self, when: float) -> T:
        """Value at a time."""
        return self._values[max(bisect(self._times, when) - 1, 0)]

    def changed(self, begin: float, end: float) -> list[float]:
        """When it changed between two times."""
        return [when for when in self._times if begin < when <= end]

    def between(self, begin: float, end: float) -> list[T]:
        """All values between two times, both included."""
        first = max(bisect(self._times, begin) - 1, 0)
        return self._values[first : bisect(self._times, end)] or [self._values[first]]
