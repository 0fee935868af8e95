"""Run a command, and stop it together with every process that it started.

Usage: supervisor.py LIFELINE GRACE COMMAND...

LIFELINE is the read end of a pipe whose write end the caller holds open. When it closes, even
because the caller was killed, the command receives SIGTERM and, after GRACE seconds, SIGKILL; so
does every process that it started, including those that left its process group. The same happens
on SIGTERM, and to remaining processes when the command ends.

Runs as a script under `python -I -S`: it uses only the standard library.
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
    """Call prctl(2) on Linux; other systems rely on process groups alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _spawn(command: list[str]) -> int:
    """Start `command` as the leader of its own process group and return its process ID."""
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
    """Direct children; a subreaper also adopts those whose parent has ended."""
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
    """Collect ended children; return whether any remains, and the exit code of `main`."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == main:
                exit_code = os.waitstatus_to_exitcode(ended[1])
        return True, exit_code
    return False, exit_code


def _signal_pipe() -> int:
    """Return a descriptor from which the numbers of received signals can be read as bytes."""
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
    signals = _signal_pipe()
    main = _spawn(command)
    watched = [signals, lifeline]
    exit_code: int | None = None
    kill_at = math.inf
    while True:
        remaining, exit_code = _reap(main, exit_code)
        if not remaining:
            return exit_code or 0
        if exit_code is not None or time.monotonic() >= kill_at:
            _kill_all(main)
        stopping = exit_code is not None or kill_at < math.inf
        ready, _, _ = select.select(watched, [], [], _RECHECK_SECONDS if stopping else None)
        stop_signal = signals in ready and set(os.read(signals, 4096)) - {signal.SIGCHLD}
        if (stop_signal or lifeline in ready) and not stopping:
            watched = [signals]
            kill_at = time.monotonic() + grace
            os.kill(main, signal.SIGTERM)


if __name__ == "__main__":
    status = _supervise(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
    sys.exit(status if status >= 0 else 128 - status)
