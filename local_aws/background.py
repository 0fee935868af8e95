"""The local AWS that stays up between commands."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

from local_aws import folders
from local_aws.cdk import Cdk
from local_aws.environment import LocalAws

_START_SECONDS = 180.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05
# Longer than another command's look at the lock, which holds it for a moment.
_LOCK_SECONDS = 1.0


class BackgroundError(RuntimeError):
    """The background instance did not start or did not stop."""


@dataclass(frozen=True)
class State:
    """What is written down about a running instance."""

    pid: int
    services: dict[str, int]
    folder: str
    environment: dict[str, str]


class Background:
    """At most one instance per `folder`, which holds its lock and its state.

    Its process holds the lock for as long as it lives, so a stale state file is told from a live
    one whatever pids have been given out since.
    """

    def __init__(self, folder: Path = folders.INSTALLED) -> None:
        self._folder = folder
        self._lock_file = folder / "up.lock"
        self._state_file = folder / "up.json"
        self._log = folder / "up.log"

    def state(self) -> State | None:
        """The running instance, if there is one."""
        return self._read() if self._locked() else None

    def up(self, *, iam: bool, updating: timedelta) -> State:
        """Start an instance, unless there is one, and return when it is ready."""
        running = self.state()
        if running is not None:
            return running
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "local_aws", "--folder", str(self._folder)),
            *("run", "--detached", "--updating", f"{updating.total_seconds():.3f}"),
            *(["--iam"] if iam else []),
        ]
        with self._log.open("w", encoding="utf-8") as log:
            server = subprocess.Popen(
                command,
                cwd=folders.PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        try:
            while (state := self._read()) is None or state.pid != server.pid:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise BackgroundError(f"did not start\n{self._log.read_text()}")
                time.sleep(_POLL_SECONDS)
        except BaseException:
            server.terminate()
            server.wait()
            raise
        return state

    def down(self) -> State | None:
        """Stop the instance by its pid, if there is one, and return when it is gone."""
        state = self.state()
        if state is None:
            return None
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, number)
            deadline = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < deadline:
                if not any(map(_alive, [state.pid, *state.services.values()])):
                    self._state_file.unlink(missing_ok=True)
                    return state
                time.sleep(_POLL_SECONDS)
        raise BackgroundError(f"pid {state.pid} does not stop")

    def serve(
        self, *, iam: bool, updating: timedelta, on_ready: Callable[[State], None] | None = None
    ) -> None:
        """Be the instance: start it, write its state down, and stay until a signal comes."""
        with self._lock(), LocalAws(iam=iam, updating=updating) as aws:
            Cdk(aws).bootstrap()
            state = State(
                pid=os.getpid(),
                services={service.name: service.pid for service in aws.services},
                folder=str(aws.folder),
                environment=aws.environment(),
            )
            self._write(state)
            try:
                if on_ready:
                    on_ready(state)
                aws.wait()
            finally:
                self._state_file.unlink(missing_ok=True)
            raise BackgroundError(f"a service ended by itself\n{aws.log_tails()}")

    def _read(self) -> State | None:
        try:
            return State(**json.loads(self._state_file.read_text()))
        except FileNotFoundError:
            return None

    def _write(self, state: State) -> None:
        draft = self._state_file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(state), indent=2))
        draft.replace(self._state_file)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("a") as held:
            deadline = time.monotonic() + _LOCK_SECONDS
            while not _try_lock(held, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise BackgroundError("is up already; stop it by: make local-down")
                time.sleep(_POLL_SECONDS)
            self._state_file.unlink(missing_ok=True)
            yield

    def _locked(self) -> bool:
        if not self._lock_file.exists():
            return False
        with self._lock_file.open("a") as probe:
            return not _try_lock(probe, fcntl.LOCK_SH)


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: int) -> bool:
    """Whether `pid` runs; a zombie, which only its parent can remove, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return sys.platform != "linux"
