"""What has to hold in every schedule.

a. The guard reports only states that existed and were not declared: a reported drift existed while
   the guard's stack was idle, and ten minutes before, unless StopStreamEncryption was called.
b. One notification per state: the guard reports the same state again only if an invocation ended, a
   response was lost, or the table rejected the write between the notification and its record; or if
   a stream was exempt, then briefly not exempt, which is not reported, and is exempt again.
c. The guard reports each drift within two minutes of its event, or of the end of its grace period,
   or by the next scan; the same holds for the end of a drift.
d. Once events have ceased, the table matches the streams, no notification is pending, and the
   metric NoncompliantStreams is the number of noncompliant streams.
e. The queue is empty then; no message reaches the maximum receive count, no chain of messages is so
   long that Lambda stops it, and each message in the dead-letter queue has a reason.
f. The guard calls only read operations and those on its own resources.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from simulated_aws.cloudtrail import Event
from simulated_aws.event_source import VISIBILITY, MessageInvocation
from simulated_aws.sns import Publication
from simulated_aws.sqs import DEAD_LETTERS, QUEUE
from tests.simulation.guard.expectations import DRIFT, Expectations, Fact, Span, quiet
from tests.simulation.guard.simulation import GuardSimulation
from tests.simulation.outcome import Violation

GRACE = 600.0
PROMPT = 120.0
"""Seconds within which the guard reports a drift that is due."""

BETWEEN_CHECKS = 62.0
"""Seconds between two checks of a stream that has been changing for long.

