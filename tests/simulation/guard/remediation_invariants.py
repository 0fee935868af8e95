"""What has to hold in every schedule of remediation.

k. A guard applies only its configured key, and only to an unencrypted stream that had that key when
   it was last encrypted, and is the same stream.
l. It changes a stream at most once for each time that encryption was stopped, at most as often as
   its limit allows until the stream is compliant without it, and at most five times in a day; and
   no more streams in an hour than the circuit breaker allows, none once that is open.
m. It changes no exempt stream, and nothing while its own stack is deployed.
n. Each change is reported; a report is repeated only if an invocation or a call was cut short; the
   guard reports once that it yields, or that the circuit breaker is open; no report stays pending.
o. In the end, no stream is unencrypted that was known good and is not exempt, unless a limit, a
   failure, or a dead letter was reported. Without faults of calls, there are no dead letters.
p. No function calls StopStreamEncryption, and the one that checks does not start encryption.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from simulated_aws.event_source import MessageInvocation
from simulated_aws.guarded_account import SimulatedGuard
from simulated_aws.kinesis import DAY, Change, State, Stream
from simulated_aws.scheduler import BEGIN
from simulated_aws.service import arn
from simulated_aws.sns import Publication
from simulated_aws.sqs import DEAD_LETTERS, REMEDIATION
from tests.simulation.guard.schedule import EXEMPT, HOUR
from tests.simulation.guard.simulation import GuardSimulation
from tests.simulation.outcome import Violation

SLACK = 20.0
"""Seconds between a verification and the call that follows it: neither is instantaneous.

