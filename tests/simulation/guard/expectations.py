"""The expected state of each stream at any time, derived from the complete history."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from simulated_aws.service import arn
from simulated_aws.stage import History
from tests.simulation.guard.schedule import EXEMPT
from tests.simulation.guard.simulation import GuardSimulation

DRIFT = {"unencrypted", "other key"}


@dataclass(frozen=True)
class Fact:
    """What a stream is: its state in the guard's words, its key, and its creation time.

    ``state`` is empty while the stream is not ready to be judged.
    """

    state: str
    key: str
    created: float

    @property
    def is_drift(self) -> bool:
        """Whether the guard must report it."""
        return self.state in DRIFT


@dataclass(frozen=True)
class Span:
    """A time in which a stream was the same."""

    begins: float
    ends: float
    fact: Fact


class Expectations:
    """The past of one stream."""

    def __init__(self, account: GuardSimulation, name: str) -> None:
        self._account = account
        self.name = name
        self.stream = account.kinesis.streams[arn("kinesis", f"stream/{name}")]

    def at(self, when: float) -> Fact:
        """What the stream is at a time, for a guard with the key deployed then."""
        state = self.stream.history.at(when)
        if state.status in {"", "DELETING"}:
            return Fact("deleted", "", 0.0)
        if state.status != "ACTIVE":
            return Fact("", "", state.created)
        return Fact(self._judge(state.key, when), state.key or "", state.created)

    def _judge(self, key: str | None, when: float) -> str:
        settings, tags = self._account.schedule.settings, self._account.tags[self.name].at(when)
        tag = settings.get("tag")
        if tag and tags.get(tag[0]) != tag[1]:
            return "exempt"
        if settings.get("exempt_tag_key") and EXEMPT in tags:
            return "exempt"
        desired_key = self._account.guards[0].key.at(when)
        if key is None:
            return "unencrypted"
        same = desired_key is None or self._account.kms.same(key, desired_key, when)
        return "compliant" if same else "other key"

    @cached_property
    def spans(self) -> list[Span]:
        """All its past, in spans in which it was the same."""
        account = self._account
        histories: list[History[Any]] = [
            self.stream.history,
            account.tags[self.name],
            account.guards[0].key,
        ]
        histories += [account.kms.aliases[name] for name in account.kms.aliases]
        times = sorted({time for history in histories for time in history._times})
        facts = [(time, self.at(time)) for time in times]
        kept = [facts[0]]
        kept += [new for old, new in itertools.pairwise(facts) if old[1] != new[1]]
        ends = [time for time, _ in kept[1:]] + [account.schedule.ends]
        return [Span(begins, end, fact) for (begins, fact), end in zip(kept, ends, strict=True)]

    def between(self, begin: float, end: float) -> list[Span]:
        """Spans that have a part in a time, both ends included."""
        return [span for span in self.spans if span.begins <= end and span.ends > begin]


def quiet(account: GuardSimulation, begin: float, end: float) -> list[tuple[float, float]]:
    """Parts of a time in which the guard's stack is neither in progress nor failed."""
    history, parts = account.status, []
    times = [*history._times, float("inf")]
    for status, since, until in zip(history._values, times, times[1:], strict=False):
        if status.endswith("_COMPLETE") and since <= end and until > begin:
            parts.append((max(since, begin), min(until, end)))
    return parts
