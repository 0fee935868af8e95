"""crhelper as this resource needs it.

crhelper runs the protocol: one function a request type, the timer before Lambda's deadline, and
polling through an EventBridge rule. What is changed here, with crhelper 2.0.12:

- no clients at import, no debug log (it shows the presigned URL), no two minutes' sleep on Delete;
- polling only when a wait outlasts its invocation, with one rule a request, by a name that the
  function's role can be limited to, and a permission that is part of the stack;
- an answer that has timeouts, a checked status and retries that end, is sent once, and always has
  a physical id that is the same however often the request is delivered.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from stream_encryption.answer import Undelivered, answer_pace, compose, deliver
from stream_encryption.aws_error import AwsError
from stream_encryption.failure import Cause, Failure
from stream_encryption.light_crhelper import FAILED, SUCCESS, CfnResource, no_clients
from stream_encryption.log import Log
from stream_encryption.progress import Progress
from stream_encryption.request import check_envelope, expiry, issued
from stream_encryption.rule import Rule
from stream_encryption.runtime import Runtime, Timer
from stream_encryption.waiting import DeadlinePassed, Wait

RULE_PREFIX = "POLLING_RULE_PREFIX"
"""Environment variable with the prefix of this function's rules; absent when it has no right to
make any."""

ALARM = 3.0
"""Seconds before the end at which a hanging invocation is answered for.

The end is Lambda's deadline, or CloudFormation's if that is earlier.
"""

LONGEST_CALL = 8.0
"""Seconds after which a call has come back, by the timeouts of the clients."""

REMOVAL = 30.0
"""Seconds for which removing a rule is tried."""

QUICK_REMOVAL = 3.0
"""The same when the answer is yet to come."""

RETRY = 45.0
"""Age in seconds from which a request may have been tried by an invocation that crashed.

