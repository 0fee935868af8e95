"""Best-effort calls: preflight checks that fail open."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stream_encryption.aws.errors import AwsError, ErrorKind, recorded
from stream_encryption.log import Log
from stream_encryption.waiting import Backoff, Wait

TIME_LIMIT = 5.0
"""Seconds that failed calls of one check may take in total."""

_HANG_THRESHOLD = 1.0
"""Seconds after which a call without a response counts as hanging: a retry costs too much."""

_RETRYABLE = {ErrorKind.THROTTLED, ErrorKind.NO_RESPONSE, ErrorKind.DENIED}

_T = TypeVar("_T")


class BestEffort:
    """One preflight check; ``what`` is what it describes, for the log."""

    def __init__(
        self, what: str, wait: Wait, backoff: Backoff, log: Log, errors: dict[str, AwsError]
    ) -> None:
        self._what = what
        self._wait = wait
        self._backoff = backoff
        self._log = log
        self._errors = errors
        self._spent = 0.0

    def attempt(self, call: Callable[[], _T], *, conclusive: ErrorKind | None = None) -> _T | None:
        """Make a call, with retries; return None if it fails.

        Raises
        ------
        AwsError
            If the call fails with an error of the ``conclusive`` kind.
        DeadlinePassed
            If the deadline passes first.
        """
        clock = self._wait.clock
        while self._spent < TIME_LIMIT:
            began = clock.now()
            try:
                with recorded(self._errors, self._what):
                    return call()
            except AwsError as error:
                if error.kind is conclusive:
                    raise
                self._log.warning(f"{self._what} could not be described", error=error)
                took = clock.now() - began
                hangs = error.kind is ErrorKind.NO_RESPONSE and took >= _HANG_THRESHOLD
                self._spent += TIME_LIMIT if hangs else took
                if error.kind not in _RETRYABLE:
                    return None
            pause = min(self._backoff.failed(), max(TIME_LIMIT - self._spent, 0.0))
            self._wait.sleep(pause)
            self._spent += pause
        return None
