"""Simulated Lambda: asynchronous, at least once, retried, killed at any point, warm or cold."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

from simulated_aws.api import Api, Call
from simulated_aws.client import Client
from simulated_aws.response_endpoint import ResponseEndpoint
from simulated_aws.scheduler import Killed, Lock, Scheduler, Task, Timer
from simulated_aws.service import FUNCTION_ARN, Params
from simulated_aws.stage import Stage
from stream_encryption.protocol.continuation import FIELD, VERSION
from stream_encryption.runtime import Runtime

ATTEMPTS = 3
RETURN_DELAY = 0.001
"""Seconds until Lambda registers that the function returned; its threads still run until then."""
WARM_SECONDS = 600.0
RECURSION_LIMIT = 16
"""Chain length at which recursive loop detection stops the function."""
MAX_PAYLOAD = 256 * 1024

Function = Callable[[dict[str, Any], Any], None]
MakeFunction = Callable[[Runtime], Function]


@dataclass
class Invocation:
    """One run of the function.

    Parameters
    ----------
    number
        Sequence number.
    event
        Event as it was delivered.
    request_id
        CloudFormation request that it handles.
    continuation
        How often the function had invoked itself before; 0 for the request itself.
    attempt
        1 for the first delivery, then one more for each retry.
    began, deadline
        When it started, and when it times out.
    ended
        When it ended; None before that.
    how
        ``returned``, ``raised``, ``killed``, or ``timed out``.
    calls
        Calls to AWS.
    log
        Lines that it logged.
    left_running
        Whether a thread or timer of it outlived it.
    """

    number: int
    event: dict[str, Any]
    request_id: str
    continuation: int
    attempt: int
    began: float
    deadline: float
    ended: float | None = None
    how: str = ""
    calls: list[Call] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    left_running: bool = False

    def __str__(self) -> str:
        return f"invocation {self.number}"


@dataclass(frozen=True)
class Context:
    """Lambda context."""

    scheduler: Scheduler
    invocation: Invocation
    invoked_function_arn: str = FUNCTION_ARN
    function_name: str = "encryption"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        return int((self.invocation.deadline - self.scheduler.now) * 1000)


class Container:
    """One execution environment: the function and its memory.

    It is also the clock of the function, for which time passes only while it runs.
    """

    def __init__(self, service: LambdaService) -> None:
        self._service = service
        self._scheduler = service.scheduler
        self.invocation: Invocation | None = None
        self.free_since = service.scheduler.now
        self.tasks: list[Task] = []
        self.timers: list[Timer] = []
        self.function = service.make_function(
            Runtime(
                clock=self,
                client=lambda name: Client(name, partial(service.api.call, self)),
                put=self.put,
                timer=self.timer,
                lock=lambda: Lock(service.scheduler),
                uniform=service.handler_rng.uniform,
                write=self.write,
            )
        )

    @property
    def running(self) -> Invocation:
        """The invocation that the caller belongs to."""
        if self.invocation is None:
            raise Killed
        return self.invocation

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds, unless the container is killed before."""
        self.running  # noqa: B018 - a killed process does not sleep
        self._scheduler.sleep(seconds)
        self.running  # noqa: B018

    def write(self, line: str) -> None:
        """Log a line."""
        self.running.log.append(line)

    def timer(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Make a timer, which runs its action in a thread of its own."""
        timer = Timer(self._scheduler, seconds, partial(self._spawn, action))
        self.timers.append(timer)
        return timer

    def _spawn(self, action: Callable[[], None]) -> None:
        self._service.faults.count("lambda: the timeout guard fired")
        self.tasks.append(self._scheduler.spawn(action))

    def put(self, url: str, body: bytes, timeout: float) -> int:
        """Send a response."""
        self.kill_if_due("before")
        try:
            return self._service.endpoint.put(url, body, timeout, self.running)
        finally:
            self.kill_if_due("after")

    def kill_if_due(self, moment: str) -> None:
        """Kill the invocation, if a fault is injected at this call."""
        if self.invocation is None:
            raise Killed
        if self._service.faults.hit(f"lambda: killed {moment} a call"):
            self._service.end(self, "killed")
            self.kill()

    def kill(self) -> None:
        """Kill all tasks of the container, the calling one last."""
        for timer in self.timers:
            timer.cancel()
        own = [task for task in self.tasks if task.is_current]
        for task in self.tasks:
            if not task.is_current:
                task.kill()
        if own:
            raise Killed


@dataclass(frozen=True)
class _Delivery:
    """An event on its way to the function."""

    payload: str
    request_id: str
    continuation: int
    attempt: int = 1


class LambdaService:
    """The function and its asynchronous invocations.

    Parameters
    ----------
    stage
        Clock, journal, and faults.
    api, endpoint
        AWS APIs and response endpoint.
    make_function
        Makes the function of a new container.
    timeout
        Timeout of the function, in seconds.
    rng
        Source of random behavior of Lambda.
    handler_rng
        Source of randomness of the function itself.
    """

    def __init__(
        self,
        stage: Stage,
        api: Api,
        endpoint: ResponseEndpoint,
        *,
        make_function: MakeFunction,
        timeout: float,
        rng: Random,
        handler_rng: Random,
    ) -> None:
        self.scheduler = stage.scheduler
        self.journal = stage.journal
        self.faults = stage.faults
        self.api = api
        self.endpoint = endpoint
        self.make_function = make_function
        self.handler_rng = handler_rng
        self.invocations: list[Invocation] = []
        self._timeout = timeout
        self._rng = rng
        self._warm: list[Container] = []
        self._on_end: dict[int, Callable[[str], None]] = {}

    def invoke(self, payload: str, request_id: str, continuation: int = 0) -> None:
        """Accept an event and deliver it: usually soon, and once."""
        self._deliver(_Delivery(payload, request_id, continuation), self._delay())
        while self.faults.hit("lambda: delivered twice"):
            spread = self._rng.choice((0.2, 3.0, 30.0, 120.0, 3600.0))
            delay = self._delay() + self._rng.uniform(0, spread)
            self._deliver(_Delivery(payload, request_id, continuation), delay)

    def serve(self, operation: str, params: Params, caller: object) -> dict[str, Any]:
        """Perform Invoke: the function invokes itself."""
        assert isinstance(caller, Invocation)
        assert operation == "Invoke", operation
        assert (params["FunctionName"], params["InvocationType"]) == (FUNCTION_ARN, "Event")
        payload = bytes(params["Payload"]).decode()
        assert len(payload) <= MAX_PAYLOAD
        if self.faults.hit("lambda: another version receives a continuation"):
            payload = json.dumps(_of_another_version(json.loads(payload)))
        self.journal.note("lambda", str(caller), "starts continuation", caller.continuation + 1)
        if caller.continuation + 1 < RECURSION_LIMIT:
            self.invoke(payload, caller.request_id, caller.continuation + 1)
        else:
            self.faults.count("lambda: a recursive loop was stopped")
        return {"StatusCode": 202}

    def _delay(self) -> float:
        if self.faults.hit("lambda: delivered late"):
            return self._rng.choice((5.0, 45.0, 300.0, 1800.0, 5000.0)) * self._rng.random()
        return self._rng.uniform(0.02, 0.3)

    def _deliver(self, delivery: _Delivery, delay: float) -> None:
        self.scheduler.after(delay, lambda: self._begin(delivery))

    def _begin(self, delivery: _Delivery) -> None:
        now, attempt = self.scheduler.now, delivery.attempt
        container = self._container()
        invocation = Invocation(
            number=len(self.invocations),
            event=json.loads(delivery.payload),
            request_id=delivery.request_id,
            continuation=delivery.continuation,
            attempt=attempt,
            began=now,
            deadline=now + self._timeout,
        )
        self.invocations.append(invocation)
        container.invocation = invocation
        self.journal.note(
            "lambda",
            str(invocation),
            "starts:",
            invocation.request_id,
            invocation.event.get("RequestType"),
            f"continuation {invocation.continuation}",
            f"attempt {attempt}",
        )
        deadline = self.scheduler.at(invocation.deadline, lambda: self._time_out(container))

        def run() -> None:
            how, detail = "returned", ""
            try:
                event = json.loads(delivery.payload)
                container.function(event, Context(self.scheduler, invocation))
            except Exception as error:  # noqa: BLE001 - as Lambda does
                how, detail = "raised", f"{type(error).__name__}: {error}"
            container.sleep(RETURN_DELAY)
            self.end(container, how, detail)

        def on_end(how: str) -> None:
            deadline.cancel()
            if how != "returned" and attempt < ATTEMPTS:
                again = replace(delivery, attempt=attempt + 1)
                self._deliver(again, self._rng.uniform(0.9, 1.4) * 60.0 * attempt)

        self._on_end[invocation.number] = on_end
        container.tasks = [self.scheduler.spawn(run)]

    def end(self, container: Container, how: str, detail: str = "") -> None:
        """End an invocation, and retry it if it failed."""
        invocation = container.invocation
        assert invocation is not None
        now = self.scheduler.now
        invocation.ended, invocation.how = now, how
        self.journal.note("lambda", str(invocation), how, detail)
        container.invocation = None
        self._on_end.pop(invocation.number)(how)
        if how in ("returned", "raised"):
            left = [timer for timer in container.timers if timer.pending]
            left_tasks = [task for task in container.tasks if not task.over and not task.is_current]
            invocation.left_running = bool(left or left_tasks)
            container.timers = []
            container.free_since = now
            self._warm.append(container)

    def _time_out(self, container: Container) -> None:
        self.faults.count("lambda: timed out")
        self.end(container, "timed out")
        container.kill()

    def _container(self) -> Container:
        now = self.scheduler.now
        self._warm = [one for one in self._warm if now - one.free_since < WARM_SECONDS]
        if self._warm and not self.faults.hit("lambda: fresh container"):
            return self._warm.pop(self._rng.randrange(len(self._warm)))
        return Container(self)


def _of_another_version(payload: dict[str, Any]) -> dict[str, Any]:
    """Turn a continuation of one version of the function into one of another version."""
    return {**payload, FIELD: {"Version": VERSION + 1, "Since": payload[FIELD]["Issued"]}}