If another key is replaced and applied again between two checks, the guard does not restart the
grace period. If each change restarted it, a principal that keeps applying the key would never be
reported.
"""

PER_FAULT = VISIBILITY + 130.0
"""Seconds that one fault may cost: the message is retried later, and waits for a lease to end."""

PATIENCE = 3000.0
"""Seconds after which a message may be in the dead-letter queue, so that only a scan covers it."""

CONSISTENCY_WINDOW = 75.0
"""Seconds after a change in which lists, tags, and descriptions may show the previous state."""


_READS = {
    "DescribeStreamSummary",
    "ListStreams",
    "ListTagsForStream",
    "GetResources",
    "DescribeKey",
    "DescribeStacks",
}
_OF_ITS_OWN = {
    "GetItem",
    "PutItem",
    "Scan",
    "SendMessage",
    "SendMessageBatch",
    "ChangeMessageVisibility",
    "Publish",
}


@dataclass(frozen=True)
class Notification:
    """A notification, and the invocation that it came from."""

    publication: Publication
    invocation: MessageInvocation

    @property
    def when(self) -> float:
        """When it came out."""
        return self.publication.when

    @property
    def fact(self) -> tuple[str, str, str]:
        """State, key, and creation time that it reports."""
        lines = self.publication.lines
        key = lines["Observed key"]
        return lines["State"], "" if key == "none" else key, lines["Created"]

    @property
    def is_drift(self) -> bool:
        """Whether it reports the beginning of a drift, not the end of one."""
        return self.fact[0] in DRIFT


class Judge:
    """Judges a schedule that has happened."""

    def __init__(self, account: GuardSimulation) -> None:
        self.account, self.guard = account, account.guards[0]
        self.violations: list[Violation] = []
        self.expectations = {name: Expectations(account, name) for name in account.schedule.streams}
        self.notifications: dict[str, list[Notification]] = {name: [] for name in self.expectations}
        for publication, invocation in self.guard.published:
            self.notifications[publication.stream].append(Notification(publication, invocation))
        self.staleness = account.schedule.kinesis.staleness
        names = set(account.schedule.settings.get("names") or self.expectations)
        prefix = account.schedule.settings.get("prefix", "")
        self.guarded = {name for name in names if name.startswith(prefix)}

    def judge(self) -> list[Violation]:
        """Check all invariants."""
        for name, notifications in self.notifications.items():
            if name not in self.guarded and notifications:
                self._violated("a", f"{name} is not guarded")
        for name in sorted(self.guarded):
            expected, notifications = self.expectations[name], self.notifications[name]
            for one in notifications:
                self._check_true(expected, one)
            for before, one in itertools.pairwise(notifications):
                if one.fact == before.fact and not (
                    self._was_cut_short(name, before, one)
                    or _is_exempt_again(expected, before, one)
                ):
                    self._violated("b", f"{name} {one.fact} twice, at {self._at(one.when)}")
            for span in expected.spans:
                self._check_notified(expected, span, notifications)
            self._check_row(expected)
        self._check_count()
        self._check_queues()
        self._check_calls()
        return self.violations

    def _violated(self, check: str, what: str) -> None:
        self.violations.append(Violation(check, what))

    def _at(self, when: float) -> str:
        return f"{when - self.account.ticks[0] + 60:.1f}"

    # a

    def _check_true(self, expected: Expectations, one: Notification) -> None:
        began = one.invocation.began - self.staleness
        parts = quiet(self.account, began, one.when)
        if parts and not one.is_drift:
            parts = [(began, one.when)]
        spans = [span for begin, end in parts for span in expected.between(begin, end)]
        if not any(_is(span.fact, one.fact) for span in spans):
            self._violated("a", f"{expected.name} {one.fact} was not so, at {self._at(one.when)}")
        if not one.is_drift:
            return
        if self._was_stopped(expected, one):
            new = [span for span in spans if _is(span.fact, one.fact)]
            early = new and one.when - min(span.begins for span in new) < GRACE - self.staleness
            if (
                early
                and not self._has_gaps
                and not one.publication.lines["Call"].startswith("StopStreamEncryption")
            ):
                self._violated("a", f"{expected.name}: the caller that stopped it is not reported")
            return
        lasted = one.when - GRACE + self.staleness + 1
        past = [span for span in expected.spans if span.begins <= lasted]
        if not any(_is(span.fact, one.fact) for span in past):
            self._violated("a", f"{expected.name} {one.fact} is too early, at {self._at(one.when)}")
        if not self._has_gaps and not self._lasted(expected, one, lasted):
            self._violated("a", f"{expected.name} {one.fact} did not last, at {self._at(one.when)}")

    def _lasted(self, expected: Expectations, one: Notification, since: float) -> bool:
        spans = expected.between(since, one.invocation.began - self.staleness)
        # The key that a stream has may be set again: it is UPDATING then, and the same after it.
        unseen = BETWEEN_CHECKS if one.fact[0] == "other key" else 0.0
        return all(
            _is(span.fact, one.fact) or span.ends - span.begins <= unseen
            for span in spans
            if span.fact.state
        )

    def _was_stopped(self, expected: Expectations, one: Notification) -> bool:
        stops = [event for event in self._events(expected) if event.call == "StopStreamEncryption"]
        created = datetime.fromisoformat(one.fact[2]).timestamp()
        return one.fact[0] == "unencrypted" and any(
            created - 1 <= event.time <= one.when for event in stops
        )

    @property
    def _has_gaps(self) -> bool:
        """Whether a change may come and go between two checks."""
        return bool(self.account.schedule.rates or self.account.schedule.windows)

    # b

    def _was_cut_short(self, name: str, one: Notification, other: Notification) -> bool:
        """Whether a write failed, or an invocation ended or lost a response, between two."""
        notes = [call for call in one.invocation.calls if call.operation == "PutItem"]
        if notes[-1].error not in {"", "ConditionalCheckFailedException"}:
            return True
        return any(
            each.crashed or any(call.error in {"lost", "connection"} for call in each.calls)
            for each in self.guard.checks.invocations
            if one.invocation.began <= each.began <= other.when and name in each.message.body
        )

    # c

    def _check_notified(
        self, expected: Expectations, span: Span, notifications: list[Notification]
    ) -> None:
        """Check that the beginning of a drift is reported, or the end of a reported one."""
        if not span.fact.state:
            return
        before = [one for one in notifications if one.when < span.begins]
        last = before[-1] if before else None
        if span.fact.is_drift:
            if last and _is(span.fact, last.fact):
                return
            deadline = self._deadline(expected, span, GRACE)
        else:
            if last is None or not last.is_drift:
                return
            deadline = self._deadline(expected, span, 0.0)
        if span.ends <= deadline:
            return
        begin = span.begins - 1
        if not any(
            begin <= one.when <= deadline
            # A check before this span may have observed the end of the drift.
            and (_is(span.fact, one.fact) if span.fact.is_drift else not one.is_drift)
            for one in notifications
        ):
            when = f"since {self._at(span.begins)}, until {self._at(deadline)}"
            self._violated("c", f"{expected.name} {span.fact} is not reported, {when}")

    def _deadline(self, expected: Expectations, span: Span, grace: float) -> float:
        """When the guard must have reported the beginning of a span."""
        due = [self._next_scan(span.begins) + grace + PROMPT]
        ready = [
            each.ends for each in expected.spans if each.fact.state and each.ends <= span.begins
        ]
        for event, when in self._deliveries(expected):
            if not max(ready, default=0) - 0.5 <= event.time <= span.begins or not event.named:
                continue
            stopped = event.call == "StopStreamEncryption" and span.fact.state == "unencrypted"
            due.append(max(when, span.begins) + (0 if stopped else grace) + PROMPT)
        return self._disturbed(span.begins, min(due), grace)

    def _next_scan(self, when: float) -> float:
        return min(
            (tick for tick in self.account.ticks if tick >= when + CONSISTENCY_WINDOW),
            default=float("inf"),
        )

    def _disturbed(self, begin: float, deadline: float, grace: float) -> float:
        """Extend a deadline by what kept the guard from reporting."""
        schedule, first = self.account.schedule, deadline
        while True:
            off = self.account.faults_between(begin - PROMPT, deadline) * PER_FAULT
            rest = sum(end - start for start, end in quiet(self.account, begin, deadline))
            busy = deadline - begin - rest
            off += busy + 70 * (busy > 0)
            for window in schedule.windows:
                overlap = min(window.ends, deadline) - max(window.begins, begin)
                off += max(overlap, 0) + 130 * (overlap > 0)
            if off > PATIENCE - grace:
                # In the dead-letter queue, so the scan after the last fault reports it.
                last = max(
                    [window.ends for window in schedule.windows]
                    + list(self.account.status._times)
                    + [self.account.last_fault, begin]
                )
                return self._next_scan(last + 60) + grace + PROMPT + 600
            if first + off <= deadline:
                return deadline
            deadline = first + off

    def _events(self, expected: Expectations) -> list[Event]:
        return [event for event in self.account.trail.events if event.stream == expected.name]

    def _deliveries(self, expected: Expectations) -> list[tuple[Event, float]]:
        return [(event, when) for event in self._events(expected) for when in event.delivered]

    # d

    def _check_row(self, expected: Expectations) -> None:
        row, fact = self.guard.table.row(expected.name), expected.spans[-1].fact
        if not row and fact.state in {"deleted", "exempt"}:
            return
        if "tag" in self.account.schedule.settings and fact.state == "exempt":
            # Created again without the tag: if no event reports it, no list does.
            fact = fact if row["state"] == "exempt" else Fact("deleted", "", 0.0)
        found = (row.get("state", ""), row.get("key", ""))
        if found != (fact.state, fact.key):
            self._violated("d", f"{expected.name} is {fact}, and the table has {found}")
        elif row["notifying_since"] or not row["last_notified"].startswith(fact.state):
            self._violated("d", f"{expected.name} has a pending notification: {row}")

    def _check_count(self) -> None:
        rows = [self.guard.table.row(name) for name in sorted(self.guarded)]
        noncompliant = sum(row.get("state") in DRIFT for row in rows)
        lines = [json.loads(line) for line in self.guard.checks.log]
        counts = [line["NoncompliantStreams"] for line in lines if "NoncompliantStreams" in line]
        if counts[-1] != noncompliant:
            self._violated("d", f"{noncompliant} streams are noncompliant, counted {counts[-1]}")

    # e, f

    def _check_queues(self) -> None:
        schedule, guard = self.account.schedule, self.guard
        horizon = schedule.ends - schedule.check_every / 2
        left = [each for each in guard.sqs.queues[QUEUE].values() if each.sent < horizon - 3700]
        if left:
            self._violated("e", f"{len(left)} messages are left, such as {left[0]}")
        dead = list(guard.sqs.queues[DEAD_LETTERS].values())
        if any(not message.reason for message in dead):
            self._violated("e", "a message is given up without a reason")
        if dead and schedule.profile in {"quiet", "events"}:
            self._violated("e", f"given up without a reason: {dead[0]}")
        if guard.checks.dropped:
            self._violated("e", f"a chain was too long: {guard.checks.dropped[0]}")
        if guard.checks.exhausted:
            self._violated("e", f"received too often: {guard.checks.exhausted[0]}")

    def _check_calls(self) -> None:
        called = Counter(
            call.operation for each in self.guard.checks.invocations for call in each.calls
        )
        if others := called.keys() - _READS - _OF_ITS_OWN:
            self._violated("f", f"called {sorted(others)}")


def _is_exempt_again(expected: Expectations, before: Notification, one: Notification) -> bool:
    between = {span.fact.state for span in expected.between(before.when, one.when)}
    return one.fact[0] == "exempt" and bool(between - {"exempt", ""})


def _is(fact: Fact, notified: tuple[str, str, str]) -> bool:
    """Whether a notification reports this fact."""
    state, key, created = notified
    if fact.state == state == "deleted":
        return True
    same = abs(datetime.fromisoformat(created).timestamp() - fact.created) < 0.01
    return (fact.state, fact.key) == (state, key) and same


def judge(account: GuardSimulation) -> list[Violation]:
    """Judge a schedule that has happened."""
    return Judge(account).judge()
