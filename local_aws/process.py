"""Child processes that never outlive this process.

Every command runs under `supervisor.py` in its own session. The supervisor watches a pipe that only
this process holds open: when this process ends for any reason, the supervisor stops the command and
its children.
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
    """A service did not start or ended early; the message contains the end of its log."""


class CommandTimeoutError(RuntimeError):
    """A command exceeded its timeout; the message contains its output."""


class _Supervised:
    """A command, its supervisor, and the pipe that keeps both running."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        output: int | IO[str],
    ) -> None:
        lifeline, self._write_end = os.pipe()
        self._lock = threading.Lock()
        try:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(_SUPERVISOR)),
                    *(str(lifeline), str(_GRACE_SECONDS)),
                    *command,
                ],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                pass_fds=[lifeline],
            )
        except BaseException:
            os.close(self._write_end)
            raise
        finally:
            os.close(lifeline)

    def close_lifeline(self) -> None:
        """Make the supervisor stop the command; do not wait."""
        with self._lock:
            if self._write_end >= 0:
                os.close(self._write_end)
                self._write_end = -1

    def stop(self) -> None:
        """Return when the command and all its children have ended."""
        self.close_lifeline()
        try:
            self.process.wait(_GRACE_SECONDS + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Service(_Supervised):
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
            super().__init__(command, environment=environment, folder=folder, output=output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process ID of the supervisor, the ancestor of all processes of the service."""
        return self.process.pid

    def log_tail(self) -> str:
        """Return the path of the log and its last lines."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"--- end of {self.log}", *lines[-_TAIL_LINES:]])

    def wait_until(self, healthy: Callable[[], bool], *, seconds: float) -> None:
        """Return once `healthy()`; raise ServiceError if the service ends or is too slow."""
        deadline = time.monotonic() + seconds
        while not healthy():
            if self.process.poll() is not None:
                raise ServiceError(f"{self.name} ended while starting\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name} not ready in {seconds:g} s\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)


@dataclass(frozen=True)
class Completed:
    """A completed command; `output` is stdout and stderr."""

    command: tuple[str, ...]
    exit_code: int
    output: str


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    seconds: float,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run `command` until it ends, and pass each line of its output to `on_line`."""
    supervised = _Supervised(
        command, environment=environment, folder=folder, output=subprocess.PIPE
    )
    timed_out = threading.Event()

    def time_out() -> None:
        timed_out.set()
        supervised.close_lifeline()

    timer = threading.Timer(seconds, time_out)
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
    return Completed(tuple(command), exit_code, output)


def exit_on_signals(*, with_parent: bool = True) -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that `with` and `finally` blocks run.

    With `with_parent`, SIGTERM also arrives when the parent ends, for example if `make` is killed
    (Linux only).
    """

    def exit_(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, exit_)
    if with_parent and sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
