"""What has to hold in every schedule.

a. Nothing is told that was not so, nor that is declared: a drift that is told was there while the
   own stack was at rest, and ten minutes before, unless StopStreamEncryption was called.
b. One notification a state: the same is told again only where an invocation ended, an answer was
   lost, or the table refused, between the notification and the note that it is told; or where a
   stream that was exempt and not so meanwhile, which is no news, is exempt again.
c. Each drift is told within two minutes of its event, or of the end of its ten minutes, or by the
   sweep after it; and its end likewise.
d. The table is true once events have ceased, and nothing in it is untold; the metric
   NoncompliantStreams is their number.
e. The queue is empty then; no message is received so often that SQS gives it up, no chain of
   messages is so long that Lambda stops it, and what is given up has a reason.
f. Only reads are called, and what is the guard's own.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from tests.simulation.guard.delivery import OF_ITS_OWN, READS, VISIBILITY, Event, Invocation
from tests.simulation.guard.services import DEAD_LETTERS, QUEUE, Publication
from tests.simulation.guard.truth import DRIFT, Fact, Span, Truth, quiet
from tests.simulation.guard.world import World

GRACE = 600.0
PROMPT = 120.0
"""Seconds within which a drift is told once it may be."""

BETWEEN_LOOKS = 62.0
"""Seconds between two looks at a stream that has been changing for long.

