"""The key that a request wants: whether a stream has it, and whether it is fit for one."""

from __future__ import annotations

from stream_encryption import kms
from stream_encryption.arn import AWS_OWNED_ALIAS, key_arn
from stream_encryption.aws_error import AwsError, Kind
from stream_encryption.failure import Cause
from stream_encryption.kinesis import Found
from stream_encryption.kms import Key, Keys
from stream_encryption.log import Log
from stream_encryption.patience import Patience
from stream_encryption.request import Request
from stream_encryption.waiting import Clock

PREFLIGHT_PATIENCE = 10.0
"""Seconds for which a denial to look at the key may be a policy that has not propagated yet.

The change can do without that look.
"""

KEY_VALIDITY = 30.0
"""Seconds for which a look at the key need not be repeated."""


class WantedKey:
    """The wanted key, as far as the function may look at it.

    Parameters
    ----------
    request
        Names the key.
    keys
        The AWS side.
    patience
        Makes the calls.
    clock
        Source of time.
    log
        Takes a line where the key could not be looked at.
    """

    def __init__(
        self, request: Request, *, keys: Keys, patience: Patience, clock: Clock, log: Log
    ) -> None:
        self._request = request
        self._keys = keys
        self._patience = patience
        self._clock = clock
        self._log = log
        self._resolved: dict[str, Key | None] = {}
        self._checked = float("-inf")
        self.defect: tuple[Cause, dict[str, str]] | None = None
        """What makes it unfit by the last check, and what the failure's texts need to tell it."""

    @property
    def is_checkable(self) -> bool:
        """Whether there is anything to look at before the key is used."""
        return self._request.type != "Delete" and self._request.key_id != AWS_OWNED_ALIAS

    @property
    def is_due(self) -> bool:
        """Whether the key has to be checked before a change."""
        return self.is_checkable and self._clock.now() - self._checked > KEY_VALIDITY

    def encrypts(self, found: Found) -> bool:
        """Tell whether a stream has the key, in whichever form the two are spelt."""
        if found.key_id is None:
            return False
        return self._keys.same(found.key_id, self._request.key_id, self.resolve)

    def resolve(self, key_id: str) -> Key | None:
        """Look up which key an alias means; None when that cannot be found out.

        Raises
        ------
        DeadlinePassed
            When time runs out before.
        """
        if key_id not in self._resolved:
            try:
                self._resolved[key_id] = self._look(key_id, 0)
            except AwsError as error:
                self._log.warning("the alias could not be looked up", alias=key_id, error=error)
                self._resolved[key_id] = None
        return self._resolved[key_id]

    def check(self) -> None:
        """Look whether the key is fit.

        Raises
        ------
        DeadlinePassed
            When time runs out before.
        """
        request = self._request
        self.defect = None
        try:
            key = self._look(request.key_id, PREFLIGHT_PATIENCE)
        except AwsError as error:
            if error.kind is Kind.NOT_FOUND or error.code == "InvalidArnException":
                self.defect = Cause.KEY_NOT_FOUND, {}
            else:
                self._log.warning("the key could not be looked at", error=error)
            return
        finally:
            self._checked = self._clock.now()
        self._resolved[key_arn(request.key_id, request.place)] = key
        if not key.is_symmetric_encryption_key:
            self.defect = Cause.KEY_UNSUITABLE, {"spec": key.spec, "usage": key.usage}
        elif not key.is_usable:
            self.defect = Cause.KEY_UNUSABLE, {"state": key.state, "remedy": key.remedy}

    def _look(self, key_id: str, patience: float) -> Key:
        return self._patience.call(kms.LOOK, lambda: self._keys.look(key_id), patience)
