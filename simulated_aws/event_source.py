"""Simulated Lambda: the event source of a queue, and the guard's function that it invokes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.model import OperationModel

from simulated_aws.api import Call
from simulated_aws.client import Client, client_error
from simulated_aws.scheduler import Clock, Killed, Task
from simulated_aws.service import ACCOUNT, REGION, Params, ServiceError
from simulated_aws.sqs import QUEUE, Message, Sqs
from simulated_aws.stage import Stage
from stream_encryption.guard.settings import Settings
from stream_encryption.runtime import Runtime

TIMEOUT, VISIBILITY, CONCURRENCY, MOST_RECEIVES = 90.0, 120.0, 2, 100
MAX_CONTINUATIONS = 16
"""Invocations in a chain of messages, after which Lambda drops it."""

ATTEMPTS = 4
"""Of botocore's standard retries, as the guard sets them."""

VALIDATED = 5
"""Invocations of a schedule whose calls are held against the services' models: that takes time."""

MakeGuard = Callable[[Runtime, Settings], Callable[[dict[str, Any], Any], dict[str, Any]]]

_THROTTLING = {
    "kinesis": "LimitExceededException",
    "dynamodb": "ProvisionedThroughputExceededException",
    "sns": "Throttled",
}
_RETRIED = {
    "InternalFailure",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "Throttling",
    "ThrottlingException",
}


@dataclass(frozen=True)
class Window:
    """A time in which a service refuses."""

    service: str
    begins: float
    ends: float


@dataclass
class MessageInvocation:
    """One run of the guard's function, on one message."""

    number: int
    began: float
    message: Message
    settings: Settings
    calls: list[Call] = field(default_factory=list)
    task: Task | None = None
    ended: float | None = None
    crashed: bool = False