Another key that is put right and applied again meanwhile is not seen to have begun anew. If each
change began it anew, whoever applies the key again and again would never be told of.
"""

PER_FAULT = VISIBILITY + 130.0
"""Seconds that one fault may cost: the message comes back, and waits for a lease to end."""

PATIENCE = 3000.0
"""Seconds after which a message may have been given up, so that a sweep has to see to it."""

SETTLED = 75.0
"""Seconds after a change in which lists, tags and descriptions may still be those before."""


@dataclass(frozen=True)
class Violation:
    """An invariant that did not hold."""

    check: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}"


@dataclass(frozen=True)
class Told:
    """A notification, and the invocation that it came from."""

    publication: Publication
    invocation: Invocation

    @property
    def when(self) -> float:
        """When it came out."""
        return self.publication.when

    @property
    def fact(self) -> tuple[str, str, str]:
        """State, key and creation time that it tells."""
        lines = self.publication.lines
        key = lines["Observed key"]
        return lines["State"], "" if key == "none" else key, lines["Created"]

    @property
    def is_drift(self) -> bool:
        """Whether it tells that a drift has begun, and not that one has ended."""
        return self.fact[0] in DRIFT


class Judge:
    """Judges a schedule that has happened."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[Violation] = []
        self.truths = {name: Truth(world, name) for name in world.schedule.streams}
        self.told: dict[str, list[Told]] = {name: [] for name in self.truths}
        for publication, invocation in world.published:
            self.told[publication.stream].append(Told(publication, invocation))
        self.staleness = world.schedule.kinesis.staleness
        names = set(world.schedule.settings.get("names") or self.truths)
        prefix = world.schedule.settings.get("prefix", "")
        self.guarded = {name for name in names if name.startswith(prefix)}

    def judge(self) -> list[Violation]:
        """Check all invariants."""
        for name, told in self.told.items():
            if name not in self.guarded and told:
                self._violated("a", f"{name} is not guarded")
        for name in sorted(self.guarded):
            truth, told = self.truths[name], self.told[name]
            for one in told:
                self._check_true(truth, one)
            for before, one in itertools.pairwise(told):
                if one.fact == before.fact and not (
                    self._was_cut_short(name, before, one) or _is_exempt_anew(truth, before, one)
                ):
                    self._violated("b", f"{name} {one.fact} twice, at {self._at(one.when)}")
            for span in truth.spans:
                self._check_told(truth, span, told)
            self._check_row(truth)
        self._check_count()
        self._check_queues()
        self._check_calls()
        return self.violations

    def _violated(self, check: str, what: str) -> None:
        self.violations.append(Violation(check, what))

    def _at(self, when: float) -> str:
        return f"{when - self.world.ticks[0] + 60:.1f}"

    # a

    def _check_true(self, truth: Truth, one: Told) -> None:
        began = one.invocation.began - self.staleness
        parts = quiet(self.world, began, one.when)
        if parts and not one.is_drift:
            parts = [(began, one.when)]
        spans = [span for begin, end in parts for span in truth.between(begin, end)]
        if not any(_is(span.fact, one.fact) for span in spans):
            self._violated("a", f"{truth.name} {one.fact} was not so, at {self._at(one.when)}")
        if not one.is_drift:
            return
        if self._was_stopped(truth, one):
            new = [span for span in spans if _is(span.fact, one.fact)]
            early = new and one.when - min(span.begins for span in new) < GRACE - self.staleness
            if (
                early
                and not self._has_gaps
                and not one.publication.lines["Call"].startswith("StopStreamEncryption")
            ):
                self._violated("a", f"{truth.name}: who stopped it is not told")
            return
        lasted = one.when - GRACE + self.staleness + 1
        past = [span for span in truth.spans if span.begins <= lasted]
        if not any(_is(span.fact, one.fact) for span in past):
            self._violated("a", f"{truth.name} {one.fact} is too early, at {self._at(one.when)}")
        if not self._has_gaps and not self._lasted(truth, one, lasted):
            self._violated("a", f"{truth.name} {one.fact} did not last, at {self._at(one.when)}")

    def _lasted(self, truth: Truth, one: Told, since: float) -> bool:
        spans = truth.between(since, one.invocation.began - self.staleness)
        # The key that a stream has may be set again: it is UPDATING then, and the same after it.
        unseen = BETWEEN_LOOKS if one.fact[0] == "other key" else 0.0
        return all(
            _is(span.fact, one.fact) or span.ends - span.begins <= unseen
            for span in spans
            if span.fact.state
        )

    def _was_stopped(self, truth: Truth, one: Told) -> bool:
        stops = [event for event in self._events(truth) if event.call == "StopStreamEncryption"]
        created = datetime.fromisoformat(one.fact[2]).timestamp()
        return one.fact[0] == "unencrypted" and any(
            created - 1 <= event.time <= one.when for event in stops
        )

    @property
    def _has_gaps(self) -> bool:
        """Whether a change may come and go between two looks."""
        return bool(self.world.schedule.rates or self.world.schedule.windows)

    # b

    def _was_cut_short(self, name: str, one: Told, other: Told) -> bool:
        """Tell whether a note was not made, an invocation ended or lost an answer between two."""
        notes = [call for call in one.invocation.calls if call.operation == "PutItem"]
        if notes[-1].error not in {"", "ConditionalCheckFailedException"}:
            return True
        return any(
            each.crashed or any(call.error in {"lost", "connection"} for call in each.calls)
            for each in self.world.function.invocations
            if one.invocation.began <= each.began <= other.when and name in each.message.body
        )

    # c

    def _check_told(self, truth: Truth, span: Span, told: list[Told]) -> None:
        """Check that the beginning of a drift is told, or the end of one that was told."""
        if not span.fact.state:
            return
        before = [one for one in told if one.when < span.begins]
        last = before[-1] if before else None
        if span.fact.is_drift:
            if last and _is(span.fact, last.fact):
                return
            deadline = self._deadline(truth, span, GRACE)
        else:
            if last is None or not last.is_drift:
                return
            deadline = self._deadline(truth, span, 0.0)
        if span.ends <= deadline:
            return
        begin = span.begins - 1
        if not any(
            begin <= one.when <= deadline
            # That a drift is over may come from a look before this span.
            and (_is(span.fact, one.fact) if span.fact.is_drift else not one.is_drift)
            for one in told
        ):
            when = f"since {self._at(span.begins)}, until {self._at(deadline)}"
            self._violated("c", f"{truth.name} {span.fact} is not told, {when}")

    def _deadline(self, truth: Truth, span: Span, grace: float) -> float:
        """When the beginning of a span has to be told."""
        due = [self._by_sweep(span.begins) + grace + PROMPT]
        ready = [each.ends for each in truth.spans if each.fact.state and each.ends <= span.begins]
        for event, when in self._deliveries(truth):
            if not max(ready, default=0) - 0.5 <= event.time <= span.begins or not event.named:
                continue
            stopped = event.call == "StopStreamEncryption" and span.fact.state == "unencrypted"
            due.append(max(when, span.begins) + (0 if stopped else grace) + PROMPT)
        return self._disturbed(span.begins, min(due), grace)

    def _by_sweep(self, when: float) -> float:
        return min(
            (tick for tick in self.world.ticks if tick >= when + SETTLED),
            default=float("inf"),
        )

    def _disturbed(self, begin: float, deadline: float, grace: float) -> float:
        """Put a deadline off for what kept the guard from telling."""
        schedule, first = self.world.schedule, deadline
        while True:
            off = self.world.faults_between(begin - PROMPT, deadline) * PER_FAULT
            rest = sum(end - start for start, end in quiet(self.world, begin, deadline))
            busy = deadline - begin - rest
            off += busy + 70 * (busy > 0)
            for window in schedule.windows:
                overlap = min(window.ends, deadline) - max(window.begins, begin)
                off += max(overlap, 0) + 130 * (overlap > 0)
            if off > PATIENCE - grace:
                # Given up, so that the sweep after the last trouble sees to it.
                last = max(
                    [window.ends for window in schedule.windows]
                    + list(self.world.status._times)
                    + [self.world.last_fault, begin]
                )
                return self._by_sweep(last + 60) + grace + PROMPT + 600
            if first + off <= deadline:
                return deadline
            deadline = first + off

    def _events(self, truth: Truth) -> list[Event]:
        return [event for event in self.world.trail.events if event.stream == truth.name]

    def _deliveries(self, truth: Truth) -> list[tuple[Event, float]]:
        return [(event, when) for event in self._events(truth) for when in event.delivered]

    # d

    def _check_row(self, truth: Truth) -> None:
        row, fact = self.world.table.row(truth.name), truth.spans[-1].fact
        if not row and fact.state in {"deleted", "exempt"}:
            return
        if "tag" in self.world.schedule.settings and fact.state == "exempt":
            # Made anew without the tag: if no event tells it, no list does.
            fact = fact if row["state"] == "exempt" else Fact("deleted", "", 0.0)
        found = (row.get("state", ""), row.get("key", ""))
        if found != (fact.state, fact.key):
            self._violated("d", f"{truth.name} is {fact}, and the table has {found}")
        elif row["notifying_since"] or not row["last_notified"].startswith(fact.state):
            self._violated("d", f"{truth.name} is left untold: {row}")

    def _check_count(self) -> None:
        rows = [self.world.table.row(name) for name in sorted(self.guarded)]
        noncompliant = sum(row.get("state") in DRIFT for row in rows)
        lines = [json.loads(line) for line in self.world.function.log]
        counts = [line["NoncompliantStreams"] for line in lines if "NoncompliantStreams" in line]
        if counts[-1] != noncompliant:
            self._violated("d", f"{noncompliant} streams are noncompliant, counted {counts[-1]}")

    # e, f

    def _check_queues(self) -> None:
        world = self.world
        horizon = world.schedule.ends - world.schedule.check_every / 2
        left = [each for each in world.sqs.queues[QUEUE].values() if each.sent < horizon - 3700]
        if left:
            self._violated("e", f"{len(left)} messages are left, such as {left[0]}")
        dead = list(world.sqs.queues[DEAD_LETTERS].values())
        if any(not message.reason for message in dead):
            self._violated("e", "a message is given up without a reason")
        if dead and world.schedule.profile in {"quiet", "events"}:
            self._violated("e", f"given up without a reason: {dead[0]}")
        if world.function.dropped:
            self._violated("e", f"a chain was too long: {world.function.dropped[0]}")
        if world.function.exhausted:
            self._violated("e", f"received too often: {world.function.exhausted[0]}")

    def _check_calls(self) -> None:
        called = Counter(
            call.operation for each in self.world.function.invocations for call in each.calls
        )
        if others := called.keys() - READS - OF_ITS_OWN:
            self._violated("f", f"called {sorted(others)}")


def _is_exempt_anew(truth: Truth, before: Told, one: Told) -> bool:
    meanwhile = {span.fact.state for span in truth.between(before.when, one.when)}
    return one.fact[0] == "exempt" and bool(meanwhile - {"exempt", ""})


def _is(fact: Fact, told: tuple[str, str, str]) -> bool:
    """Tell whether a notification says what is so."""
    state, key, created = told
    if fact.state == state == "deleted":
        return True
    same = abs(datetime.fromisoformat(created).timestamp() - fact.created) < 0.01
    return (fact.state, fact.key) == (state, key) and same


def judge(world: World) -> list[Violation]:
    """Judge a schedule that has happened."""
    return Judge(world).judge()
