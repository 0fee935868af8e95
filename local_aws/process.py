"""Processes that never outlive the one that started them.

Every command runs under `supervisor.py` in a session of its own. The supervisor watches a pipe that
only we hold open: when we end, in whichever way, it takes the command and its children down.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.05
_TAIL_LINES = 40
_PR_SET_PDEATHSIG = 1


class ServiceError(RuntimeError):
    """A service did not start or ended too early; the message carries the tail of its log."""


class CommandTimeoutError(RuntimeError):
    """A command ran longer than it was given; the message carries what it had printed."""


class _Supervised:
    """A command with its supervisor and the pipe that keeps both alive."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        output: int | IO[str],
    ) -> None:
        theirs, self._ours = os.pipe()
        self._lock = threading.Lock()
        try:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(_SUPERVISOR)),
                    *(str(theirs), str(_GRACE_SECONDS)),
                    *command,
                ],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                pass_fds=[theirs],
            )
        except BaseException:
            os.close(self._ours)
            raise
        finally:
            os.close(theirs)

    def cut(self) -> None:
        """Let go of the command: its supervisor starts to stop it."""
        with self._lock:
            if self._ours >= 0:
                os.close(self._ours)
                self._ours = -1

    def stop(self) -> None:
        """Return when the command and all that it started are gone."""
        self.cut()
        try:
            self.process.wait(_GRACE_SECONDS + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Service:
    """A long-running command that logs to a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("w", encoding="utf-8") as output:
            self._supervised = _Supervised(
                command, environment=environment, folder=folder, output=output
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The supervisor's pid; all processes of the service descend from it."""
        return self._supervised.process.pid

    @property
    def running(self) -> bool:
        """Whether the command has not ended."""
        return self._supervised.process.poll() is None

    def log_tail(self) -> str:
        """The last lines of the log, under its path."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"--- end of {self.log}", *lines[-_TAIL_LINES:]])

    def wait_until(self, healthy: Callable[[], bool], *, seconds: float) -> None:
        """Return once `healthy()`; raise ServiceError if the service ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not healthy():
            if not self.running:
                raise ServiceError(f"{self.name} ended while starting\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name} not ready in {seconds:g} s\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Return when nothing of the service is left."""
        self._supervised.stop()


@dataclass(frozen=True)
class Completed:
    """A command that has ended, with stdout and stderr as one text."""

    command: tuple[str, ...]
    exit_code: int
    output: str
    seconds: float


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    seconds: float,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run `command` to its end, handing each line of its output to `on_line` as it comes."""
    started = time.monotonic()
    supervised = _Supervised(
        command, environment=environment, folder=folder, output=subprocess.PIPE
    )
    timed_out = threading.Event()

    def give_up() -> None:
        timed_out.set()
        supervised.cut()

    timer = threading.Timer(seconds, give_up)
    timer.start()
    lines: list[str] = []
    try:
        for line in supervised.process.stdout or ():
            lines.append(line)
            if on_line:
                on_line(line.rstrip("\n"))
        exit_code = supervised.process.wait()
    finally:
        timer.cancel()
        supervised.stop()
    output = "".join(lines)
    if timed_out.is_set():
        raise CommandTimeoutError(f"{' '.join(command)} took over {seconds:g} s\n{output}")
    return Completed(tuple(command), exit_code, output, time.monotonic() - started)


def exit_on_signals(*, with_parent: bool = True) -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that `with` and `finally` still run.

    With `with_parent`, SIGTERM also comes when the parent ends, as when `make` is killed (Linux).
    """

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    if with_parent and sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
