"""Virtual time and its tasks: one task runs at a time, in a deterministic order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from types import TracebackType

from greenlet import getcurrent, greenlet

BEGIN = 1_800_000_000.0
"""Virtual time at which every simulation begins."""


class Killed(BaseException):
    """The process of a task has ended; not an Exception, so that no handler catches it."""


class Entry:
    """A scheduled action, which can be canceled."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def cancel(self) -> None:
        """Cancel the action."""
        self.action = None


class Task:
    """A flow of control that can sleep, wait, and be killed."""

    def __init__(self, scheduler: Scheduler, run: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._greenlet = greenlet(self._main, parent=scheduler.hub)
        self._run = run

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._greenlet.dead

    @property
    def is_current(self) -> bool:
        """Whether it is the running task."""
        return getcurrent() is self._greenlet

    def resume(self) -> None:
        """Resume the task; only the scheduler calls this."""
        if not self._greenlet.dead:
            self._greenlet.switch()

    def kill(self) -> None:
        """End the task where it is; the current task ends itself by an exception."""
        if self.is_current:
            raise Killed
        if not self._greenlet:  # not started yet, or ended
            self._run = _nothing
            return
        # The killed task ends while the current one waits.
        self._greenlet.parent = getcurrent()
        self._greenlet.throw(Killed)
        self._greenlet.parent = self._scheduler.hub

    def _main(self) -> None:
        try:
            self._run()
        except Killed:
            return


class Scheduler:
    """The virtual clock and the scheduled actions.

    Parameters
    ----------
    now
        Start of the simulation, in seconds since the epoch.
    """

    def __init__(self, now: float = BEGIN) -> None:
        self.now = now
        self.hub = getcurrent()
        self._queue: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()
        self._until = float("inf")

    def at(self, when: float, action: Callable[[], object]) -> Entry:
        """Schedule an action at a time; actions at the same time run in the order of the calls."""
        entry = Entry(action)
        heapq.heappush(self._queue, (max(when, self.now), next(self._order), entry))
        return entry

    def after(self, seconds: float, action: Callable[[], object]) -> Entry:
        """Schedule an action after some seconds."""
        return self.at(self.now + seconds, action)

    def spawn(self, run: Callable[[], None]) -> Task:
        """Start a task now."""
        task = Task(self, run)
        self.at(self.now, task.resume)
        return task

    def sleep(self, seconds: float) -> None:
        """Suspend the current task for some seconds, in which other tasks run."""
        wake = self.now + max(seconds, 0.0)
        if self._next_time() > wake and wake <= self._until:
            self.now = wake  # nothing else happens until then: no need to switch tasks
            return
        self.at(wake, _resume(getcurrent()))
        self.hub.switch()

    def signal(self) -> Signal:
        """Create a signal that the current task can wait for."""
        return Signal(self)

    def run(self, until: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Run all actions, up to a time or until a condition holds."""
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


class Clock:
    """The clock of a function: `runtime.Clock` in virtual time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        self._scheduler.sleep(seconds)


class Timer:
    """Equivalent of `threading.Timer`.

    Parameters
    ----------
    scheduler
        Virtual time.
    seconds
        Seconds from its start until it fires.
    action
        What it does then.
    """

    def __init__(self, scheduler: Scheduler, seconds: float, action: Callable[[], object]) -> None:
        self._scheduler = scheduler
        self._seconds = seconds
        self._action = action
        self._entry: Entry | None = None

    @property
    def pending(self) -> bool:
        """Whether it is going to fire."""
        return self._entry is not None

    def start(self) -> None:
        """Start the timer."""
        self._entry = self._scheduler.after(self._seconds, self._fire)

    def cancel(self) -> None:
        """Cancel the timer, unless it has already fired."""
        if self._entry:
            self._entry.cancel()
            self._entry = None

    def _fire(self) -> None:
        self._entry = None
        self._action()


class Signal:
    """An event that one task waits for, with a timeout."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._resume: Callable[[], None] | None = None

    def wait(self, timeout: float = float("inf")) -> None:
        """Suspend the current task until the signal is given or the timeout has passed."""
        self._resume = _resume(getcurrent())
        if timeout < float("inf"):
            self._scheduler.after(timeout, self.give)
        self._scheduler.hub.switch()

    def give(self) -> None:
        """Resume the waiting task; a second call has no effect."""
        resume, self._resume = self._resume, None
        if resume:
            resume()


class Lock:
    """Equivalent of `threading.RLock` for tasks."""

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
    """Return a function that resumes a task, unless it was killed in the meantime."""

    def resume() -> None:
        if not task.dead:
            task.switch()

    return resume


def _nothing() -> None:
    return None
