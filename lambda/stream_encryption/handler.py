"""Entry point of the Lambda function."""

from __future__ import annotations

import traceback
from typing import Any

from stream_encryption.arn import Place
from stream_encryption.cloudformation import StackResource
from stream_encryption.custom_resource import CustomResource, failure_of
from stream_encryption.failure import Cause, Failure
from stream_encryption.kinesis import Stream
from stream_encryption.kms import Keys
from stream_encryption.lifecycle import (
    SETTLING,
    Lifecycle,
    Outcome,
    Unfinished,
    initial_physical_id,
    undoes,
)
from stream_encryption.progress import Progress
from stream_encryption.request import Request, parse
from stream_encryption.runtime import Runtime
from stream_encryption.waiting import Pace, Room, Wait

ANSWER_RESERVE = 10.0
"""Seconds of an invocation that are kept for delivering the answer."""

POLL = 60.0
"""Seconds between the invocations that go on with a wait: the least that EventBridge has."""

NEXT_POLLS = 2 * POLL + 15
"""Seconds within which two more invocations come; the first of them may be lost."""

STREAMS = "STREAMS"
"""Environment variable: how many streams the function's provider serves."""

_UNCOUNTED = "20"
"""How many are assumed where nobody has counted them."""


class Handler:
    """Handles custom resource events.

    Parameters
    ----------
    runtime
        The world outside.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._resource = CustomResource(runtime, change=self._change, remove=self._remove)

    def __call__(self, event: dict[str, Any], context: Any) -> None:
        """Handle one event and answer it, unless another invocation has to go on with it."""
        self._resource(event, context)

    def _change(self, event: dict[str, Any], context: Any) -> str | None:
        return self._carry_out(event, context)

    def _remove(self, event: dict[str, Any], context: Any) -> str | None:
        if not undoes(event):
            self._resource.log.info("retained", physical_id=event["PhysicalResourceId"])
            return str(event["PhysicalResourceId"])
        return self._carry_out(event, context)

    def _carry_out(self, event: dict[str, Any], context: Any) -> str | None:
        resource = self._resource
        now = self._runtime.clock.now()
        try:
            request = parse(event, Place.of(context.invoked_function_arn), now)
            resource.log.add(stream=request.stream_arn, key=request.key_id)
            carried = resource.carried(event)
            progress = (
                Progress(**carried) if carried else Progress(now, initial_physical_id(request))
            )
            resource.progress = progress
            try:
                outcome = self._run(request, progress, event, context)
            except Unfinished:
                resource.go_on_later(event, progress)
                return None if resource.is_poll(event) else progress.physical_id
        except Failure:
            raise
        except Exception as error:
            resource.log.error("unexpected error", traceback=traceback.format_exc())
            detail = f"{type(error).__name__}: {error}"
            raise failure_of(event, Cause.UNEXPECTED, detail) from error
        resource.attributes = outcome.attributes
        return outcome.physical_id

    def _run(
        self, request: Request, progress: Progress, event: dict[str, Any], context: Any
    ) -> Outcome:
        runtime, resource = self._runtime, self._resource
        now = runtime.clock.now()
        ends = now + context.get_remaining_time_in_millis() / 1000 - ANSWER_RESERVE - SETTLING - 1
        handed_over_by = request.expiry - NEXT_POLLS
        if resource.is_poll(event):
            # One look is dense enough for a wait of many minutes; no two invocations overlap.
            may_go_on, until = now < handed_over_by, now
        else:
            may_go_on, until = ends < handed_over_by, ends
        may_go_on = may_go_on and resource.can_poll
        if may_go_on and now + POLL / 2 < progress.look_due:
            raise Unfinished
        lifecycle = Lifecycle(
            request,
            stream=Stream(runtime.client("kinesis"), request.stream_arn),
            keys=Keys(lambda: runtime.client("kms"), request.place),
            stack_resource=StackResource(
                lambda: runtime.client("cloudformation"), request.stack_id, request.logical_id
            ),
            wait=Wait(
                runtime.clock,
                until if may_go_on else min(ends, request.deadline),
                Pace(uniform=runtime.uniform, room=Room(self._streams)),
                progress.since,
            ),
            progress=progress,
            may_go_on=may_go_on,
            log=resource.log,
        )
        return lifecycle.restore() if request.type == "Delete" else lifecycle.encrypt()

    @property
    def _streams(self) -> int:
        return int(self._runtime.environ.get(STREAMS, _UNCOUNTED))


on_event = Handler(Runtime())