class QueueFunction:
    """Lambda, the queue's event source and the guard's function.

    ``settings`` returns the settings of the function at its start; ``serve`` is all services.
    """

    def __init__(
        self,
        stage: Stage,
        sqs: Sqs,
        *,
        settings: Callable[[], Settings],
        serve: Callable[[str, str, Params, MessageInvocation], dict[str, Any]],
        make: MakeGuard,
        windows: list[Window],
        latency: float,
        rng: Random,
        queue: str = QUEUE,
        timeout: float = TIMEOUT,
        visibility: float = VISIBILITY,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._queue, self._timeout = queue, timeout
        self._visibility, self._attempts = visibility, attempts
        self._stage, self._sqs, self._settings = stage, sqs, settings
        self._serve, self._make, self._windows = serve, make, windows
        self._latency, self._rng = latency, rng
        self._running = 0
        self._waiting: deque[Message] = deque()
        self.invocations: list[MessageInvocation] = []
        self.dropped: list[Message] = []
        self.exhausted: list[Message] = []
        self.log: list[str] = []
        sqs.watchers[queue] = self._watch

    # The event source

    def _watch(self, message: Message) -> None:
        when = message.visible
        self._stage.scheduler.at(when, partial(self._due, message, when))

    def _due(self, message: Message, when: float) -> None:
        if message.visible == when and message.id in self._sqs.queues[self._queue]:
            self._waiting.append(message)
            self._poll()

    def _poll(self) -> None:
        while self._waiting and self._running < CONCURRENCY:
            message = self._waiting.popleft()
            if message.id not in self._sqs.queues[self._queue]:
                continue
            if message.continuations >= MAX_CONTINUATIONS or message.receives >= MOST_RECEIVES:
                kept = (
                    self.dropped if message.continuations >= MAX_CONTINUATIONS else self.exhausted
                )
                kept.append(message)
                self._sqs.delete(message)
                continue
            self._begin(message)
            if self._stage.faults.hit("sqs: delivered twice"):
                soon = self._rng.uniform(0, 2)
                self._stage.scheduler.after(soon, partial(self._begin, message))

    def _begin(self, message: Message) -> None:
        scheduler = self._stage.scheduler
        record = self._sqs.receive(message, self._visibility)
        self._watch(message)
        invocation = MessageInvocation(
            len(self.invocations), scheduler.now, message, self._settings()
        )
        self.invocations.append(invocation)
        self._running += 1
        invocation.task = scheduler.spawn(partial(self._run, invocation, record))
        scheduler.after(self._timeout, partial(self._time_out, invocation))

    def _time_out(self, invocation: MessageInvocation) -> None:
        if invocation.ended is None and invocation.task:
            self._stage.faults.count("lambda: timed out")
            invocation.task.kill()

    def _run(self, invocation: MessageInvocation, record: dict[str, Any]) -> None:
        message = invocation.message
        try:
            runtime = Runtime(
                clock=Clock(self._stage.scheduler),
                client=lambda service: Client(
                    service, partial(self._call, invocation), validate=invocation.number < VALIDATED
                ),
                uniform=self._rng.uniform,
                write=self.log.append,
            )
            context = SimpleNamespace(
                invoked_function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:guard",
                function_name="guard",
            )
            response = self._make(runtime, invocation.settings)({"Records": [record]}, context)
            if response["batchItemFailures"]:
                return
            if not self._stage.faults.hit("sqs: not deleted"):
                self._sqs.delete(message)
        except Killed:
            invocation.crashed = True
            raise
        finally:
            invocation.ended = self._stage.scheduler.now
            self._running -= 1
            self._stage.scheduler.after(0, self._poll)

    # The calls

    def _call(
        self, invocation: MessageInvocation, service: str, model: OperationModel, params: Params
    ) -> dict[str, Any]:
        """Make a call, with botocore's retries."""
        for attempt in range(1, self._attempts + 1):
            try:
                return self._try(invocation, service, model.name, params)
            except (
                ClientError,
                ConnectionClosedError,
                EndpointConnectionError,
                ReadTimeoutError,
            ) as error:
                if attempt == self._attempts or not _is_retried(invocation.calls[-1]):
                    if isinstance(error, ClientError):
                        error.response["ResponseMetadata"]["RetryAttempts"] = attempt - 1
                    raise
                self._stage.scheduler.sleep(self._rng.uniform(0, 2.0**attempt))
        raise AssertionError

    def _try(
        self, invocation: MessageInvocation, service: str, operation: str, params: Params
    ) -> dict[str, Any]:
        hit, rng, scheduler = self._stage.faults.hit, self._rng, self._stage.scheduler
        call = Call(service, operation, scheduler.now)
        invocation.calls.append(call)
        if hit("lambda: killed before a call"):
            raise Killed
        if hit("lambda: hangs"):
            scheduler.sleep(2 * self._timeout)
        if hit("api: connection failed"):
            call.error = "connection"
            raise EndpointConnectionError(endpoint_url=service)
        scheduler.sleep(
            rng.uniform(0.5, 2.2) if hit("api: slow") else rng.uniform(0, self._latency)
        )
        try:
            self._refuse(service, operation)
            response = self._serve(service, operation, params, invocation)
            call.served = scheduler.now
        except ServiceError as error:
            call.error = error.code
            self._note(invocation, call)
            raise client_error(error, operation) from None
        self._note(invocation, call)
        if hit("lambda: killed after a call"):
            raise Killed
        if hit("api: response lost"):
            call.error = "lost"
            if rng.random() < 0.5:
                raise ConnectionClosedError(endpoint_url=service)
            scheduler.sleep(5)
            raise ReadTimeoutError(endpoint_url=service, error="read timeout")
        return response

    def _note(self, invocation: MessageInvocation, call: Call) -> None:
        self._stage.journal.note(
            f"#{invocation.number} {invocation.message.id}", call.operation, call.error
        )

    def _refuse(self, service: str, operation: str) -> None:
        now, faults = self._stage.scheduler.now, self._stage.faults
        for window in self._windows:
            if window.service == service and window.begins <= now < window.ends:
                faults.count(f"{service}: refuses")
                raise ServiceError("AuthorizationError", "refused for a time", 403)
        if faults.hit("api: throttled"):
            raise ServiceError(_THROTTLING.get(service, "ThrottlingException"), "Rate exceeded")
        if faults.hit("api: server error"):
            raise ServiceError("InternalFailure", "We encountered an internal error.", 500)


def _is_retried(call: Call) -> bool:
    return call.error in {"connection", "lost", *_RETRIED}
