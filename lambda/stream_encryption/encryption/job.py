"""The job: look at the stream, decide, act, wait, until it is encrypted with the wanted key."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from stream_encryption.aws.arn import Place
from stream_encryption.aws.errors import AwsError, ErrorKind, recorded
from stream_encryption.aws.kinesis import Stream, StreamDescription
from stream_encryption.encryption.decide import Step, decide
from stream_encryption.encryption.failure import Failure, FailureCode, cause_of
from stream_encryption.encryption.key import DesiredKey, KeyMatch
from stream_encryption.encryption.progress import Progress
from stream_encryption.log import Log
from stream_encryption.waiting import Backoff, DeadlinePassed, Wait

PROPAGATION_WAIT = 5.0
"""Seconds after ACTIVE until all records written are encrypted.

Source: Kinesis API reference, StartStreamEncryption.
"""

CONSISTENCY_WINDOW = 10.0
"""Seconds for which Kinesis may still describe a stream as it was before our call."""

KMS_CONSISTENCY_WINDOW = 15.0
"""Seconds for which KMS may not show yet that a key exists or is usable.

Source: the resource handler of AWS::KMS::Key waits that long after each change.
"""

RETRY_WINDOWS = {ErrorKind.DENIED: 60.0, ErrorKind.KEY: KMS_CONSISTENCY_WINDOW}
"""Seconds for which a refusal may be a policy, or a key, that has not propagated yet."""

QUOTA_WINDOW = 240.0
"""Seconds after which a refusal that may be the day's quota is no rate of calls."""

FIRST_QUOTA_PAUSE = 4.0
"""Seconds until the first of the tries that each come after twice the time of the one before."""

CHECK_VALIDITY = 5.0
"""Seconds for which looks at the key and the stack need not be repeated."""

DESCRIPTION_VALIDITY = 2.0
"""Seconds after which a stream is looked at again before it is changed."""


