"""Looks that only protect: none of them decides over the change when it cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stream_encryption.aws.errors import AwsError, Kind, recorded
from stream_encryption.log import Log
from stream_encryption.waiting import Backoff, Wait

PATIENCE = 5.0
"""Seconds for which one such look is tried, in all."""

_HANGS = 1.0
"""Seconds after which an error is that of a call which nobody answers: trying again costs most."""

_RETRIED = {Kind.THROTTLED, Kind.UNANSWERED, Kind.DENIED}

_T = TypeVar("_T")


class Precaution:
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

    def look(self, call: Callable[[], _T], *, conclusive: Kind | None = None) -> _T | None:
        """Make the look; None when it cannot be made.

        Raises
        ------
        AwsError
            When the call fails in the way that is ``conclusive``.
        DeadlinePassed
            When time runs out before.
        """
        clock = self._wait.clock
        while self._spent < PATIENCE:
            began = clock.now()
            try:
                with recorded(self._errors, self._what):
                    return call()
            except AwsError as error:
                if error.kind is conclusive:
                    raise
                self._log.warning(f"{self._what} could not be looked at", error=error)
                if error.kind not in _RETRIED:
                    return None
                took = clock.now() - began
                hangs = error.kind is Kind.UNANSWERED and took >= _HANGS
                self._spent += PATIENCE if hangs else took
            pause = min(self._backoff.failed(), max(PATIENCE - self._spent, 0.0))
            self._wait.sleep(pause)
            self._spent += pause
        return None
