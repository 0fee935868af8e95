"""Simulated Lambda: asynchronous, at least once, retried, killed at any point, warm or fresh."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from stream_encryption.protocol.continuation import FIELD, VERSION
from stream_encryption.runtime import Runtime
from tests.simulation.api import Api, Call, Client
from tests.simulation.endpoint import Endpoint
from tests.simulation.scheduler import Entry, Killed, Lock, Scheduler, Task
from tests.simulation.service import FUNCTION_ARN, Params, ServiceError
from tests.simulation.stage import Stage

ATTEMPTS = 3
REPORTING = 0.001
"""Seconds until Lambda knows that the function has returned; its threads still run meanwhile."""
KEPT_WARM = 600.0
HOPS = 16
"""How often a function may have invoked itself when Lambda takes it for a loop and stops it."""
MAX_PAYLOAD = 256 * 1024

Function = Callable[[dict[str, Any], Any], None]
MakeFunction = Callable[[Runtime], Function]


@dataclass
class Invocation:
    """One run of the function.

    Parameters
    ----------
    number
        Counts them.
    event
        Event as it was delivered.
    request_id
        Request of CloudFormation that it is about.
    hops
        How often the function had invoked itself before it.
    attempt
        First delivery or retry.
    began, deadline
        When it began, and when Lambda ends it.
    ended
        When it was over; None before that.
    how
        ``returned``, ``raised``, ``killed`` or ``timed out``.
    calls
        Calls to AWS.
    log
        Lines that it wrote.
    left_running
        Whether a thread or timer of it outlived it.
    """

    number: int
    event: dict[str, Any]
    request_id: str
    hops: int
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
    """What Lambda gives a function besides the event."""

    scheduler: Scheduler
    invocation: Invocation
    invoked_function_arn: str = FUNCTION_ARN
    function_name: str = "encryption"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        return int((self.invocation.deadline - self.scheduler.now) * 1000)


class Container:
    """One execution environment: the function and what it keeps in memory.

    It is the clock, too, as time passes for the function only while it runs.
    """

    def __init__(self, service: LambdaService) -> None:
        self._service = service
        self._scheduler = service.scheduler
        self.invocation: Invocation | None = None
        self.free_since = service.scheduler.now
        self.tasks: list[Task] = []
        self.alarms: list[Alarm] = []
        self.function = service.make_function(
            Runtime(
                clock=self,
                client=lambda name: Client(service.api, name, self),
                put=self.put,
                timer=lambda seconds, action: Alarm(self, seconds, action),
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
        """Return after that many seconds, if the container lives so long."""
        self.running  # noqa: B018 - a dead process doesn't sleep
        self._scheduler.sleep(seconds)
        self.running  # noqa: B018

    def write(self, line: str) -> None:
        """Take a line of the log."""
        self.running.log.append(line)

    def put(self, url: str, body: bytes, timeout: float) -> int:
        """Deliver an answer."""
        self.may_die("before")
        try:
            return self._service.endpoint.put(url, body, timeout, self.running)
        finally:
            self.may_die("after")

    def may_die(self, moment: str) -> None:
        """Be killed, if that is due at this call."""
        if self.invocation is None:
            raise Killed
        if self._service.faults.hit(f"lambda: killed {moment} a call"):
            self._service.end(self, "killed")
            self.die()

    def die(self) -> None:
        """End all that runs in the container; at once if the caller is among it."""
        for alarm in self.alarms:
            alarm.cancel()
        own = [task for task in self.tasks if task.is_current]
        for task in self.tasks:
            if not task.is_current:
                task.kill()
        if own:
            raise Killed


class Alarm:
    """A timer of the function, which goes off in a thread of its own."""

    def __init__(self, container: Container, seconds: float, action: Callable[[], None]) -> None:
        self._container = container
        self._seconds = seconds
        self._action = action
        self._entry: Entry | None = None

    def start(self) -> None:
        """Begin to count."""
        self._container.alarms.append(self)
        scheduler = self._container._scheduler
        self._entry = scheduler.after(self._seconds, self._go_off)

    def cancel(self) -> None:
        """Let it not happen, unless it already has."""
        if self._entry:
            self._entry.cancel()
            self._entry = None

    @property
    def pending(self) -> bool:
        """Whether it is going to go off."""
        return self._entry is not None

    def _go_off(self) -> None:
        self._entry = None
        service = self._container._service
        service.faults.count("lambda: the function's alarm went off")
        task = service.scheduler.spawn(self._action)
        self._container.tasks.append(task)


@dataclass(frozen=True)
class _Delivery:
    """An event on its way to the function."""

    payload: str
    request_id: str
    hops: int
    attempt: int = 1


class LambdaService:
    """The function, and all that invokes it.

    Parameters
    ----------
    stage
        Time, memory and mishaps.
    api, endpoint
        What the function reaches.
    make_function
        Makes the function of a fresh container.
    timeout
        The function's, in seconds.
    rng
        Source of what is left to chance; the function gets one of its own.
    handler_rng
        The function's own source of chance.
    """

    def __init__(
        self,
        stage: Stage,
        api: Api,
        endpoint: Endpoint,
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
        self._over: dict[int, Callable[[str], None]] = {}

    def invoke(self, payload: str, request_id: str, hops: int = 0) -> None:
        """Take an event and deliver it: as a rule soon, and once."""
        self._deliver(_Delivery(payload, request_id, hops), self._delay())
        while self.faults.hit("lambda: delivered twice"):
            spread = self._rng.choice((0.2, 3.0, 30.0, 120.0, 3600.0))
            delay = self._delay() + self._rng.uniform(0, spread)
            self._deliver(_Delivery(payload, request_id, hops), delay)

    def serve(self, operation: str, params: Params, caller: object) -> dict[str, Any]:
        """Carry out Invoke: the function invokes itself."""
        assert isinstance(caller, Invocation)
        assert operation == "Invoke", operation
        if params["FunctionName"] != FUNCTION_ARN or params.get("InvocationType") != "Event":
            raise ServiceError("ResourceNotFoundException", "Function not found", 404)
        payload = bytes(params["Payload"]).decode()
        if len(payload) > MAX_PAYLOAD:
            raise ServiceError("RequestTooLargeException", "Request must be smaller", 413)
        if self.faults.hit("lambda: other code behind a hand-over"):
            payload = json.dumps(_of_another_version(json.loads(payload)))
        self.journal.note("lambda", str(caller), "hands over to hop", caller.hops + 1)
        if caller.hops + 1 < HOPS:
            self.invoke(payload, caller.request_id, caller.hops + 1)
        else:
            self.faults.count("lambda: a chain of invocations was stopped")
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
            hops=delivery.hops,
            attempt=attempt,
            began=now,
            deadline=now + self._timeout,
        )
        self.invocations.append(invocation)
        container.invocation = invocation
        self.journal.note(
            "lambda",
            str(invocation),
            "begins:",
            invocation.request_id,
            f"hop {invocation.hops}" if invocation.hops else invocation.event.get("RequestType"),
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
            container.sleep(REPORTING)
            self.end(container, how, detail)

        def over(how: str) -> None:
            deadline.cancel()
            if how != "returned" and attempt < ATTEMPTS:
                again = replace(delivery, attempt=attempt + 1)
                self._deliver(again, self._rng.uniform(0.9, 1.4) * 60.0 * attempt)

        self._over[invocation.number] = over
        container.tasks = [self.scheduler.spawn(run)]

    def end(self, container: Container, how: str, detail: str = "") -> None:
        """Note that an invocation is over, and let Lambda try again if it failed."""
        invocation = container.invocation
        assert invocation is not None
        now = self.scheduler.now
        invocation.ended, invocation.how = now, how
        self.journal.note("lambda", str(invocation), how, detail)
        container.invocation = None
        self._over.pop(invocation.number)(how)
        if how in ("returned", "raised"):
            left = [alarm for alarm in container.alarms if alarm.pending]
            left_tasks = [task for task in container.tasks if not task.over and not task.is_current]
            invocation.left_running = bool(left or left_tasks)
            container.alarms = []
            container.free_since = now
            self._warm.append(container)

    def _time_out(self, container: Container) -> None:
        self.faults.count("lambda: timed out")
        self.end(container, "timed out")
        container.die()

    def _container(self) -> Container:
        now = self.scheduler.now
        self._warm = [one for one in self._warm if now - one.free_since < KEPT_WARM]
        if self._warm and not self.faults.hit("lambda: fresh container"):
            return self._warm.pop(self._rng.randrange(len(self._warm)))
        return Container(self)


def _of_another_version(payload: dict[str, Any]) -> dict[str, Any]:
    """Turn what one version of the function hands over into what another one would."""
    return {**payload, FIELD: {"Version": VERSION + 1, "Since": payload[FIELD]["Issued"]}}
