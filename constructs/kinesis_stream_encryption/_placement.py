"""Spreading rights over policies that IAM limits in size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

__all__ = ["Placement", "Right"]

_FIRST = 0


@dataclass(frozen=True)
class Right:
    """A right that takes room in a policy.

    Attributes
    ----------
    name
        What it is for; decides where it goes.
    sizes
        Characters of each ARN it lists, by ARN. Rights in one policy share an ARN's room.
    """

    name: str
    sizes: tuple[tuple[str, int], ...]


@dataclass
class _Policy:
    room: int
    rights: list[Right] = field(default_factory=list)
    _listed: dict[str, int] = field(default_factory=dict)

    def add(self, right: Right) -> bool:
        listed = self._listed | dict(right.sizes)
        if sum(listed.values()) > self.room:
            return False
        self._listed = listed
        self.rights.append(right)
        return True


class Placement:
    """Decide which policy holds which right.

    While everything fits into the first policy, it is the only one. After that each right has the
    policy that its name hashes to, so that one more right changes one policy and not, as filling
    them one after the other would, every policy behind it.

    Parameters
    ----------
    policies
        How many policies there may be.
    room
        Characters that ARNs may take in each.
    """

    def __init__(self, *, policies: int, room: int) -> None:
        self._count = policies
        self._room = room
        self._policies = self._empty()
        self._spread = False

    def add(self, right: Right) -> bool:
        """Place a right; False, and nothing changed, if there is no room left for it."""
        if self._spread:
            return self._hash(right, self._policies)
        if self._policies[_FIRST].add(right):
            return True
        spread = self._empty()
        if not all(self._hash(each, spread) for each in [*self.rights(_FIRST), right]):
            return False
        self._policies, self._spread = spread, True
        return True

    def rights(self, policy: int) -> list[Right]:
        """Rights in the policy of that number, counted from 0, by name."""
        return sorted(self._policies[policy].rights, key=lambda right: right.name)

    def used(self) -> list[int]:
        """Numbers of the policies that hold something."""
        return [number for number, policy in enumerate(self._policies) if policy.rights]

    def _empty(self) -> list[_Policy]:
        return [_Policy(self._room) for _ in range(self._count)]

    def _hash(self, right: Right, policies: list[_Policy]) -> bool:
        digest = hashlib.sha256(right.name.encode()).digest()
        home = int.from_bytes(digest[:8]) % len(policies)
        return any(policy.add(right) for policy in policies[home:] + policies[:home])