@dataclass(kw_only=True)
class EncryptionJob:
    """One stream's way to the wanted key."""

    stream: Stream
    key: DesiredKey
    stale_reason: Callable[[], str | None]
    """Explains why the request is stale; None unless that is certain."""
    wait: Wait
    """Ends with the request or, if that is earlier, with the invocation."""
    issued: float
    """When the request was sent, in seconds since the epoch."""
    deadline: float
    """After when nothing is changed, in seconds since the epoch."""
    backoff: Callable[[], Backoff]
    """Makes the backoff of one operation."""
    progress: Progress
    log: Log
    errors: dict[str, AwsError] = field(default_factory=dict)
    """Errors of calls that have not succeeded since; those of the checks are recorded here too."""

    def __post_init__(self) -> None:
        self._clock = self.wait.clock
        self._look_backoff, self._start_backoff = self.backoff(), self.backoff()
        self._description: StreamDescription | None = None
        self._least_pause = 0.0
        self._looked = self._checked = float("-inf")
        self._unconfirmed_since: float | None = None
        self._refused_since: dict[tuple[str, ErrorKind], float] = {}
        self._unusable_key: Failure | None = None
        self._refusal = "told to an earlier invocation"

    def run(self) -> dict[str, str]:
        """Give the resource's attributes once the stream is ACTIVE, has the key and is settled.

        Raises
        ------
        Failure
            When it cannot be done.
        DeadlinePassed
            When time runs out before.
        """
        progress = self.progress
        while True:
            description = self._look()
            same = KeyMatch.DIFFERENT
            if description.status == "ACTIVE":
                same = self.key.match(description.key_id)
            step = decide(
                description,
                same,
                accepted=progress.accepted,
                window_passed=self._window_has_passed(),
            )
            self.log.info(
                "looked at the stream", description=str(description), step=step, key_is=same
            )
            if step is Step.DONE and self._has_settled(description):
                return self._attributes(description, same)
            if step is Step.OVERWRITTEN:
                raise self._failure(FailureCode.CHANGED_BY_OTHERS)
            if step is Step.WAIT:
                progress.propagation_pending, self._unconfirmed_since = True, None
            elif step is Step.UNCONFIRMED:
                self._unconfirmed_since = self._unconfirmed_since or self._clock.now()
            elif step is Step.CHANGE and not self._may_still_show():
                self._check()
                if self._clock.now() - self._looked > DESCRIPTION_VALIDITY:
                    continue
                self._start()
            self.wait.pause(at_least=self._least_pause)

    def timed_out(self) -> Failure:
        """Tell what the time ran out on."""
        idle = self._description is not None and self._description.status == "ACTIVE"
        if idle and self.progress.limited_since is not None:
            return self._failure(FailureCode.LIMIT_EXCEEDED, detail=self._refusal)
        if self._unusable_key:
            return self._unusable_key
        found = f"{self._description or 'nothing'}"
        if self.errors:
            found += f"; last error: {[*self.errors.values()][-1]}"
        age = int(self._clock.now() - self.issued)
        return self._failure(FailureCode.TIMED_OUT, seconds=age, found=found)

    # Looking

    def _look(self) -> StreamDescription:
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
                    self.wait.sleep(self._look_backoff.failed())
            else:
                self._looked = self._clock.now()
                self._refused_since.pop(("kinesis:DescribeStreamSummary", ErrorKind.DENIED), None)
                self._least_pause = self._look_backoff.succeeded()
                return self._description

    def _has_settled(self, description: StreamDescription) -> bool:
        """Wait until all records are encrypted; False when the stream has changed meanwhile."""
        if not self.progress.propagation_pending:
            return True
        self.log.info("settling", seconds=PROPAGATION_WAIT)
        self._clock.sleep(PROPAGATION_WAIT)
        return self._look() == description

    def _window_has_passed(self) -> bool:
        since = self._unconfirmed_since
        return since is not None and self._looked - since >= CONSISTENCY_WINDOW

    # Changing

    def _may_still_show(self) -> bool:
        """Tell whether a change that got no answer may have been made and not be described yet."""
        asked = self.progress.no_response_since
        return asked is not None and self._clock.now() - asked < CONSISTENCY_WINDOW

    def _check(self) -> None:
        """Raise what speaks against a change: the deadline, the key, or the stack."""
        now = self._clock.now()
        if now >= self.deadline:
            raise DeadlinePassed
        if now - self._checked <= CHECK_VALIDITY:
            return
        self._check_key()
        if reason := self.stale_reason():
            raise self._failure(FailureCode.STALE_REQUEST, detail=reason)
        self._checked = self._clock.now()

    def _check_key(self) -> None:
        """Raise what is wrong with the key, once KMS has had the time to show otherwise."""
        since = None
        while defect := self.key.defect():
            cause, fields = defect
            self._unusable_key = self._failure(cause, **fields)
            since = since or self._clock.now()
            if (
                cause is FailureCode.KEY_UNSUITABLE
                or self._clock.now() - since >= KMS_CONSISTENCY_WINDOW
            ):
                raise self._unusable_key
            self.log.info("the key is checked again", reason=str(self._unusable_key))
            self.wait.pause()
            # What was compared with a key that KMS did not show yet is compared again.
            self._looked = float("-inf")
        self._unusable_key = None

    def _start(self) -> None:
        """Ask for encryption once."""
        progress = self.progress
        try:
            with recorded(self.errors, "start"):
                self.stream.start_encryption(self.key.id)
        except AwsError as error:
            self.log.warning("the change was not accepted", error=error)
            self._refused(error)
            return
        self.log.info("the change was accepted", description=str(self._description))
        progress.accepted = progress.propagation_pending = True
        progress.limited_since = None
        self.wait.restart()
        progress.since = self.wait.since

    def _refused(self, error: AwsError) -> None:
        """Make the pause that a refused change needs beyond that of a look."""
        progress = self.progress
        if error.kind is ErrorKind.QUOTA:
            self._pause_for_quota(error)
        elif error.kind is ErrorKind.THROTTLED:
            self.wait.sleep(self._start_backoff.failed())
        elif error.kind in {ErrorKind.NO_RESPONSE, ErrorKind.IN_USE}:
            # A change may be under way: this one, or that of another delivery.
            progress.propagation_pending = True
            if error.kind is ErrorKind.NO_RESPONSE:
                progress.no_response_since, progress.limited_since = self._clock.now(), None
        elif error.kind is not ErrorKind.NOT_FOUND:  # which the next look sees
            self._raise_unless_retryable(error)
            if error.kind is ErrorKind.KEY:
                self._checked = float("-inf")

    def _pause_for_quota(self, error: AwsError) -> None:
        now, progress = self._clock.now(), self.progress
        self._refusal = error.message
        if progress.limited_since is None:
            progress.limited_since = now
        waited = now - progress.limited_since
        if waited >= QUOTA_WINDOW:
            raise self._failure(FailureCode.LIMIT_EXCEEDED, detail=error.message)
        self.wait.sleep(min(max(waited, FIRST_QUOTA_PAUSE), QUOTA_WINDOW - waited))

    def _raise_unless_retryable(self, error: AwsError) -> None:
        """Raise the failure that an error means unless trying again may mend it."""
        if error.kind in {ErrorKind.THROTTLED, ErrorKind.NO_RESPONSE}:
            self.log.warning("the call is tried again", error=error)
            return
        now = self._clock.now()
        since = self._refused_since.setdefault((error.action, error.kind), now)
        if now - since >= RETRY_WINDOWS.get(error.kind, 0.0):
            cause, fields = cause_of(error)
            raise self._failure(cause, **fields) from error

    # Telling

    def _attributes(self, description: StreamDescription, same: KeyMatch) -> dict[str, str]:
        key_id = description.key_id or ""
        if same is KeyMatch.UNKNOWN:
            self.log.warning("which key the alias means is unknown; Kinesis has accepted it")
        attributes = {
            "StreamName": self.stream.name,
            "StreamArn": self.stream.arn,
            "EncryptionType": description.encryption_type,
            "KeyId": key_id,
            "KeyArn": key_id,
        }
        # All is done: what only tells of it must not fail it.
        with suppress(DeadlinePassed):
            attributes["KeyArn"] = self.key.arn(key_id)
        return attributes

    def _failure(self, cause: FailureCode, **fields: object) -> Failure:
        place = Place.of(self.stream.arn)
        known = {
            "stream": self.stream.arn,
            "key": self.key.id,
            "region": place.region,
            "account": place.account,
            "found": self._description or "not looked at yet",
        }
        return Failure(cause, **{**known, **fields})
