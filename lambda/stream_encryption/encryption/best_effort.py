"""Looks that only protect: none of them decides over the change when it cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stream_encryption.aws.errors import AwsError, ErrorKind, recorded
from stream_encryption.log import Log
from stream_encryption.waiting import Backoff, Wait

TIME_LIMIT = 5.0
"""Seconds for which one such look is tried, in all."""

_HANG_THRESHOLD = 1.0
"""Seconds after which an error is that of a call which nobody answers: trying again costs most."""

_RETRYABLE = {ErrorKind.THROTTLED, ErrorKind.NO_RESPONSE, ErrorKind.DENIED}

_T = TypeVar("_T")


class BestEffort:
    """One kind of look that only protects; ``what`` is looked at, for the log."""

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
        """Make the look; None when it cannot be made.

        Raises
        ------
        AwsError
            When the call fails in the way that is ``conclusive``.
        DeadlinePassed
            When time runs out before.
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
                self._log.warning(f"{self._what} could not be looked at", error=error)
                if error.kind not in _RETRYABLE:
                    return None
                took = clock.now() - began
                hangs = error.kind is ErrorKind.NO_RESPONSE and took >= _HANG_THRESHOLD
                self._spent += TIME_LIMIT if hangs else took
            pause = min(self._backoff.failed(), max(TIME_LIMIT - self._spent, 0.0))
            self._wait.sleep(pause)
            self._spent += pause
        return None
