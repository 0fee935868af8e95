"""Virtual time, and the tasks that live in it: one runs at a time, in an order that is fixed."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from types import TracebackType

from greenlet import getcurrent, greenlet


class Killed(BaseException):
    """The process that a task belongs to has ended; not an Exception, so nobody survives it."""


class Entry:
    """Something that is going to happen, unless it is cancelled."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def cancel(self) -> None:
        """Let it not happen."""
        self.action = None


class Task:
    """A flow of control of its own that can sleep, wait and be killed."""

    def __init__(self, scheduler: Scheduler, run: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._greenlet = greenlet(self._main, parent=scheduler.hub)
        self._run = run

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self._greenlet.dead

    @property
    def is_current(self) -> bool:
        """Whether it is the one that runs."""
        return getcurrent() is self._greenlet

    def resume(self) -> None:
        """Go on with it, from the scheduler only."""
        if not self._greenlet.dead:
            self._greenlet.switch()

    def kill(self) -> None:
        """End it where it stands; when it is the current one, it ends itself by an exception."""
        if self.is_current:
            raise Killed
        if not self._greenlet:  # not begun yet, or over
            self._run = _nothing
            return
        # The victim ends while its killer waits.
        self._greenlet.parent = getcurrent()
        self._greenlet.throw(Killed)
        self._greenlet.parent = self._scheduler.hub

    def _main(self) -> None:
        try:
            self._run()
        except Killed:
            return


class Scheduler:
    """The virtual clock and what is going to happen.

    Parameters
    ----------
    now
        Seconds since the epoch at which the world begins.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self.hub = getcurrent()
        self._queue: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()
        self._until = float("inf")

    def at(self, when: float, action: Callable[[], object]) -> Entry:
        """Let something happen at a time; at the same time, first come, first served."""
        entry = Entry(action)
        heapq.heappush(self._queue, (max(when, self.now), next(self._order), entry))
        return entry

    def after(self, seconds: float, action: Callable[[], object]) -> Entry:
        """Let something happen in so many seconds."""
        return self.at(self.now + seconds, action)

    def spawn(self, run: Callable[[], None]) -> Task:
        """Begin a task, now."""
        task = Task(self, run)
        self.at(self.now, task.resume)
        return task

    def sleep(self, seconds: float) -> None:
        """Let the current task do nothing for a while, and the others go on meanwhile."""
        wake = self.now + max(seconds, 0.0)
        if self._next_time() > wake and wake <= self._until:
            self.now = wake  # nothing else happens until then: no need to change tasks
            return
        self.at(wake, _resume(getcurrent()))
        self.hub.switch()

    def signal(self) -> Signal:
        """Make what the current task can wait for."""
        return Signal(self)

    def run(self, until: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen, up to a time or until a condition holds."""
        self._until = until
        while self._next_time() <= until and not stop():
            when, _, entry = heapq.heappop(self._queue)
            self.now = when
            if entry.action is not None:
                entry.action()

    def _next_time(self) -> float:
        queue = self._queue
        while queue and queue[0][2].action is None:
            heapq.heappop(queue)
        return queue[0][0] if queue else float("inf")


class Signal:
    """Something that one task waits for, with an end to its patience."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._resume: Callable[[], None] | None = None

    def wait(self, timeout: float = float("inf")) -> None:
        """Let the current task go on when the signal is given, or time is up."""
        self._resume = _resume(getcurrent())
        if timeout < float("inf"):
            self._scheduler.after(timeout, self.give)
        self._scheduler.hub.switch()

    def give(self) -> None:
        """Let the waiting task go on; has no effect a second time."""
        resume, self._resume = self._resume, None
        if resume:
            resume()


class Lock:
    """What `threading.RLock` is to threads, for tasks."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._owner: object = None
        self._depth = 0
        self._waiting: list[Signal] = []

    def __enter__(self) -> None:
        while self._owner not in (None, getcurrent()):
            signal = self._scheduler.signal()
            self._waiting.append(signal)
            signal.wait()
        self._owner = getcurrent()
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            if self._waiting:
                self._scheduler.after(0.0, self._waiting.pop(0).give)


def _resume(task: greenlet) -> Callable[[], None]:
    """Go on with a task that may have been killed meanwhile."""

    def go_on() -> None:
        if not task.dead:
            task.switch()

    return go_on


def _nothing() -> None:
    return None
