"""Result of a schedule of the handler or the guard."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Violation:
    """An invariant that does not hold.

    Parameters
    ----------
    check
        Letter of the invariant, and name of the check.
    detail
        Where.
    """

    check: str
    detail: str

    def __str__(self) -> str:
        return f"{self.check}: {self.detail}"


@dataclass(frozen=True)
class Outcome:
    """Result of a schedule.

    Parameters
    ----------
    seed, profile
        Seed of the schedule, and its profile.
    invocations, calls
        How many there were.
    faults
        Faults injected, by kind.
    violations
        Invariants that did not hold.
    requests
        How many CloudFormation sent.
    errors
        Errors that the handler's AWS calls ended with, by operation and code.
    exemptions
        Uses of exemptions, by kind.
    stack
        Final status of the last stack.
    notifications
        What the guards reported, by state.
    dead_letters
        Messages that the guards gave up.
    """

    seed: int
    profile: str
    invocations: int
    calls: int
    faults: Counter[str]
    violations: tuple[Violation, ...]
    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    exemptions: Counter[str] = field(default_factory=Counter)
    stack: str = "none"
    notifications: Counter[str] = field(default_factory=Counter)
    dead_letters: int = 0
