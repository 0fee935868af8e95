"""One custom resource request, handled by crhelper: action, timeout guard, one response.

crhelper calls a function by request type, builds a response from its result or exception, and runs
a timer before the end. This module changes crhelper 2.0.12 as follows: no clients, no debug log (it
contains the presigned URL), no sleep of two minutes on Delete. A wait that exceeds one invocation
continues in a new one, without EventBridge rules. The response has timeouts, a verified status,
retries that end, and always a physical ID.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from crhelper import FAILED, SUCCESS, CfnResource

from stream_encryption.aws.arn import Place
from stream_encryption.encryption.failure import Failure, FailureCode, denial_remedy
from stream_encryption.encryption.job import PROPAGATION_WAIT, EncryptionJob
from stream_encryption.encryption.progress import Progress
from stream_encryption.log import Log
from stream_encryption.protocol.continuation import Continuation, continue_later, read
from stream_encryption.protocol.request import (
    Request,
    can_respond,
    check_envelope,
    issue_time,
    parse,
    timeout_of,
)
from stream_encryption.protocol.response import compose, send
from stream_encryption.runtime import Runtime
from stream_encryption.waiting import Backoff, DeadlinePassed, Wait

MAX_CONTINUATIONS = 4
"""Lambda stops a function that invokes itself some sixteen times in a row."""

CONTINUATION_RESERVE = 60.0
"""Seconds before the end of an invocation at which a longer wait continues in a new one."""

RESPONSE_RESERVE = 10.0
"""Seconds of an invocation that are reserved for sending the response."""

TIMEOUT_GUARD = 3.0
"""Seconds before the end at which the timeout guard responds for a hanging invocation."""

MAX_CALL_DURATION = 8.0
"""Seconds after which a call has returned, by the timeouts of the clients."""

SEND_MARGIN = 1.0
"""Seconds before the end at which sending the response stops."""

REDELIVERY_AGE = 45.0
"""Age in seconds from which a request may have been handled before: Lambda retries after a
minute."""


MakeJob = Callable[[Request, Progress, Wait, Log], EncryptionJob]
"""Creates the job of a Create or Update."""


class CustomResource(CfnResource):
    """One request."""

    # Defined by crhelper, but missing in its type stubs.
    _context: Any
    _timer: Any

    def __init__(self, runtime: Runtime, make_job: MakeJob) -> None:
        with _without_clients():
            super().__init__(log_level="CRITICAL", boto_level="CRITICAL", sleep_on_delete=0)
        self._runtime = runtime
        self._make_job = make_job
        self._log = Log(runtime.clock, runtime.write)
        # Reentrant, because the timeout guard may run in the thread that sends the response.
        self._responding = runtime.lock()
        self._responded = self._continues = False
        self._undelivered: Exception | None = None
        self._attributes: dict[str, str] = {}
        self.create(self._change)
        self.update(self._change)
        self.delete(self._retain)

    def __call__(self, event: Any, context: Any) -> None:
        """Handle the event and send the response, unless a new invocation continues.

        Raises
        ------
        Exception
            Any error that prevented the response, so that Lambda delivers the event again.
        """
        self._event = event if isinstance(event, dict) else {}
        now = self._runtime.clock.now()
        self._lambda_ends = self._ends = now + context.get_remaining_time_in_millis() / 1000
        try:
            check_envelope(event)
        except Failure as failure:
            if not can_respond(self._event):
                raise
            self._respond(FAILED, str(failure))
        else:
            self._continuation = read(event)
            self._issued = (
                self._continuation.issued if self._continuation else issue_time(event, now)
            )
            self._expiry = self._issued + timeout_of(event)
            self._ends = min(self._ends, self._expiry)
            self._log.add(request=event["RequestId"], type=event["RequestType"])
            super().__call__(event, context)
        if self._undelivered:
            raise self._undelivered

    # Actions

    def _retain(self, event: dict[str, Any], _context: Any) -> str:
        """Do nothing on Delete: the stream stays encrypted, with any ID and any properties."""
        return self._physical_id(event)

    def _change(self, event: dict[str, Any], context: Any) -> str:
        self.PhysicalResourceId = self._physical_id(event)
        try:
            return self._perform(event, context)
        except Failure:
            raise
        except Exception as error:
            self._log.error("unexpected error", traceback=traceback.format_exc())
            detail = f"{type(error).__name__}: {error}"
            raise _failure(event, FailureCode.UNEXPECTED, detail=detail) from error

    def _perform(self, event: dict[str, Any], context: Any) -> str:
        clock = self._runtime.clock
        request = parse(event, Place.of(context.invoked_function_arn), self._issued)
        if request.type == "Create":
            self.PhysicalResourceId = request.stream_arn
        self._log.add(stream=request.stream_arn, key=request.key_id)
        now = clock.now()
        age = int(now - self._issued)
        if now >= self._expiry:
            raise _failure(event, FailureCode.EXPIRED, age=age)
        first = Progress(now, propagation_pending=age >= REDELIVERY_AGE)
        number, _, progress = self._continuation or Continuation(0, self._issued, first)
        until = self._lambda_ends - RESPONSE_RESERVE - PROPAGATION_WAIT - 1
        may_continue = until < request.deadline and number < MAX_CONTINUATIONS
        if may_continue:
            until = max(self._lambda_ends - CONTINUATION_RESERVE, (now + until) / 2)
        wait = Wait(clock, min(until, request.deadline), progress.since)
        job = self._make_job(request, progress, wait, self._log)
        try:
            self._attributes = job.run()
        except DeadlinePassed:
            if not may_continue:
                raise job.timed_out() from None
            self._continue_later(event, Continuation(number + 1, self._issued, progress))
            return self._physical_id(event)
        return request.stream_arn

    def _continue_later(self, event: dict[str, Any], continuation: Continuation) -> None:
        runtime = self._runtime
        error = continue_later(
            lambda: runtime.client("lambda"),
            self._context.invoked_function_arn,
            event,
            continuation,
            wait=Wait(runtime.clock, self._lambda_ends - RESPONSE_RESERVE - MAX_CALL_DURATION),
            backoff=Backoff(runtime.uniform),
            log=self._log,
        )
        if error:
            remedy = denial_remedy(error)
            raise _failure(event, FailureCode.CONTINUATION_FAILED, detail=error, remedy=remedy)
        self._continues = True

    # Called by crhelper

    def _set_timeout(self) -> None:
        now, least = self._runtime.clock.now(), MAX_CALL_DURATION + TIMEOUT_GUARD
        # However late the request is, one call has the time to return.
        ends = min(max(self._ends, now + least), self._lambda_ends)
        self._timer = self._runtime.timer(max(ends - TIMEOUT_GUARD - now, 0), self._timeout)
        self._timer.start()

    def _timeout(self) -> None:
        detail = "time ran out: a call was slow or did not return, or the request was late"
        self._respond(FAILED, str(_failure(self._event, FailureCode.UNEXPECTED, detail=detail)))

    def _cfn_response(self, _event: dict[str, Any]) -> None:
        if not self._continues:
            self._respond()

    def _respond(self, status: str | None = None, reason: str = "") -> None:
        with self._responding:
            if self._responded:
                return
            self._responded = True
            try:
                self._send_once(*((status, reason) if status else (self.Status, self.Reason)))
            except Exception as error:  # noqa: BLE001 - crhelper would suppress it
                self._undelivered = error

    def _send_once(self, status: str, reason: str) -> None:
        event, runtime = self._event, self._runtime
        data = self._attributes if status == SUCCESS else {}
        log = self._log.info if status == SUCCESS else self._log.error
        log("sending the response", status=status, reason=reason, data=data)
        body = compose(
            event,
            status=status,
            reason=reason,
            physical_id=self.PhysicalResourceId or self._physical_id(event),
            data=data,
        )
        wait = Wait(runtime.clock, self._ends - SEND_MARGIN)
        backoff = Backoff(runtime.uniform, cap=20.0)
        send(runtime.put, event["ResponseURL"], body, wait=wait, backoff=backoff, log=self._log)

    @staticmethod
    def _physical_id(event: Mapping[str, Any]) -> str:
        """ID that CloudFormation has, or one that is the same for each delivery."""
        generated = f"{event.get('LogicalResourceId')}-{event.get('RequestId')}"
        return str(event.get("PhysicalResourceId") or generated)


def _failure(event: Mapping[str, Any], code: FailureCode, /, **fields: object) -> Failure:
    """Create a failure for an event that may not have been parsed."""
    properties = event.get("ResourceProperties")
    known = properties if isinstance(properties, Mapping) else {}
    stream = known.get("StreamArn", known.get("StreamName"))
    return Failure(code, stream=stream, key=known.get("KeyId"), **fields)


@contextmanager
def _without_clients() -> Iterator[None]:
    """Prevent crhelper from creating clients in this block, as if it ran in the SAM CLI."""
    before = os.environ.get("AWS_SAM_LOCAL")
    os.environ["AWS_SAM_LOCAL"] = "true"
    try:
        yield
    finally:
        del os.environ["AWS_SAM_LOCAL"]
        if before is not None:
            os.environ["AWS_SAM_LOCAL"] = before
