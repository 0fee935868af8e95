"""One event's way through crhelper: what is done for it, the alarm, one answer.

crhelper calls a function for the request's type, makes an answer of what that returns or raises,
and keeps the timer before the end. What is changed here, with crhelper 2.0.12: no clients of its
own, no debug log (it shows the presigned URL), no two minutes' sleep on Delete; a wait that
outlasts its invocation goes on by one asynchronous invocation instead of EventBridge rules; the
answer has timeouts, a checked status, retries that end, and always a physical id.
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
"""Seconds before the end of an invocation from which its wait is handed over."""

RESPONSE_RESERVE = 10.0
"""Seconds of an invocation that are kept for delivering the answer."""

TIMEOUT_GUARD = 3.0
"""Seconds before the end at which a hanging invocation is answered for."""

MAX_CALL_DURATION = 8.0
"""Seconds after which a call has come back, by the timeouts of the clients."""

SEND_MARGIN = 1.0
"""Seconds before the end at which delivering an answer is given up."""

REDELIVERY_AGE = 45.0
"""Age in seconds from which a request may have been tried before: Lambda tries again after a
minute."""


MakeJob = Callable[[Request, Progress, Wait, Log], EncryptionJob]
"""Makes the job of a Create or Update, not begun."""


class CustomResource(CfnResource):
    """The way of one event."""

    # crhelper's own, absent from its type stubs.
    _context: Any
    _timer: Any

    def __init__(self, runtime: Runtime, make_job: MakeJob) -> None:
        with _without_clients():
            super().__init__(log_level="CRITICAL", boto_level="CRITICAL", sleep_on_delete=0)
        self._runtime = runtime
        self._make_job = make_job
        self._log = Log(runtime.clock, runtime.write)
        # Reentrant, as the alarm may go off in the thread that is answering.
        self._answering = runtime.lock()
        self._answered = self._goes_on = False
        self._undelivered: Exception | None = None
        self._attributes: dict[str, str] = {}
        self.create(self._change)
        self.update(self._change)
        self.delete(self._leave)

    def __call__(self, event: Any, context: Any) -> None:
        """Handle the event and answer it, unless another invocation goes on with it.

        Raises
        ------
        Exception
            Whatever kept the answer from CloudFormation, so that Lambda delivers the event again.
        """
        self._event = event if isinstance(event, dict) else {}
        now = self._runtime.clock.now()
        self._lambda_ends = self._ends = now + context.get_remaining_time_in_millis() / 1000
        try:
            check_envelope(event)
        except Failure as failure:
            if not isinstance(self._event.get("ResponseURL"), str):
                raise
            self._send(FAILED, str(failure))
        else:
            self._told = read(event)
            self._issued = self._told.issued if self._told else issue_time(event, now)
            self._expiry = self._issued + timeout_of(event)
            self._ends = min(self._ends, self._expiry)
            self._log.add(request=event["RequestId"], type=event["RequestType"])
            super().__call__(event, context)
        if self._undelivered:
            raise self._undelivered

    # What is done

    def _leave(self, event: dict[str, Any], _context: Any) -> str:
        """Do nothing on Delete: the stream stays encrypted, whatever the id and the properties."""
        return self._physical_id(event)

    def _change(self, event: dict[str, Any], context: Any) -> str:
        self.PhysicalResourceId = self._physical_id(event)
        try:
            return self._carry_out(event, context)
        except Failure:
            raise
        except Exception as error:
            self._log.error("unexpected error", traceback=traceback.format_exc())
            detail = f"{type(error).__name__}: {error}"
            raise _failure(event, FailureCode.UNEXPECTED, detail=detail) from error

    def _carry_out(self, event: dict[str, Any], context: Any) -> str:
        clock, told = self._runtime.clock, self._told
        request = parse(event, Place.of(context.invoked_function_arn), self._issued)
        if request.type == "Create":
            self.PhysicalResourceId = request.stream_arn
        self._log.add(stream=request.stream_arn, key=request.key_id)
        now = clock.now()
        age = int(now - self._issued)
        if now >= self._expiry:
            raise _failure(event, FailureCode.EXPIRED, age=age)
        progress = (
            told.progress if told else Progress(now, propagation_pending=age >= REDELIVERY_AGE)
        )
        hops = told.number if told else 0
        until = self._lambda_ends - RESPONSE_RESERVE - PROPAGATION_WAIT - 1
        may_go_on = until < request.deadline and hops < MAX_CONTINUATIONS
        if may_go_on:
            until = max(self._lambda_ends - CONTINUATION_RESERVE, (now + until) / 2)
        wait = Wait(clock, min(until, request.deadline), progress.since)
        job = self._make_job(request, progress, wait, self._log)
        try:
            self._attributes = job.run()
        except DeadlinePassed:
            if not may_go_on:
                raise job.timed_out() from None
            self._go_on_later(event, Continuation(hops + 1, self._issued, progress))
            return self._physical_id(event)
        return request.stream_arn

    def _go_on_later(self, event: dict[str, Any], told: Continuation) -> None:
        runtime = self._runtime
        error = continue_later(
            lambda: runtime.client("lambda"),
            self._context.invoked_function_arn,
            event,
            told,
            wait=Wait(runtime.clock, self._lambda_ends - RESPONSE_RESERVE - MAX_CALL_DURATION),
            backoff=Backoff(runtime.uniform),
            log=self._log,
        )
        if error:
            remedy = denial_remedy(error)
            raise _failure(event, FailureCode.CONTINUATION_FAILED, detail=error, remedy=remedy)
        self._goes_on = True

    # What crhelper calls

    def _set_timeout(self) -> None:
        now, least = self._runtime.clock.now(), MAX_CALL_DURATION + TIMEOUT_GUARD
        # However late it is, a call has a chance to come back.
        ends = min(max(self._ends, now + least), self._lambda_ends)
        self._timer = self._runtime.timer(max(ends - TIMEOUT_GUARD - now, 0), self._timeout)
        self._timer.start()

    def _timeout(self) -> None:
        detail = "the end came first: a call was slow or hung, or the request was late"
        self._send(FAILED, str(_failure(self._event, FailureCode.UNEXPECTED, detail=detail)))

    def _cfn_response(self, _event: dict[str, Any]) -> None:
        if not self._goes_on:
            self._send()

    def _send(self, status: str | None = None, reason: str = "") -> None:
        with self._answering:
            if self._answered:
                return
            self._answered = True
            try:
                self._answer(*((status, reason) if status else (self.Status, self.Reason)))
            except Exception as error:  # noqa: BLE001 - raised at the end, past crhelper
                self._undelivered = error

    def _answer(self, status: str, reason: str) -> None:
        event, runtime = self._event, self._runtime
        data = self._attributes if status == SUCCESS else {}
        tell = self._log.info if status == SUCCESS else self._log.error
        tell("answering", status=status, reason=reason, data=data)
        body = compose(
            event,
            status=status,
            reason=reason,
            physical_id=self.PhysicalResourceId or self._physical_id(event),
            data=data,
        )
        wait = Wait(runtime.clock, self._ends - SEND_MARGIN)
        backoff = Backoff(runtime.uniform, cap=20.0)
        url = event["ResponseURL"]
        send(runtime.put, url, body, wait=wait, backoff=backoff, log=self._log)

    @staticmethod
    def _physical_id(event: Mapping[str, Any]) -> str:
        """Id that CloudFormation holds, or one that is the same however often it asks."""
        made_up = f"{event.get('LogicalResourceId')}-{event.get('RequestId')}"
        return str(event.get("PhysicalResourceId") or made_up)


def _failure(event: Mapping[str, Any], cause: FailureCode, **fields: object) -> Failure:
    """Make a failure for an event that may not have been parsed."""
    properties = event.get("ResourceProperties")
    named = properties if isinstance(properties, Mapping) else {}
    stream = named.get("StreamArn", named.get("StreamName"))
    return Failure(cause, stream=stream, key=named.get("KeyId"), **fields)


@contextmanager
def _without_clients() -> Iterator[None]:
    """Let crhelper make no clients in the block: it believes to run in SAM, on a laptop."""
    before = os.environ.get("AWS_SAM_LOCAL")
    os.environ["AWS_SAM_LOCAL"] = "true"
    try:
        yield
    finally:
        del os.environ["AWS_SAM_LOCAL"]
        if before is not None:
            os.environ["AWS_SAM_LOCAL"] = before
