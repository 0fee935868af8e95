"""What is done about a stream: decided from what it is found to be, not from the request alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import Any, NamedTuple

from stream_encryption import cloudformation, kinesis
from stream_encryption.arn import AWS_OWNED_ALIAS, is_alias, key_arn
from stream_encryption.aws_error import AwsError, Kind
from stream_encryption.cloudformation import StackResource
from stream_encryption.failure import Cause, Failure
from stream_encryption.kinesis import Found, Stream
from stream_encryption.kms import Keys
from stream_encryption.log import Log
from stream_encryption.patience import Patience
from stream_encryption.physical_id import PhysicalId
from stream_encryption.progress import Progress
from stream_encryption.refusal import refusal
from stream_encryption.request import Request
from stream_encryption.waiting import DeadlinePassed, Wait
from stream_encryption.wanted_key import WantedKey

SETTLING = 5.0
"""Seconds after ACTIVE until all records written are encrypted.

Source: Kinesis API reference, StartStreamEncryption.
"""

GRACE = 10.0
"""Seconds for which Kinesis may still describe a stream as it was before our call."""

DENIAL_PATIENCE = 60.0
"""Seconds for which a denial may be a policy that has not propagated yet."""

LIMIT_PATIENCE = 30.0
"""Seconds after which a LimitExceededException that doesn't name its limit is no throttling."""

FRESH = 3.0
"""Age in seconds below which no other delivery of a request can have been answered for a change."""

STACK_VALIDITY = 2.0
"""Seconds for which a look at the stack need not be repeated."""


class Step(Enum):
    """What to do next about a stream."""

    DONE = auto()
    CHANGE = auto()
    WAIT = auto()
    DOUBT = auto()
    """Not as wanted although our change was accepted: described too early, or changed by others."""


def next_step(found: Found, *, as_wanted: bool, accepted: bool) -> Step:
    """Decide what to do about a stream that exists and is not being deleted.

    Parameters
    ----------
    found
        The stream as described.
    as_wanted
        Whether its encryption is the wanted one; counts only once the stream is ACTIVE.
    accepted
        Whether Kinesis has accepted our change.
    """
    if found.status != "ACTIVE":
        return Step.WAIT
    if as_wanted:
        return Step.DONE
    return Step.DOUBT if accepted else Step.CHANGE


class Outcome(NamedTuple):
    """A request that was carried out.

    Parameters
    ----------
    physical_id
        Id to answer with.
    attributes
        What ``Fn::GetAtt`` gives.
    """

    physical_id: str
    attributes: dict[str, str]


class Unfinished(Exception):
    """The invocation ends before the wait does."""


def initial_physical_id(request: Request) -> str:
    """Id of the resource before anything is done: the held one, which a failure leaves in place."""
    return request.physical_id or request.stream_arn


def undoes(event: Mapping[str, Any]) -> bool:
    """Tell whether a Delete has anything to undo, however malformed its properties are."""
    properties = event.get("ResourceProperties")
    wanted = isinstance(properties, Mapping) and properties.get("OnDelete") == "Restore"
    return wanted and PhysicalId.parse(event["PhysicalResourceId"]).found_plaintext is not None


