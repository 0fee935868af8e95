"""The job: describe the stream, decide, act, wait, until it is encrypted with the desired key."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from stream_encryption.aws.arn import Place
from stream_encryption.aws.errors import AwsError, ErrorKind, recorded
from stream_encryption.aws.kinesis import Stream, StreamDescription
from stream_encryption.encryption.decide import Step, decide
from stream_encryption.encryption.failure import Failure, FailureCode, failure_of
from stream_encryption.encryption.key import CREATING, DesiredKey, KeyMatch
from stream_encryption.encryption.progress import Progress
from stream_encryption.log import Log
from stream_encryption.waiting import Backoff, DeadlinePassed, Wait

PROPAGATION_WAIT = 5.0
"""Seconds after ACTIVE until all new records are encrypted.

Source: Kinesis API Reference, StartStreamEncryption.
"""

CONSISTENCY_WINDOW = 10.0
"""Seconds for which Kinesis may still describe the state before our call."""

KMS_CONSISTENCY_WINDOW = 15.0
"""Seconds for which KMS may not show yet that a key exists or is usable.

Source: the resource handler of AWS::KMS::Key waits this long after each change.
"""

RETRY_WINDOWS = {ErrorKind.DENIED: 60.0, ErrorKind.KEY: KMS_CONSISTENCY_WINDOW}
"""Seconds for which an error may be caused by a policy, or a key, that has not propagated yet."""

QUOTA_WINDOW = 240.0
"""Seconds after which an error that may be the daily quota cannot be a call rate."""

FIRST_QUOTA_PAUSE = 4.0
"""Seconds until the first retry of such an error; each later pause equals the time so far."""

CHECK_VALIDITY = 5.0
"""Seconds for which the preflight checks of key and stack need not be repeated."""

DESCRIPTION_VALIDITY = 2.0
"""Seconds after which the stream is described again before it is changed."""


@dataclass(kw_only=True)
class EncryptionJob:
    """Brings one stream to the desired key."""

    stream: Stream
    key: DesiredKey
    stale_reason: Callable[[], str | None]
    """Explains why the request is stale; None unless that is certain."""
    wait: Wait
    """Ends with the request or with the invocation, whichever is earlier."""
    issued: float
    """When CloudFormation sent the request, in seconds since the epoch."""
    deadline: float
    """Time after which nothing is changed, in seconds since the epoch."""
    backoff: Callable[[], Backoff]
    """Creates the backoff of one operation."""
    progress: Progress
    log: Log
    errors: dict[str, AwsError] = field(default_factory=dict)
    """Errors of calls that have not succeeded since, those of the preflight checks included."""

    def __post_init__(self) -> None:
        self._clock = self.wait.clock
        self._describe_backoff, self._start_backoff = self.backoff(), self.backoff()
        self._description: StreamDescription | None = None
        self._min_pause = 0.0
        self._described = self._key_checked = self._stack_checked = float("-inf")
        self._unconfirmed_since: float | None = None
        self._failing_since: dict[tuple[str, ErrorKind], float] = {}
        self._unusable_key: Failure | None = None
        self._limit_message = "reported to an earlier invocation"

    def run(self) -> dict[str, str]:
        """Return the attributes when the stream is ACTIVE, has the key, and encrypts all records.

        Raises
        ------
        Failure
            If that is impossible.
        DeadlinePassed
            If time runs out first.
        """
        progress = self.progress
        while True:
            description = self._describe_existing()
            match = KeyMatch.DIFFERENT
            if description.status == "ACTIVE":
                match = self.key.match(description.key_id)
            step = decide(
                description, match, accepted=progress.accepted, window_passed=self._window_passed()
            )
            self.log.info(
                "described the stream", description=str(description), step=step, key_match=match
            )
            if step is Step.DONE and self._has_propagated(description):
                return self._attributes(description, match)
            if step is Step.OVERWRITTEN:
                raise self._failure(FailureCode.CHANGED_BY_OTHERS)
            if step is Step.WAIT:
                progress.propagation_pending, self._unconfirmed_since = True, None
            elif step is Step.UNCONFIRMED:
                self._unconfirmed_since = self._unconfirmed_since or self._clock.now()
            elif step is Step.CHANGE and not self._may_have_started():
                self._check()
                if self._is_outdated(description, match):
                    continue
                self._start()
            self.wait.pause(at_least=self._min_pause)

    def timed_out(self) -> Failure:
        """Return the failure that explains why time ran out."""
        idle = self._description is not None and self._description.status == "ACTIVE"
        if idle and self.progress.limited_since is not None:
            return self._failure(FailureCode.LIMIT_EXCEEDED, detail=self._limit_message)
        if self._unusable_key:
            return self._unusable_key
        found = f"{self._description or 'unknown'}"
        if self.errors:
            found += f"; last error: {[*self.errors.values()][-1]}"
        age = int(self._clock.now() - self.issued)
        return self._failure(FailureCode.TIMED_OUT, seconds=age, found=found)

    # Describe

    def _describe_existing(self) -> StreamDescription:
        description = self._describe()
        if description is None:
            gone = self.progress.accepted
            raise self._failure(FailureCode.STREAM_GONE if gone else FailureCode.STREAM_NOT_FOUND)
        if description.status == "DELETING":
            raise self._failure(FailureCode.STREAM_DELETING)
        return description

    def _describe(self) -> StreamDescription | None:
        while True:
            try:
                with recorded(self.errors, "describe"):
                    self._description = self.stream.describe()
            except AwsError as error:
                self._raise_unless_retryable(error)
                if error.kind is ErrorKind.DENIED:
                    self.wait.pause()
                else:
                    self.wait.sleep(self._describe_backoff.failed())
            else:
                self._described = self._clock.now()
                self._failing_since.pop(("kinesis:DescribeStreamSummary", ErrorKind.DENIED), None)
                self._min_pause = self._describe_backoff.succeeded()
                return self._description

    def _has_propagated(self, description: StreamDescription) -> bool:
        """Wait until all new records are encrypted; False if the stream has changed since."""
        if not self.progress.propagation_pending:
            return True
        self.log.info("waiting until all new records are encrypted", seconds=PROPAGATION_WAIT)
        self._clock.sleep(PROPAGATION_WAIT)
        return self._describe_existing() == description

    def _window_passed(self) -> bool:
        since = self._unconfirmed_since
        return since is not None and self._described - since >= CONSISTENCY_WINDOW

    # Change

    def _may_have_started(self) -> bool:
        """Whether a change without a response may have had an effect that does not show yet."""
        called = self.progress.no_response_since
        return called is not None and self._clock.now() - called < CONSISTENCY_WINDOW

    def _check(self) -> None:
        """Raise what prevents a change: the deadline, the key, or the stack."""
        now = self._clock.now
        if now() >= self.deadline:
            raise DeadlinePassed
        if now() - self._key_checked > CHECK_VALIDITY:
            self._check_key()
            self._key_checked = now()
        if now() - self._stack_checked > CHECK_VALIDITY:
            if reason := self.stale_reason():
                raise self._failure(FailureCode.STALE_REQUEST, detail=reason)
            self._stack_checked = now()

    def _check_key(self) -> None:
        """Raise the defect of the key, if it is permanent."""
        since = None
        while defect := self.key.defect():
            code, fields = defect
            self._unusable_key = self._failure(code, **fields)
            if fields.get("state") == CREATING:
                since = None  # becomes usable within minutes: wait as for a stream
            else:
                now = self._clock.now()
                since = since or now
                if code is FailureCode.KEY_UNSUITABLE or now - since >= KMS_CONSISTENCY_WINDOW:
                    raise self._unusable_key
            self.log.info("the key is not usable yet", reason=str(self._unusable_key))
            self.wait.pause()
        self._unusable_key = None

    def _is_outdated(self, description: StreamDescription, match: KeyMatch) -> bool:
        """Whether the checks took long, or KMS resolves an alias that it did not show before."""
        if self._clock.now() - self._described > DESCRIPTION_VALIDITY:
            return True
        unknown = KeyMatch.UNKNOWN
        return match is unknown and self.key.match(description.key_id) is not unknown

    def _start(self) -> None:
        """Call StartStreamEncryption once."""
        progress = self.progress
        try:
            with recorded(self.errors, "start"):
                self.stream.start_encryption(self.key.id)
        except AwsError as error:
            self.log.warning("the change was not accepted", error=error)
            self._handle_rejection(error)
            return
        self.log.info("the change was accepted", description=str(self._description))
        progress.accepted = progress.propagation_pending = True
        progress.limited_since = None
        self.wait.restart()
        progress.since = self.wait.since

    def _handle_rejection(self, error: AwsError) -> None:
        """Pause before the next poll as the error requires, or raise the failure."""
        progress = self.progress
        if error.kind is ErrorKind.QUOTA:
            self._pause_for_quota(error)
        elif error.kind is ErrorKind.THROTTLED:
            self.wait.sleep(self._start_backoff.failed())
        elif error.kind in {ErrorKind.NO_RESPONSE, ErrorKind.IN_USE}:
            # A change may be in progress: this one, or one of another delivery.
            progress.propagation_pending = True
            if error.kind is ErrorKind.NO_RESPONSE:
                progress.no_response_since, progress.limited_since = self._clock.now(), None
        elif error.kind is not ErrorKind.NOT_FOUND:  # which the next description shows
            self._raise_unless_retryable(error)
            if error.kind is ErrorKind.KEY:
                self._key_checked = float("-inf")

    def _pause_for_quota(self, error: AwsError) -> None:
        now, progress = self._clock.now(), self.progress
        self._limit_message = error.message
        if progress.limited_since is None:
            progress.limited_since = now
        waited = now - progress.limited_since
        if waited >= QUOTA_WINDOW:
            raise self._failure(FailureCode.LIMIT_EXCEEDED, detail=error.message)
        self.wait.sleep(min(max(waited, FIRST_QUOTA_PAUSE), QUOTA_WINDOW - waited))

    def _raise_unless_retryable(self, error: AwsError) -> None:
        """Raise the failure that an error means, unless a retry may succeed."""
        if error.kind in {ErrorKind.THROTTLED, ErrorKind.NO_RESPONSE}:
            self.log.warning("retrying the call", error=error)
            return
        now = self._clock.now()
        since = self._failing_since.setdefault((error.action, error.kind), now)
        if now - since >= RETRY_WINDOWS.get(error.kind, 0.0):
            code, fields = failure_of(error)
            raise self._failure(code, **fields) from error

    # Report

    def _attributes(self, description: StreamDescription, match: KeyMatch) -> dict[str, str]:
        key_id = description.key_id or ""
        if match is KeyMatch.UNKNOWN:
            self.log.warning("the alias could not be resolved; Kinesis has accepted it")
        attributes = {
            "StreamName": self.stream.name,
            "StreamArn": self.stream.arn,
            "EncryptionType": description.encryption_type,
            "KeyId": key_id,
            "KeyArn": key_id,
        }
        # The stream is compliant: an attribute that cannot be resolved must not fail the request.
        with suppress(DeadlinePassed):
            attributes["KeyArn"] = self.key.arn(key_id)
        return attributes

    def _failure(self, code: FailureCode, /, **fields: object) -> Failure:
        place = Place.of(self.stream.arn)
        context = {
            "stream": self.stream.arn,
            "key": self.key.id,
            "region": place.region,
            "account": place.account,
            "found": self._description or "not described yet",
        }
        return Failure(code, **{**context, **fields})
