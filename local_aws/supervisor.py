"""Run a command and leave nothing of it behind.

Usage: supervisor.py LIFELINE GRACE COMMAND...

LIFELINE is the reading end of a pipe whose other end the caller keeps open. When it closes, for
whatever reason, be it that the caller was killed, the command gets SIGTERM, GRACE seconds, then
SIGKILL, and so does every process that it started, also one that had left its process group. The
same happens on SIGTERM, and to what is left when the command ends by itself.

Runs as a script under `python -I -S`: it is all standard library and imports nothing of ours.
"""

import contextlib
import ctypes
import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_RECHECK_SECONDS = 0.05


def _prctl(option: int, value: int) -> None:
    """Call prctl(2); a system without it keeps only what process groups give."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _spawn(command: list[str]) -> int:
    """Start `command` as the leader of its own group and return its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error}\n")
    finally:
        os._exit(127)


def _children() -> Iterator[int]:
    """Our direct children: a subreaper also gets those whose parent has ended."""
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            yield from map(int, (task / "children").read_text().split())


def _kill_all(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    for pid in _children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _reap(main: int, exit_code: int | None) -> tuple[bool, int | None]:
    """Collect the children that have ended: whether any is left, and `main`'s exit code."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == main:
                exit_code = os.waitstatus_to_exitcode(ended[1])
        return True, exit_code
    return False, exit_code


def _pipe_of_signals() -> int:
    """A descriptor from which the numbers of the signals that come can be read as bytes."""
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return reading


def _supervise(lifeline: int, grace: float, command: list[str]) -> int:
    os.set_inheritable(lifeline, False)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signals = _pipe_of_signals()
    main = _spawn(command)
    watched = [signals, lifeline]
    exit_code: int | None = None
    kill_at = math.inf
    while True:
        left, exit_code = _reap(main, exit_code)
        if not left:
            return exit_code or 0
        if exit_code is not None or time.monotonic() >= kill_at:
            _kill_all(main)
        stopping = exit_code is not None or kill_at < math.inf
        ready, _, _ = select.select(watched, [], [], _RECHECK_SECONDS if stopping else None)
        told_to = signals in ready and set(os.read(signals, 4096)) - {signal.SIGCHLD}
        if (told_to or lifeline in ready) and not stopping:
            watched = [signals]
            kill_at = time.monotonic() + grace
            os.kill(main, signal.SIGTERM)


if __name__ == "__main__":
    status = _supervise(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
    sys.exit(status if status >= 0 else 128 - status)