class Lifecycle:
    """Carries out one request.

    Parameters
    ----------
    request
        What is wanted.
    stream, keys, stack_resource
        The AWS side.
    wait
        The wait, whose deadline is the earlier one of the request's and the invocation's.
    progress
        Where an earlier invocation has left off, or a new beginning.
    may_go_on
        Whether this invocation leaves the rest to another one when it ends.
    log
        Takes a line for each look and decision.
    """

    def __init__(
        self,
        request: Request,
        *,
        stream: Stream,
        keys: Keys,
        stack_resource: StackResource,
        wait: Wait,
        progress: Progress,
        may_go_on: bool,
        log: Log,
    ) -> None:
        self._request = request
        self._stream = stream
        self._stack_resource = stack_resource
        self._wait = wait
        self._clock = wait.clock
        self.progress = progress
        self._may_go_on = may_go_on
        self._log = log
        self._patience = Patience(wait, progress, log)
        self._key = WantedKey(
            request, keys=keys, patience=self._patience, clock=wait.clock, log=log
        )
        self._found: Found | None = None
        self._stack_checked = float("-inf")
        self._change_expected = False

    def encrypt(self) -> Outcome:
        """Carry out a Create or Update: ACTIVE, encrypted with the wanted key, and settled.

        Raises
        ------
        Failure
            When it cannot be done, or not in time.
        Unfinished
            When another invocation has to go on with it.
        """
        return self._in_time(self._encrypt, Cause.TIMED_OUT)

    def restore(self) -> Outcome:
        """Carry out a Delete: back to plaintext, if it was this resource that ended plaintext.

        Raises
        ------
        Failure
            When it cannot be done, or not in time.
        Unfinished
            When another invocation has to go on with it.
        """
        return self._in_time(self._restore, Cause.NOT_RESTORED)

    def _encrypt(self) -> Outcome:
        if self._expects_change():
            self._key.check()
        while True:
            found = self._existing(self._look())
            as_wanted = found.status == "ACTIVE" and self._key.encrypts(found)
            step = self._next_step(found, as_wanted=as_wanted)
            if step is Step.DONE:
                if self._settled(found):
                    self._identify(self._changed_by_us(found))
                    return Outcome(self.progress.physical_id, self._attributes(found))
                continue
            if step is Step.WAIT:
                self.progress.seen_changing = True
            elif step is Step.DOUBT:
                if self._doubted_for(GRACE):
                    raise self._failure(Cause.CHANGED_BY_OTHERS)
            elif not self._may_still_show():
                if self._checks_are_due():
                    continue
                self._start(found)
            self._wait.pause()

    def _restore(self) -> Outcome:
        request = self._request
        outcome = Outcome(request.physical_id, attributes={})
        held = PhysicalId.parse(request.physical_id)
        while True:
            found = self._look()
            if found is None or found.status == "DELETING":
                self._log.info("nothing left to restore", found=found)
                return outcome
            plaintext = found.status == "ACTIVE" and found.key_id is None
            step = self._next_step(found, as_wanted=plaintext)
            if step is Step.DONE:
                return outcome
            if step is Step.CHANGE:
                if found.created != held.found_plaintext or not self._key.encrypts(found):
                    self._log.info("left what somebody else has changed since", found=found)
                    return outcome
                if not self._may_still_show():
                    if self._checks_are_due():
                        continue
                    self._stop(found)
            elif step is Step.DOUBT and self._doubted_for(GRACE):
                self._log.info("left what somebody else has changed since", found=found)
                return outcome
            self._wait.pause()

    def _in_time(self, job: Callable[[], Outcome], too_late: Cause) -> Outcome:
        request = self._request
        if self._clock.now() >= request.expiry:
            raise self._failure(Cause.EXPIRED, age=self._age())
        try:
            return job()
        except DeadlinePassed:
            if self._may_go_on:
                raise Unfinished from None
            found = f"{self._found or 'nothing'}"
            if self._patience.trouble:
                found += f", then {self._patience.trouble}"
            raise self._failure(too_late, seconds=self._age(), found=found) from None

    def _next_step(self, found: Found, *, as_wanted: bool) -> Step:
        step = next_step(found, as_wanted=as_wanted, accepted=self.progress.accepted)
        self._log.info("looked at the stream", found=found, step=step)
        self.progress.look_due = self._wait.next_look() if step is Step.WAIT else 0.0
        return step

    def _existing(self, found: Found | None) -> Found:
        if found is None and self.progress.accepted:
            raise self._failure(Cause.STREAM_GONE)
        if found is None:
            raise self._failure(Cause.STREAM_NOT_FOUND)
        if found.status == "DELETING":
            raise self._failure(Cause.STREAM_DELETING)
        return found

    def _settled(self, found: Found) -> bool:
        """Wait until all records are encrypted; False when the stream has changed meanwhile.

        That takes time only after a change: this invocation's, or that of another delivery of the
        same request, which only a young request cannot have had.
        """
        if not (self.progress.seen_changing or self.progress.accepted) and self._age() < FRESH:
            return True
        self._log.info("settling", seconds=SETTLING)
        self._clock.sleep(SETTLING)
        return self._existing(self._look()) == found

    def _may_still_show(self) -> bool:
        """Tell whether a change that got no answer may have been made and not be described yet."""
        asked = self.progress.unanswered_since
        return asked is not None and self._clock.now() - asked < GRACE

    def _doubted_for(self, seconds: float) -> bool:
        progress = self.progress
        if progress.doubted_since is None:
            progress.doubted_since = self._clock.now()
        return self._clock.now() - progress.doubted_since >= seconds

    # Changing

    def _expects_change(self) -> bool:
        request, progress = self._request, self.progress
        under_way = progress.accepted or progress.seen_changing
        return request.aims_anew and request.key_id != AWS_OWNED_ALIAS and not under_way

    # A change must follow what is true now. So key and stack are looked at before the stream, and
    # nothing comes between the look at the stream and the change.

    def _checks_are_due(self) -> bool:
        """Tell whether more is to be looked at before the change that the stream needs.

        Raises
        ------
        DeadlinePassed
            When it is too late for a change.
        Failure
            When the key is unfit for it.
        """
        if self._clock.now() >= self._request.deadline:
            raise DeadlinePassed
        self._change_expected = True
        if self._key.is_due or self._stack_is_due():
            return True
        if self._key.defect:
            cause, fields = self._key.defect
            raise self._failure(cause, **fields)
        return False

    def _stack_is_due(self) -> bool:
        return self._age() >= FRESH and self._clock.now() - self._stack_checked > STACK_VALIDITY

    def _check_stack(self) -> None:
        """Make sure that the request has not been answered and overtaken.

        Raises
        ------
        Failure
            When it has.
        """
        request = self._request
        try:
            moved_on = self._patience.call(
                cloudformation.LOOK,
                lambda: self._stack_resource.moved_on(
                    request.type, request.physical_id, request.issued
                ),
                0,
            )
        except AwsError as error:
            self._log.warning("the stack could not be looked at", error=error)
            self._stack_checked = float("inf")
            return
        self._stack_checked = self._clock.now()
        if moved_on:
            raise self._failure(Cause.SUPERSEDED, detail=moved_on)

    def _start(self, found: Found) -> None:
        request = self._request
        accepted = self._accepted(lambda: self._stream.start_encryption(request.key_id))
        if accepted:
            self._log.info("started encryption", found=found)
        if accepted or self._may_still_show():
            self.progress.plaintext_until = found.created if found.key_id is None else None
            self._identify(changed=True)

    def _changed_by_us(self, found: Found) -> bool:
        """Tell whether it was this request's change that made the stream as it is now.

        A change that got no answer has had its effect if the key is there as it was spelt: Kinesis
        shows it in the form that it was given.
        """
        progress = self.progress
        unanswered = progress.unanswered_since is not None
        return progress.accepted or (unanswered and found.key_id == self._request.key_id)

    def _identify(self, changed: bool) -> None:
        """Give the resource the id of its stream, which it keeps through its updates."""
        request, progress = self._request, self.progress
        stream = request.stream_arn
        if request.type != "Create" and PhysicalId.parse(request.physical_id).stream == stream:
            return
        plaintext = progress.plaintext_until if changed else None
        progress.physical_id = str(PhysicalId(stream, plaintext))

    def _stop(self, found: Found) -> None:
        if self._accepted(lambda: self._stream.stop_encryption(found.key_id or "")):
            self._log.info("stopped encryption", found=found)

    def _accepted(self, change: Callable[[], None]) -> bool:
        """Ask for a change once; False when it may be asked for again after another look.

        A call that got no answer may have been carried out all the same, so it is not repeated
        before that must have shown.
        """
        try:
            change()
        except AwsError as error:
            self._log.warning("the change was not accepted", error=error)
            if error.kind in {Kind.THROTTLED, Kind.UNANSWERED, Kind.IN_USE, Kind.NOT_FOUND}:
                # A change may be under way all the same: this one, or that of another delivery.
                self.progress.seen_changing = True
                if error.kind is Kind.UNANSWERED:
                    self.progress.unanswered_since = self._clock.now()
                self._patience.slow_down(error, in_line=False)
            elif not self._patience.bears(error, _PATIENCE.get(error.kind, 0)):
                raise self._refused(error) from error
            return False
        self.progress.accepted = True
        self._change_expected = False
        self._wait.restart()
        self.progress.since = self._wait.since
        return True

    # Calling

    def _look(self) -> Found | None:
        try:
            self._found = self._patience.call(kinesis.LOOK, self._look_once, DENIAL_PATIENCE)
        except AwsError as error:
            raise self._refused(error) from error
        self._change_expected = False
        return self._found

    def _look_once(self) -> Found | None:
        if self._change_expected:
            if self._key.is_due:
                self._key.check()
            if self._stack_is_due():
                self._check_stack()
        # Throttling can put minutes between this try and the next.
        self._change_expected = self._change_expected or self._expects_change()
        return self._stream.look()

    # Telling

    def _age(self) -> int:
        return int(self._clock.now() - self._request.issued)

    def _failure(self, cause: Cause, **fields: object) -> Failure:
        request = self._request
        known = {
            "stream": request.stream_arn,
            "key": request.key_id,
            "region": request.place.region,
            "account": request.place.account,
            "found": self._found or "not looked at yet",
        }
        return Failure(cause, **{**known, **fields})

    def _refused(self, error: AwsError) -> Failure:
        cause, fields = refusal(error, self._clock.now())
        return self._failure(cause, **fields)

    def _attributes(self, found: Found) -> dict[str, str]:
        request = self._request
        spelling = found.key_id or request.key_id
        arn = key_arn(spelling, request.place)
        if is_alias(arn):
            # All is done: what only tells of it must not fail it.
            with suppress(DeadlinePassed):
                key = self._key.resolve(arn)
                arn = key.arn if key else arn
        return {
            "StreamName": request.stream_name,
            "StreamArn": request.stream_arn,
            "StreamStatus": found.status,
            "EncryptionType": found.encryption_type,
            "KeyId": spelling,
            "KeyArn": arn,
            "Changed": "true" if self._changed_by_us(found) else "false",
        }


_PATIENCE = {Kind.DENIED: DENIAL_PATIENCE, Kind.LIMIT: LIMIT_PATIENCE}
