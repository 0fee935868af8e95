"""The wanted key: whether a stream has it, and whether it is fit for one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from stream_encryption.aws.arn import AWS_MANAGED_KEY, Place, is_alias, key_arn
from stream_encryption.aws.errors import AwsError, ErrorKind
from stream_encryption.aws.kms import KeyDescription, Kms
from stream_encryption.encryption.best_effort import BestEffort
from stream_encryption.encryption.failure import FailureCode

Defect = tuple[FailureCode, dict[str, str]]
"""What makes a key unfit, and what the failure's texts need to tell it."""


class KeyMatch(Enum):
    """Whether two spellings mean the same key."""

    SAME = auto()
    DIFFERENT = auto()
    UNKNOWN = auto()
    """An alias is among them, and which key it means cannot be found out."""


def compare(
    one: str | None, other: str, place: Place, resolve: Callable[[str], str | None]
) -> KeyMatch:
    """Tell whether two spellings, in any form, mean the same key of a stream in a place.

    ``resolve`` gives the ARN of the key that an alias ARN means; None when that is unknown.
    """
    if one is None:
        return KeyMatch.DIFFERENT
    arns = [key_arn(one, place), key_arn(other, place)]
    if arns[0] == arns[1]:
        return KeyMatch.SAME
    # Two key ARNs that differ are two keys; only an alias can hide which key it means, one of its
    # own region and account (KMS API reference, UpdateAlias).
    one_place = arns[0].split(":")[3:5] == arns[1].split(":")[3:5]
    if not one_place or not any(is_alias(arn) for arn in arns):
        return KeyMatch.DIFFERENT
    resolved = [resolve(arn) if is_alias(arn) else arn for arn in arns]
    if None in resolved:
        return KeyMatch.UNKNOWN
    return KeyMatch.SAME if resolved[0] == resolved[1] else KeyMatch.DIFFERENT


class DesiredKey:
    """The key in the user's spelling, for a stream in a place; all looks at it only protect."""

    def __init__(self, key_id: str, place: Place, kms: Kms, best_effort: BestEffort) -> None:
        self.id = key_id
        self._place = place
        self._kms = kms
        self._best_effort = best_effort
        self._resolved: dict[str, str] = {}

    def match(self, key_id: str | None) -> KeyMatch:
        """Tell whether the key that a stream has is this one, in whichever form it is spelt."""
        return compare(key_id, self.id, self._place, self._resolve)

    def arn(self, key_id: str) -> str:
        """ARN of a key; of an alias itself when it cannot be found out which key it means."""
        arn = key_arn(key_id, self._place)
        return (self._resolve(arn) or arn) if is_alias(arn) else arn

    def defect(self) -> Defect | None:
        """Look whether the key is fit; None as well when that cannot be found out.

        KMS is eventually consistent: a key that is missing or in another state may soon be shown
        as usable. Source: Kinesis developer guide, "How do I get started with server-side
        encryption?".
        """
        if self.id == AWS_MANAGED_KEY:
            return None
        try:
            key = self._look(self.id)
        except AwsError:
            return FailureCode.KEY_NOT_FOUND, {}
        if key and not key.is_symmetric_encryption_key:
            return FailureCode.KEY_UNSUITABLE, {"spec": key.spec, "usage": key.usage}
        if key and not key.is_usable:
            return FailureCode.KEY_UNUSABLE, {"state": key.state}
        return None

    def _resolve(self, alias_arn: str) -> str | None:
        with suppress(AwsError):
            self._look(alias_arn)
        return self._resolved.get(alias_arn)

    def _look(self, key_id: str) -> KeyDescription | None:
        key = self._best_effort.attempt(
            lambda: self._kms.describe(key_id), conclusive=ErrorKind.NOT_FOUND
        )
        if key:
            self._resolved[key_arn(key_id, self._place)] = key.arn
        return key
