"""Remediation: restores the encryption of a stream that was stopped, within strict limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

from stream_encryption.aws.errors import AwsError
from stream_encryption.aws.kinesis import Stream, StreamDescription
from stream_encryption.aws.kms import Kms
from stream_encryption.encryption.best_effort import BestEffort
from stream_encryption.encryption.failure import Failure
from stream_encryption.encryption.job import CONSISTENCY_WINDOW, EncryptionJob
from stream_encryption.encryption.key import DesiredKey, KeyMatch, compare
from stream_encryption.encryption.progress import Progress
from stream_encryption.guard.check import (
    DEPLOYMENT_TAIL,
    GRACE_PERIOD,
    NOTIFICATION_LEASE,
    idle_stack,
    is_exempt,
)
from stream_encryption.guard.finding import Finding, State, utc
from stream_encryption.guard.item import Item
from stream_encryption.guard.messages import STOP, Release, Remediate, RetryLater
from stream_encryption.guard.notification import breaker_notification, remediation_notification
from stream_encryption.guard.record import PREFIX, Breaker, Record
from stream_encryption.guard.settings import Environment, Limits
from stream_encryption.guard.table import Table
from stream_encryption.log import Log
from stream_encryption.runtime import Runtime
from stream_encryption.waiting import Backoff, DeadlinePassed, Wait

TIMEOUT, JOB_TIME = 300.0, 260.0
"""Seconds of the function, and of the job in it: longer than it takes to detect a spent quota."""

CLAIM = int(TIMEOUT + CONSISTENCY_WINDOW)
"""Seconds after which an invocation that began a change has ended, and the change is described."""

REPORT_LEASE = 60.0
"""Seconds after which an invocation that began a report has ended."""

RETRY_INTERVAL, ATTEMPTS = 3600.0, 4
"""Seconds between two attempts that change nothing, and their number in one drift."""

HOUR = 3600.0
MAX_CHANGES_PER_DAY = 5
"""Of the 25 changes of a stream in 24 hours, however often the guard resumes."""

RESTORED, FAILED, UNCONFIRMED = "restored", "failed", "unconfirmed"
YIELDED, OPENED = "yielded", "circuit breaker opened"

BREAKER = "circuit-breaker"


class Skip(Exception):
    """The stream is not changed, for this reason."""


class Remediator:
    """Restores encryption; ``count`` counts an outcome that was reported."""

    def __init__(
        self,
        environment: Environment,
        limits: Limits,
        runtime: Runtime,
        log: Log,
        count: Callable[[str], None],
    ) -> None:
        self._environment, self._limits, self._key = environment, limits, limits.key
        self._runtime, self._log, self._count = runtime, log, count
        self._settings, self._place, self._clock, self._client = environment
        self._table = Table(environment.client("dynamodb"), self._settings.table)

    def handle(self, message: Remediate | Release) -> None:
        """Restore the encryption of a stream, or release it or the circuit breaker.

        Raises
        ------
        RetryLater
            If the stream cannot be changed yet, or it is not known yet whether it was.
        AwsError, botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError
            If a call fails outside the job. Nothing is changed then.
        """
        began = self._clock.now()
        if isinstance(message, Release):
            self._release(message)
            return
        try:
            self._remediate(message, began)
        except Skip as reason:
            self._log.info("the stream is not changed", reason=str(reason))

    def _release(self, message: Release) -> None:
        if message.stream is None:
            self._table.put(Breaker(BREAKER, revision=self._breaker().revision))
        else:
            record = self._record(message.stream)
            self._wait_for_claim(record)  # whose change has to be counted first
            record = record.released()._replace(changes="[]", attempts=0, next_attempt=0)
            if record.report == YIELDED:  # no longer true
                record = record._replace(report="", claimed_until=0)
            self._table.put(record)
        self._send(self._limits.check_queue, {"scan": {}})

    def _record(self, name: str) -> Record:
        key = PREFIX + self._place.arn("kinesis", f"stream/{name}")
        return self._table.get(Record, key) or Record(key)

    def _breaker(self) -> Breaker:
        return self._table.get(Breaker, BREAKER) or Breaker(BREAKER)

    def _remediate(self, message: Remediate, began: float) -> None:
        record, breaker = self._record(message.stream), self._breaker()
        if breaker.claimed_until:
            self._report_breaker(breaker)
        if record.claimed_until:
            record = self._complete(record)
        item = self._due(message)
        self._check_existence(item)
        now, stack = self._clock.now(), idle_stack(self._environment)
        if now - began > DEPLOYMENT_TAIL:
            raise RetryLater("a deployment may have ended since the invocation began")
        record = record.of_drift(item, now)
        self._check_limits(record, item, now)
        self._admit(message.stream, now)
        claim = self._table.put(record.claimed(now, until=now + CLAIM))

        is_repeated = False

        def require_due() -> None:
            nonlocal is_repeated
            self._due(message)
            if self._breaker().open:
                raise Skip("the circuit breaker is open")
            if self._record(message.stream).revision != claim.revision:
                raise Skip("another invocation works on it")
            if idle_stack(self._environment) != stack:
                raise RetryLater("the guard's own stack was deployed in the meantime")
            if not is_repeated:
                # If a duplicate of this message is deleted, a crash would leave the change unknown.
                self._send(self._settings.queue, {"remediate": message._asdict()}, delay=CLAIM)
                is_repeated = True

        self._run(claim, record._replace(revision=claim.revision), require_due)

    def _due(self, message: Remediate) -> Item:
        """Return the item of a stream whose drift is confirmed, and which was known good."""
        arn = self._place.arn("kinesis", f"stream/{message.stream}")
        if not self._settings.selects(message.stream):
            raise Skip("it is not guarded any more")
        item = self._table.get(Item, arn)
        if not item or item.since != message.drift or item.confirmed != State.UNENCRYPTED:
            raise Skip("the drift has ended, or is not confirmed")
        now = self._clock.now()
        remaining = 0 if item.call == STOP else GRACE_PERIOD - item.age(now)
        if remaining > 0:
            raise RetryLater("a deployment may be about to encrypt the stream", remaining)
        oldest = utc(now - item.age(now) - self._limits.known_good_for)
        if item.good_key != self._key or item.good_at < oldest:
            raise Skip(f"last known good with {item.good_key or 'no key'} at {item.good_at}")
        if is_exempt(self._environment, message.stream):
            raise Skip("it is exempt")
        return item

    def _check_existence(self, item: Item) -> None:
        """Describe the stream; not again before the call, as the job describes it anyway."""
        description = Stream(self._client("kinesis"), item.arn).describe()
        if not description or description.status == "DELETING":
            raise Skip("it is deleted")
        if utc(description.created) != item.created:
            raise Skip("it is another stream of that name")

    def _check_limits(self, record: Record, item: Item, now: float) -> None:
        limit = self._limits.max_changes_per_stream
        changes_of_the_day = len(json.loads(record.changes))
        if record.remediations >= limit or changes_of_the_day >= MAX_CHANGES_PER_DAY:
            if not record.yielded:
                # Both limits end only when another caller ends a drift: time releases nothing.
                considered = min(record.considered, item.ended_drift)
                yielded = record._replace(remediations=limit, yielded=1, considered=considered)
                self._report(yielded, YIELDED)
            raise Skip("the limit of the stream is reached")
        if record.attempts >= ATTEMPTS:
            raise Skip("all attempts have failed")
        if now < record.next_attempt:
            raise Skip(f"the next attempt is at {utc(record.next_attempt)}")

    def _admit(self, name: str, now: float) -> None:
        """Add a stream to those that are due within an hour; too many open the breaker."""
        breaker, limit = self._breaker(), self._limits.max_streams_per_hour
        if not breaker.open:
            due = {each: at for each, at in json.loads(breaker.due).items() if at > now - HOUR}
            due[name] = now
            breaker = breaker._replace(due=json.dumps(due), open=int(len(due) > limit))
            if breaker.open:
                self._report_breaker(breaker)
            else:
                self._table.put(breaker)
        if breaker.open:
            raise Skip("the circuit breaker is open")

    def _report_breaker(self, breaker: Breaker) -> None:
        """Report the open circuit breaker, also if another invocation began and was interrupted."""
        self._wait_for_claim(breaker)
        until = self._clock.now() + REPORT_LEASE
        breaker = self._table.put(breaker._replace(claimed_until=until))
        due, limit = [*json.loads(breaker.due)], self._limits.max_streams_per_hour
        self._publish(breaker_notification(due, limit, self._settings))
        self._count(OPENED)
        self._table.put(breaker._replace(claimed_until=0))

    def _run(self, claim: Record, before: Record, require_due: Callable[[], None]) -> None:
        """Run the handler's job; ``before`` is the record if nothing is changed."""
        client, clock, log = self._client, self._clock, self._log
        now, kms = clock.now(), Kms(lambda: client("kms"))
        wait, progress = Wait(clock, now + JOB_TIME), Progress(since=now)
        errors: dict[str, AwsError] = {}
        check = BestEffort("the key", wait, Backoff(self._runtime.uniform), log, errors)
        key = DesiredKey(self._key, self._place, kms, check)

        def stale() -> None:
            if progress.no_response_since is not None:
                raise RetryLater("a call got no response: it may have changed the stream")
            require_due()

        job = EncryptionJob(
            stream=_UnencryptedStream(client("kinesis"), claim, key, progress),
            key=key,
            stale_reason=stale,
            wait=wait,
            issued=now,
            deadline=wait.until,
            backoff=lambda: Backoff(self._runtime.uniform),
            progress=progress,
            log=log,
            errors=errors,
        )
        try:
            job.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, a change may be under way
            self._handle_error(error, progress, claim, before)
        else:
            if not progress.accepted and progress.no_response_since is None:
                self._table.put(before)
                raise Skip("another caller has encrypted it")
            self._report(claim, RESTORED)

    def _handle_error(
        self, error: Exception, progress: Progress, claim: Record, before: Record
    ) -> None:
        now = self._clock.now()
        if progress.accepted and isinstance(error, Failure):
            self._report(claim, FAILED, str(error))
            return
        if progress.accepted or progress.no_response_since is not None:
            self._table.put(claim._replace(claimed_until=now + CONSISTENCY_WINDOW))
            reason = "it is not known yet whether the stream was changed"
            raise RetryLater(reason, CONSISTENCY_WINDOW) from error
        if isinstance(error, Failure):
            retry = now + RETRY_INTERVAL
            failed = before._replace(attempts=claim.attempts, next_attempt=retry)
            self._report(failed, FAILED, str(error))
            return
        self._table.put(before)
        if isinstance(error, DeadlinePassed):
            raise RetryLater("the stream could not be changed yet") from error
        raise error

    def _wait_for_claim(self, record: Record | Breaker) -> None:
        remaining = record.claimed_until - self._clock.now()
        if remaining > 0:
            raise RetryLater("another invocation works on it", remaining)

    def _complete(self, record: Record) -> Record:
        """Complete what another invocation has begun and, after a crash, not completed."""
        self._wait_for_claim(record)
        if record.report:
            return self._report(record, record.report, record.reason)
        description = Stream(self._client("kinesis"), record.stream).describe()
        if description and utc(description.created) == record.created:
            if description.status in {"CREATING", "UPDATING"}:
                raise RetryLater(f"the stream is {description.status}")
            key, place = description.key_id or "", self._place
            if compare(key, self._key, place, lambda _: None) is KeyMatch.SAME:
                return self._report(record, RESTORED)
        return self._report(record, UNCONFIRMED)

    def _report(self, record: Record, outcome: str, reason: str = "") -> Record:
        """Report an outcome: the record has the begin and the end; a crash repeats the report."""
        now = self._clock.now()
        time = record.time if record.report else utc(now)
        begun = record._replace(outcome=outcome, report=outcome, reason=reason, time=time)
        if begun.changed:
            # Until then, a stale description may show a drift that it was the guard who ended.
            begun = begun._replace(considered=utc(now + CONSISTENCY_WINDOW))
        begun = self._table.put(begun._replace(claimed_until=now + REPORT_LEASE))
        if begun.changed:
            self._end_drift(begun)
        self._publish(remediation_notification(begun, self._settings))
        self._count(outcome)
        if begun.changed:
            self._check_again(begun)  # not before: each retry of the report would send a message
        return self._table.put(begun._replace(report="", claimed_until=0))

    def _end_drift(self, record: Record) -> None:
        """Have the next finding begin a new drift: this one may have been changed, once."""
        item = self._table.get(Item, record.stream)
        if item and item.drift == record.drift and item.finding.state is State.UNENCRYPTED:
            if item.is_being_notified(self._clock.now(), NOTIFICATION_LEASE):
                raise RetryLater("another invocation is publishing a notification")
            self._table.put(item._replace(since=""))

    def _check_again(self, record: Record) -> None:
        """Have the stream checked; its compliance is reported already."""
        item = self._table.get(Item, record.stream)
        is_of_drift = item and item.drift == record.drift and not item.notifying_since
        if item and is_of_drift and record.outcome == RESTORED:
            compliant = Finding(State.COMPLIANT, self._key, record.created)
            if item.finding.state is State.UNENCRYPTED:
                # What follows a stop of which no check knows is news.
                item = item._replace(ended_drift=record.drift, last_notified=str(compliant))
                item = item._replace(caller="", call="", call_time="")
            elif item.finding.state is State.COMPLIANT:
                item = item.notified()
            with suppress(RetryLater):  # a check has been faster
                self._table.put(item)
        name = record.stream.split("/", 1)[1]
        self._send(self._limits.check_queue, {"check": name, "exempt": None})

    def _publish(self, notification: dict[str, object]) -> None:
        if self._settings.topic:
            self._client("sns").publish(TopicArn=self._settings.topic, **notification)

    def _send(self, queue: str, body: dict[str, object], delay: int = 0) -> None:
        text = json.dumps(body)
        self._client("sqs").send_message(QueueUrl=queue, MessageBody=text, DelaySeconds=delay)


class _UnencryptedStream(Stream):
    """The stream of a claim; until its change is accepted, it must not have another key."""

    def __init__(self, client: object, claim: Record, key: DesiredKey, progress: Progress) -> None:
        super().__init__(client, claim.stream)
        self._created, self._key, self._progress = claim.created, key, progress

    def describe(self) -> StreamDescription | None:
        description = super().describe()
        if description is None or self._progress.accepted:
            return description
        if utc(description.created) != self._created:
            raise Skip("it is another stream of that name")
        key = description.key_id
        if description.status == "ACTIVE" and key and self._key.match(key) is not KeyMatch.SAME:
            raise Skip(f"another caller has encrypted it with {key}")
        return description