The job verifies at most five seconds before, and describes the stream again after two.
"""

JOB = 330.0
"""Seconds between the time that a stream is due and its change, in one invocation."""

UNSEEN = 150.0
"""Seconds for which another key may be unseen though each event is delivered: UPDATING is long."""

QUARTER = 900.0
"""Seconds by which a scan may be late."""

DAILY = 5

_ZERO = {"N": "0"}

_NOT_CUT = {"", "ConditionalCheckFailedException", "InvalidParameterValue"}
"""Errors of calls that do not leave open whether they had an effect."""


class _Judge:
    def __init__(self, account: GuardSimulation, part: SimulatedGuard) -> None:
        self.account, self.part = account, part
        self.limits = account.schedule.limits or {}
        self.slack = SLACK + account.schedule.kinesis.staleness
        self.violations: list[Violation] = []
        self.releases = self._releases("{}")
        self.has_gaps = bool(account.schedule.rates or account.schedule.windows)

    def judge(self) -> list[Violation]:
        """Check what one guard did."""
        changes = []
        for stream in self.account.kinesis.streams.values():
            own = [each for each in stream.changes if self._is_own(each)]
            changes += [(each, stream) for each in own]
            for change in own:
                self._check_change(stream, change)
            self._check_limits(stream)
            self._check_reports(stream, own)
            self._check_record(stream)
            self._check_restored(stream)
        self._check_breaker(sorted(changes, key=lambda pair: pair[0].when))
        self._check_calls()
        return self.violations

    def _is_own(self, change: Change) -> bool:
        return isinstance(change.by, tuple) and change.by[0] is self.part

    def _violated(self, check: str, stream: Stream | None, what: str, when: float) -> None:
        name = stream.name if stream else "all streams"
        self.violations.append(Violation(check, f"{name}: {what}, at {when - BEGIN:.1f}"))

    # k, m

    def _check_change(self, stream: Stream, change: Change) -> None:
        when, begin = change.when, change.when - self.slack
        key = self.part.key.at(when)
        if change.key != key:
            self._violated("k", stream, f"applied {change.key}, not {key}", when)
        if all(state.key is not None for state in stream.history.between(begin, when)):
            self._violated("k", stream, f"was {change.before}, not unencrypted", when)
        if (reason := self._was_not_good(stream, change)) is not None:
            self._violated("k", stream, f"was not known good: {reason}", when)
        if all(EXEMPT in tags for tags in self.account.tags[stream.name].between(begin, when)):
            self._violated("m", stream, "is exempt", when)
        statuses = self.account.status.between(begin, when)
        if not any(status.endswith("_COMPLETE") for status in statuses):
            self._violated("m", stream, f"the stack is {statuses[-1]}", when)

    def _was_not_good(self, stream: Stream, change: Change) -> str | None:
        spans = [
            (begin, end, state)
            for begin, end, state in _spans(stream)
            if begin < change.when and state.created == change.before.created
        ]
        good = [
            end for _, end, state in spans if state.status == "ACTIVE" and state.key == change.key
        ]
        if not good or max(good) < change.when - DAY - HOUR:
            return "it never had the key"
        if self.has_gaps:
            return None
        others = [
            state.key
            for begin, end, state in spans
            if begin >= max(good) and state.status == "ACTIVE" and end - begin > UNSEEN
            if state.key not in {None, change.key}
        ]
        return f"it had {others[-1]} since" if others else None

    # l

    def _check_limits(self, stream: Stream) -> None:
        count, recent, stopped, created = 0, list[float](), True, 0.0
        for change in stream.changes:
            if change.before.created != created:
                count, stopped, recent, created = 0, True, [], change.before.created
            if not self._is_own(change):
                stopped = stopped or change.key is None
                if change.key == self.part.key.at(change.when):
                    count = 0  # perhaps compliant without this guard
                continue
            if any(recent and recent[-1] < each < change.when for each in self._resets(stream)):
                count, recent = 0, []
            if not stopped:
                self._violated("l", stream, "was changed twice", change.when)
            count, stopped = count + 1, False
            recent = [when for when in recent if when > change.when - DAY] + [change.when]
            if count > self.limits["max_changes_per_stream"]:
                self._violated("l", stream, f"was changed {count} times", change.when)
            if len(recent) > DAILY:
                self._violated("l", stream, f"was changed {len(recent)} times a day", change.when)

    def _resets(self, stream: Stream) -> list[float]:
        """Times of its releases, and of deployments, which may make a stream compliant."""
        return [*self._releases(f'"{stream.name}"'), *self.part.key._times[1:]]

    def _releases(self, of: str) -> list[float]:
        """Times of releases; SQS may deliver one more than once."""
        return [
            call.began
            for each in self.part.remediates.invocations
            if each.message.body.startswith('{"release"') and of in each.message.body
            for call in each.calls
        ]

    def _check_breaker(self, changes: list[tuple[Change, Stream]]) -> None:
        limit = self.limits["max_streams_per_hour"]
        opened = [
            publication.when
            for publication, _ in self.part.published
            if publication.state == "circuit breaker opened"
        ]
        for change, stream in changes:
            before = [when for when in opened if when < change.when - self.slack]
            if before and not any(before[-1] < each < change.when for each in self.releases):
                self._violated("l", stream, "the circuit breaker is open", change.when)
            since = change.when - HOUR + JOB
            released = max((each for each in self.releases if each < change.when), default=0.0)
            names = {
                other.name
                for each, other in changes
                if since < each.when <= change.when and _admitted(each) > released
            }
            if len(names) > limit:
                self._violated("l", stream, f"{len(names)} streams in an hour", change.when)
        for one, other in itertools.pairwise(opened):
            if not (any(one < each < other for each in self.releases) or self._cut(one, other)):
                self._violated("n", None, "the circuit breaker is reported twice", other)

    # n

    def _check_reports(self, stream: Stream, own: list[Change]) -> None:
        reports = self._reports(stream, {"restored", "failed", "unconfirmed"})
        nexts = [*(change.when for change in own[1:]), float("inf")]
        for change, until in zip(own, nexts, strict=False):
            if change.when > self.account.schedule.ends - 2 * HOUR or self._is_given_up(stream):
                continue
            if not [each for each in reports if change.when < each.when < until + JOB]:
                self._violated("n", stream, "a change is not reported", change.when)
        restored = self._reports(stream, {"restored"})
        for one, other in itertools.pairwise(restored):
            if one.lines["Found"] == other.lines["Found"] and not self._cut(one.when, other.when):
                self._violated("n", stream, "a change is reported twice", other.when)
        first: dict[float, Publication] = {}
        for report in self._reports(stream, {"yielded"}):
            published = first.setdefault(_done(report), report)
            if report is not published and not self._cut(published.when, report.when):
                self._violated("n", stream, "a yield is reported twice", report.when)
        new = [each.when for each in stream.changes] + self._resets(stream)
        for since, when in itertools.pairwise(first):
            if not any(since < each < when for each in new) and not self._cut(since, when):
                self._violated("n", stream, "yields twice", when)

    def _check_record(self, stream: Stream) -> None:
        """Check what the table has in the end of one stream, and of the circuit breaker."""
        records = self.part.table.items
        record = records.get(f"remediation#{arn('kinesis', f'stream/{stream.name}')}", {})
        breaker, end = records.get("circuit-breaker", {}), self.account.schedule.ends
        if self._is_given_up(stream) or not record:
            return
        if float(record["claimed_until"]["N"]) or float(breaker.get("claimed_until", _ZERO)["N"]):
            self._violated("n", stream, "a report is pending", end)
        if record["yielded"] != _ZERO and not self._reports(stream, {"yielded"}):
            self._violated("n", stream, "yields, and nothing reports it", end)
        opened = [each for each, _ in self.part.published if each.state == "circuit breaker opened"]
        if breaker.get("open", _ZERO) != _ZERO and not opened:
            self._violated("n", stream, "the open circuit breaker is not reported", end)

    def _reports(self, stream: Stream, states: set[str]) -> list[Publication]:
        return [
            publication
            for publication, _ in self.part.published
            if publication.state in states and publication.stream == stream.name
        ]

    def _is_given_up(self, stream: Stream) -> bool:
        dead = self.part.sqs.queues[DEAD_LETTERS].values()
        bodies = [json.loads(each.body) for each in dead]
        return any(body.get("remediate", {}).get("stream") == stream.name for body in bodies)

    def _cut(self, begin: float, end: float) -> bool:
        """Whether an invocation or a call was cut short in a time; a lost write is not."""
        return any(
            each.crashed or any(call.error not in _NOT_CUT for call in each.calls)
            for each in self._invocations()
            if each.began <= end and (each.ended or end) >= begin
        )

    def _invocations(self) -> Iterator[MessageInvocation]:
        yield from self.part.remediates.invocations

    # o

    def _check_restored(self, stream: Stream) -> None:
        """Check that no stream that was known good is unencrypted in the end for no reason."""
        spans = list(_spans(stream))
        _, _, last = spans[-1]
        if last.status != "ACTIVE" or last.key is not None or self._is_prevented(stream):
            return
        encrypted = [
            (begin, end, state.key)
            for begin, end, state in spans
            if state.created == last.created and state.status == "ACTIVE" and state.key is not None
        ]
        if not encrypted or encrypted[-1][2] != self.part.key.value:
            return
        (begin, end, _), schedule = encrypted[-1], self.account.schedule
        refused = sum(window.ends - window.begins for window in schedule.windows)
        was_checked = end - begin > schedule.check_every + QUARTER + refused
        if was_checked or (begin <= BEGIN and not refused):
            self._violated("o", stream, "is not restored", end)

    def _is_prevented(self, stream: Stream) -> bool:
        """Whether remediation is prevented in the end, as far as the operator can know."""
        records, reports = self.part.table.items, self._reports(stream, {"failed", "yielded"})
        return (
            EXEMPT in self.account.tags[stream.name].value
            or not self.account.status.value.endswith("_COMPLETE")
            or len(self.part.key._times) > 1
            or records.get("circuit-breaker", {}).get("open", _ZERO) != _ZERO
            or bool(reports)
            or self._is_given_up(stream)
        )

    # p

    def _check_calls(self) -> None:
        functions = {"checks": self.part.checks, "remediates": self.part.remediates}
        for name, function in functions.items():
            called = Counter(call.operation for each in function.invocations for call in each.calls)
            allowed = {"StartStreamEncryption"} if name == "remediates" else set()
            if {each for each in called if "StreamEncryption" in each} - allowed:
                self._violated("p", None, f"the function that {name} called {called}", BEGIN)
        if self.account.schedule.profile in {"quiet", "events"}:  # no call fails in them
            for each in self.part.sqs.queues[DEAD_LETTERS].values():
                self._violated("o", None, f"a message was given up: {each.body}", each.sent)
        left = self.part.sqs.queues[REMEDIATION].values()
        horizon = self.account.schedule.ends - 1.5 * HOUR
        if old := [each for each in left if each.sent < horizon]:
            self._violated("p", None, f"a message is left: {old[0]}", BEGIN)


def _done(report: Publication) -> float:
    """When what is reported was done; the report may have been published later."""
    text = report.lines["Done"]
    return datetime.fromisoformat(text[text.index("(") + 1 : -1]).timestamp()


def _admitted(change: Change) -> float:
    """When the invocation of a change began: a later release forgets that the stream was due."""
    assert isinstance(change.by, tuple)
    began: float = change.by[1].began
    return began


def _spans(stream: Stream) -> Iterator[tuple[float, float, State]]:
    history = stream.history
    ends = [*history._times[1:], float("inf")]
    yield from zip(history._times, ends, history._values, strict=True)


def judge(account: GuardSimulation) -> list[Violation]:
    """Judge a schedule that has happened."""
    return [found for part in account.guards for found in _Judge(account, part).judge()]