Lambda tries again after a minute.
"""

LAST_MOMENT = 1.0
"""Seconds before the end at which delivering an answer is given up."""

Job = Callable[[dict[str, Any], Any], str | None]


class NotHandedOver(Exception):
    """No other invocation may come to go on with the wait, so this one has to be repeated."""


class CustomResource(CfnResource):
    """The custom resource protocol.

    The jobs set `progress` as soon as they know of any, and `attributes` when they succeed.

    Parameters
    ----------
    runtime
        The world outside.
    change
        Carries out Create and Update, and goes on with them.
    remove
        Carries out Delete, and goes on with it.
    """

    # crhelper's own, absent from its type stubs.
    _context: Any
    _event: dict[str, Any]
    _sam_local: str | None
    _timer: Timer | None

    log: Log
    progress: Progress | None
    attributes: dict[str, str]

    def __init__(self, runtime: Runtime, *, change: Job, remove: Job) -> None:
        with no_clients():
            super().__init__(log_level="CRITICAL", boto_level="CRITICAL", sleep_on_delete=0)
        self._sam_local = None
        self._runtime = runtime
        # Reentrant, as the alarm may go off in the thread that is answering.
        self._answering = threading.RLock()
        for register in (self.create, self.update, self.poll_create, self.poll_update):
            register(change)
        for register in (self.delete, self.poll_delete):
            register(remove)

    def __call__(self, event: dict[str, Any], context: Any) -> None:
        """Handle one event.

        Raises
        ------
        Undelivered, NotHandedOver
            When the answer did not reach CloudFormation, or what is left to do no other invocation,
            so that Lambda delivers the event again.
        Failure
            When the event is so malformed that it cannot be answered.
        """
        self.log = Log(self._runtime.clock, self._runtime.write)
        self.progress = None
        self.attributes = {}
        self._answered = False
        self._undelivered = False
        self._unfinished = False
        self._handed_over = True
        self._rule_left = False
        now = self._runtime.clock.now()
        self._lambda_ends = now + context.get_remaining_time_in_millis() / 1000
        self._ends = self._lambda_ends
        try:
            check_envelope(event)
        except Failure as failure:
            self._refuse(event, failure)
        else:
            self._ends = min(self._ends, expiry(event, now))
            self.log.add(request=event["RequestId"], type=event["RequestType"])
            super().__call__(event, context)
            if self._answered and not self._undelivered and self._may_have_rule(now):
                self._remove_rule(within=REMOVAL)
        if self._undelivered:
            raise Undelivered
        if not self._handed_over:
            raise NotHandedOver

    def _may_have_rule(self, now: float) -> bool:
        """Tell whether a rule may be left: by this invocation, or by one that crashed before it."""
        retried = now - issued(self._event, now) >= RETRY
        return self._rule_left or (self.can_poll and retried)

    # What the jobs use

    @property
    def can_poll(self) -> bool:
        """Whether the function may go on with a wait in another invocation."""
        return RULE_PREFIX in self._runtime.environ

    @staticmethod
    def is_poll(event: Mapping[str, Any]) -> bool:
        """Tell whether the event goes on with an earlier one."""
        return "CrHelperPoll" in event

    @staticmethod
    def carried(event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what an earlier invocation has handed over; None when this is the first."""
        progress: dict[str, Any] | None = event.get("CrHelperData", {}).get("Progress")
        return progress

    def go_on_later(self, event: dict[str, Any], progress: Progress) -> None:
        """Let another invocation go on from here."""
        self._unfinished = True
        # In a poll these are the event's own CrHelperData.
        self.Data["Progress"] = progress.to_dict()
        if self.is_poll(event):
            try:
                # Also when nothing has moved: an invocation that crashed may have taken the target
                # away, and without one no other would come.
                self._rule.aim(self._context.invoked_function_arn, event)
            except AwsError as error:
                # The next invocation then goes on from where this one began.
                self.log.warning("progress was not handed over", error=error)
                self._handed_over = False

    # What crhelper calls

    def _poll_enabled(self) -> bool:
        return self._unfinished or self.is_poll(self._event)

    def _set_timeout(self) -> None:
        now = self._runtime.clock.now()
        left = self._lambda_ends - now
        # However late it is, a call has a chance to come back.
        alarm = min(max(self._ends - now, LONGEST_CALL + ALARM), left) - ALARM
        self._timer = self._runtime.timer(max(alarm, 0), self._timeout)
        self._timer.start()

    def _timeout(self) -> None:
        failure = failure_of(self._event, Cause.UNEXPECTED, "a call hung until the end")
        self._send(FAILED, str(failure))

    def _send(self, status: str | None = None, reason: str = "") -> None:
        with self._answering:
            if self._answered:
                return
            self._answered = True
            status, reason = (status, reason) if status else (self.Status, self.Reason)
            data = self.attributes if status == SUCCESS else {}
            tell = self.log.info if status == SUCCESS else self.log.error
            tell("answering", status=status, reason=reason, data=data)
            self._answer(self._event, status, reason, data)

    def _refuse(self, event: Any, failure: Failure) -> None:
        """Answer an event that crhelper could not even read."""
        self.log.error("malformed event", reason=str(failure))
        known = event if isinstance(event, Mapping) else {}
        if not isinstance(known.get("ResponseURL"), str) or not known["ResponseURL"]:
            raise failure
        self._answer(known, FAILED, str(failure), {})

    def _answer(
        self, event: Mapping[str, Any], status: str, reason: str, data: dict[str, str]
    ) -> None:
        body = compose(
            event, status=status, reason=reason, physical_id=self._physical_id(event), data=data
        )
        clock = self._runtime.clock
        wait = Wait(clock, self._ends - LAST_MOMENT, answer_pace(self._runtime.uniform))
        try:
            deliver(self._runtime.put, event["ResponseURL"], body, wait, self.log)
        except Undelivered:
            self.log.error("the answer was not delivered in time")
            self._undelivered = True

    def _physical_id(self, event: Mapping[str, Any]) -> str:
        """Id to answer with: the same each time the event is delivered, and never empty."""
        if self.progress:
            return self.progress.physical_id
        made_up = f"{event.get('LogicalResourceId')}-{_digest(event.get('StackId'))}"
        return str(event.get("PhysicalResourceId") or made_up)

    # crhelper's polling

    @property
    def _rule(self) -> Rule:
        name = f"{self._runtime.environ[RULE_PREFIX]}-{_digest(self._event['RequestId'])}"
        return Rule(self._runtime.client("events"), name)

    def _setup_polling(self) -> None:
        self._event["CrHelperData"] = self.Data
        self._event["CrHelperPoll"] = True
        try:
            self._rule.make(self._context.invoked_function_arn, self._event)
        except AwsError as error:
            # At once, as the answer may come to nothing; and again after it, if need be.
            self._rule_left = True
            self._remove_rule(within=QUICK_REMOVAL)
            raise failure_of(self._event, Cause.POLLING_FAILED, str(error)) from error

    def _remove_polling(self) -> None:
        # Only once the answer is delivered: until then the rule is what brings another try.
        self._rule_left = True

    def _remove_rule(self, within: float) -> None:
        now = self._runtime.clock.now()
        pace = answer_pace(self._runtime.uniform)
        wait = Wait(self._runtime.clock, min(now + within, self._lambda_ends - LAST_MOMENT), pace)
        try:
            self._rule.remove(wait)
        except (AwsError, DeadlinePassed) as error:
            self.log.warning("the rule was not removed", rule=self._rule.name, error=repr(error))
        else:
            self._rule_left = False


def failure_of(event: Mapping[str, Any], cause: Cause, detail: str) -> Failure:
    """Make a failure for an event that may not have been parsed."""
    properties = event.get("ResourceProperties")
    named = properties if isinstance(properties, Mapping) else {}
    stream = named.get("StreamArn", named.get("StreamName"))
    return Failure(cause, stream=stream, key=named.get("KeyId"), detail=detail)


def _digest(value: object) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()[:16]
