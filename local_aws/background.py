"""The local AWS that keeps running between commands."""

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

from local_aws import folders
from local_aws.cdk import Cdk
from local_aws.environment import LocalAws

_START_SECONDS = 180.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05


class BackgroundError(RuntimeError):
    """The background instance did not start or did not stop."""


@dataclass(frozen=True)
class State:
    """State file of a running instance."""

    pid: int
    folder: str
    environment: dict[str, str]


class Background:
    """The background instance of a folder.

    Its process holds a file lock until it ends, which identifies a stale state file even if its
    process ID has been reused.
    """

    def __init__(self, folder: Path = folders.INSTALLED) -> None:
        self._folder = folder
        self._lock_file = folder / "up.lock"
        self._state_file = folder / "up.json"
        self._log = folder / "up.log"

    def state(self) -> State | None:
        """Return the state of the running instance, None if there is none."""
        with contextlib.suppress(FileNotFoundError), self._lock_file.open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._read()
        return None

    def up(self, *, iam: bool, updating: timedelta) -> State:
        """Return the running instance; start one if there is none."""
        if running := self.state():
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
        """Stop the running instance and return when it has ended."""
        state = self.state()
        if state is None:
            return None
        os.kill(state.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self.state():
            if time.monotonic() > deadline:
                raise BackgroundError(f"process {state.pid} does not end; see {self._log}")
            time.sleep(_POLL_SECONDS)
        return state

    def serve(self, *, iam: bool, updating: timedelta, on_ready: Callable[[State], None]) -> None:
        """Run as the instance until a signal arrives."""
        with self._lock(), LocalAws(iam=iam, updating=updating) as aws:
            Cdk(aws).bootstrap()
            state = State(os.getpid(), str(aws.folder), aws.environment())
            draft = self._state_file.with_suffix(".new")
            draft.write_text(json.dumps(asdict(state), indent=2))
            draft.replace(self._state_file)
            on_ready(state)
            aws.wait()
            raise BackgroundError(f"a service ended unexpectedly\n{aws.log_tails()}")

    def _read(self) -> State | None:
        try:
            return State(**json.loads(self._state_file.read_text()))
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackgroundError("already running; to stop it: make local-down") from None
            self._state_file.unlink(missing_ok=True)
            try:
                yield
            finally:
                self._state_file.unlink(missing_ok=True)
