"""The desired key: whether a stream has it, and whether Kinesis can use it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from stream_encryption.aws.arn import AWS_MANAGED_KEY, Place, is_alias, key_arn
from stream_encryption.aws.errors import AwsError, ErrorKind
from stream_encryption.aws.kms import KeyDescription, Kms
from stream_encryption.encryption.best_effort import BestEffort
from stream_encryption.encryption.failure import FailureCode, key_state_remedy

CREATING = "Creating"
"""State of a new multi-Region replica key, for some minutes.

Source: KMS Developer Guide, "Key states of AWS KMS keys".
"""

Defect = tuple[FailureCode, dict[str, str]]
"""Why a key is not suitable, and the fields of the failure."""


class KeyMatch(Enum):
    """Whether two key identifiers mean the same key."""

    SAME = auto()
    DIFFERENT = auto()
    UNKNOWN = auto()
    """One of them is an alias that cannot be resolved."""


def compare(
    one: str | None, other: str, place: Place, resolve: Callable[[str], str | None]
) -> KeyMatch:
    """Compare two key identifiers, in any format, for a stream in a place.

    ``resolve`` returns the key ARN of an alias ARN, or None if it is unknown.
    """
    if one is None:
        return KeyMatch.DIFFERENT
    arns = [key_arn(one, place), key_arn(other, place)]
    if arns[0] == arns[1]:
        return KeyMatch.SAME
    # Different key ARNs are different keys. An alias can only mean a key of its own account and
    # Region (KMS API Reference, UpdateAlias).
    one_place = arns[0].split(":")[3:5] == arns[1].split(":")[3:5]
    if not one_place or not any(is_alias(arn) for arn in arns):
        return KeyMatch.DIFFERENT
    resolved = [resolve(arn) if is_alias(arn) else arn for arn in arns]
    if None in resolved:
        return KeyMatch.UNKNOWN
    return KeyMatch.SAME if resolved[0] == resolved[1] else KeyMatch.DIFFERENT


class DesiredKey:
    """The desired key of a stream in a place; all calls to KMS are best effort."""

    def __init__(self, key_id: str, place: Place, kms: Kms, best_effort: BestEffort) -> None:
        self.id = key_id
        self._place = place
        self._kms = kms
        self._best_effort = best_effort
        self._resolved: dict[str, str] = {}

    def match(self, key_id: str | None) -> KeyMatch:
        """Compare the key of a stream, in any format, with this key."""
        return compare(key_id, self.id, self._place, self._resolve)

    def arn(self, key_id: str) -> str:
        """Return the ARN of a key; the alias ARN if an alias cannot be resolved."""
        arn = key_arn(key_id, self._place)
        return (self._resolve(arn) or arn) if is_alias(arn) else arn

    def defect(self) -> Defect | None:
        """Check whether Kinesis can use the key; None also if the check cannot run.

        KMS is eventually consistent: a key that is missing or in another state may be usable soon.
        Source: Kinesis Developer Guide, "How do I get started with server-side encryption?".
        """
        if self.id == AWS_MANAGED_KEY:
            return None
        try:
            key = self._describe(self.id)
        except AwsError:
            return FailureCode.KEY_NOT_FOUND, {}
        if key and not key.is_symmetric_encryption_key:
            return FailureCode.KEY_UNSUITABLE, {"spec": key.spec, "usage": key.usage}
        if key and not key.is_usable:
            fields = {"state": key.state, "fix": key_state_remedy(key.state)}
            return FailureCode.KEY_UNUSABLE, fields
        return None

    def _resolve(self, alias_arn: str) -> str | None:
        with suppress(AwsError):
            self._describe(alias_arn)
        return self._resolved.get(alias_arn)

    def _describe(self, key_id: str) -> KeyDescription | None:
        key = self._best_effort.attempt(
            lambda: self._kms.describe(key_id), conclusive=ErrorKind.NOT_FOUND
        )
        if key:
            self._resolved[key_arn(key_id, self._place)] = key.arn
        return key
