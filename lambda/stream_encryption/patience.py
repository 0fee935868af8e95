"""Calling AWS again: which errors are worth it, how soon, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stream_encryption.aws_error import OVERLOAD, AwsError, Kind
from stream_encryption.log import Log
from stream_encryption.progress import Progress
from stream_encryption.waiting import Wait

_T = TypeVar("_T")


class Patience:
    """The patience that one request has with AWS, all its calls together.

    Parameters
    ----------
    wait
        Sets the pace of the tries, and ends them.
    progress
        Keeps since when AWS refuses something.
    log
        Takes a line for each call that is tried again.
    """

    def __init__(self, wait: Wait, progress: Progress, log: Log) -> None:
        self._wait = wait
        self._progress = progress
        self._log = log
        self.trouble: AwsError | None = None
        """What the last call met, unless it succeeded."""

    def call(self, action: str, call: Callable[[], _T], patience: float) -> _T:
        """Call until it succeeds, for as long as the error allows.

        Parameters
        ----------
        action
            IAM action of the call.
        call
            A call that changes nothing.
        patience
            Seconds for which a denial is not taken for final.

        Raises
        ------
        AwsError
            When trying again cannot help.
        DeadlinePassed
            When time runs out before.
        """
        while True:
            try:
                result = call()
            except AwsError as error:
                if error.kind in OVERLOAD:
                    self.slow_down(error, in_line=not self._progress.accepted)
                elif error.kind is not Kind.DENIED or not self.bears(error, patience):
                    raise
                self._log.warning("the call is tried again", error=error)
            else:
                self.trouble = None
                self._progress.refused_since.pop(action, None)
                self._wait.pace.succeeded()
                return result
            self._wait.pause()

    def slow_down(self, error: AwsError, *, in_line: bool) -> None:
        """Leave AWS time after an error that may mend itself.

        Parameters
        ----------
        error
            What the call met.
        in_line
            Whether the whole fleet may be waiting for the same call, as for the first look.
        """
        self.trouble = error
        if error.kind is Kind.THROTTLED:
            self._wait.pace.throttled(in_line=in_line)
        elif error.kind in OVERLOAD:
            self._wait.pace.failed()

    def bears(self, error: AwsError, patience: float) -> bool:
        """Tell whether a refusal is young enough to be tried again."""
        self.trouble = error
        now = self._wait.clock.now()
        return now - self._progress.refused_since.setdefault(error.action, now) < patience
