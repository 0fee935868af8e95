"""Simulated KMS: keys of every state and kind, and aliases that can be updated."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from simulated_aws.service import REGION, Params, ServiceError, arn
from simulated_aws.stage import History, Stage

AWS_MANAGED_ALIAS = "alias/aws/kinesis"
USABLE = ("Enabled", "Updating")
MISSING = "Missing"
"""State of a key that does not exist, although a template refers to it."""
_KEY_ARN = re.compile(rf"arn:[^:]+:kms:{REGION}:[0-9]{{12}}:(.+)")


@dataclass(frozen=True)
class Key:
    """A key at one time.

    Parameters
    ----------
    key_id
        Its ID.
    state, spec, usage
        As DescribeKey shows them.
    allows_kinesis
        Whether its policy lets users of the stream and this function use it.
    """

    key_id: str
    state: str = "Enabled"
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    allows_kinesis: bool = True

    @property
    def arn(self) -> str:
        """ARN of the key."""
        return arn("kms", f"key/{self.key_id}")

    @property
    def is_suitable(self) -> bool:
        """Whether DescribeKey shows a key that a stream can be encrypted with."""
        return (
            self.state in USABLE
            and self.spec == "SYMMETRIC_DEFAULT"
            and self.usage == "ENCRYPT_DECRYPT"
        )


class Kms:
    """The keys of the account and region.

    Parameters
    ----------
    stage
        Clock, journal, and faults.
    keys
        Initial keys.
    aliases
        Key ID by alias name.
    lag
        Seconds by which a read may be stale at most.
    rng
        Source of the staleness.
    """

    def __init__(
        self,
        stage: Stage,
        keys: tuple[Key, ...],
        aliases: dict[str, str],
        *,
        lag: float = 0.0,
        rng: Random | None = None,
    ) -> None:
        self._time = time = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self.lag = lag
        self._rng = rng or Random(0)
        self.keys = {key.key_id: History(time.now, key) for key in keys}
        self.aliases = {name: History(time.now, key_id) for name, key_id in aliases.items()}

    def resolve(self, identifier: str, when: float | None = None) -> Key | None:
        """Resolve a key identifier at a time; None when there is no such key."""
        when = self._time.now if when is None else when
        matched = _KEY_ARN.fullmatch(identifier)
        resource = matched[1].removeprefix("key/") if matched else identifier
        if resource.startswith("alias/"):
            alias = self.aliases.get(resource)
            resource = alias.at(when) if alias else ""
        history = self.keys.get(resource)
        key = history.at(when) if history else None
        return key if key and key.state != MISSING else None

    def moments(self, begin: float, end: float) -> list[float]:
        """A time, and all later ones until another time at which a key or an alias changed."""
        changed = [each.changed(begin, end) for each in self.keys.values()]
        changed += [each.changed(begin, end) for each in self.aliases.values()]
        return [begin, *(when for each in changed for when in each)]

    def same(self, one: str | None, other: str, when: float) -> bool:
        """Whether two key identifiers refer to the same key at a time."""
        if one is None:
            return False
        keys = self.resolve(one, when), self.resolve(other, when)
        if keys[0] is None or keys[1] is None:
            one, other = (each.rpartition(":")[2].removeprefix("key/") for each in (one, other))
            return one == other
        return keys[0].key_id == keys[1].key_id

    def serve(self, operation: str, params: Params, caller: object) -> dict[str, Any]:
        """Perform DescribeKey."""
        identifier = params["KeyId"]
        key = self._read(identifier)
        if key is None:
            kind = "Alias" if "alias/" in identifier else "Key"
            raise ServiceError("NotFoundException", f"{kind} '{identifier}' does not exist")
        return {
            "KeyMetadata": {
                "KeyId": key.key_id,
                "Arn": key.arn,
                "KeyState": key.state,
                "KeySpec": key.spec,
                "KeyUsage": key.usage,
            }
        }

    def check_for_kinesis(self, identifier: str) -> None:
        """Raise the error with which Kinesis rejects a key."""
        key = self._read(identifier)
        if key is None:
            raise ServiceError("KMSNotFoundException", f"Key {identifier} is not found")
        if not key.allows_kinesis:
            raise ServiceError(
                "KMSAccessDeniedException",
                f"The ciphertext refers to a key {key.arn} that"
                " does not exist in this region, or you are not allowed to access",
            )
        if key.state == "Disabled":
            raise ServiceError("KMSDisabledException", f"{key.arn} is disabled.")
        if not key.is_suitable:
            raise ServiceError(
                "KMSInvalidStateException", f"{key.arn} is not valid: {key.state}, {key.usage}"
            )

    def _read(self, identifier: str) -> Key | None:
        """Resolve a key as it was a short while ago: KMS is eventually consistent."""
        lag = self._rng.uniform(0, self.lag) if self.lag else 0.0
        key = self.resolve(identifier, self._time.now - lag)
        if key != self.resolve(identifier):
            self._faults.count("kms: stale description")
        return key

    def set_state(self, key_id: str, state: str) -> None:
        """Enable, disable, or delete a key."""
        history = self.keys[key_id]
        history.set(self._time.now, replace(history.value, state=state))
        self._journal.note("kms", "key", key_id, "is", state)

    def point_alias(self, name: str, key_id: str) -> None:
        """Point an alias to another key."""
        self.aliases[name].set(self._time.now, key_id)
        self._journal.note("kms", name, "now points to", key_id)
