"""Spreading rights over policies that IAM limits in size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

__all__ = ["Placement", "Right"]


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
    """Decide which policy holds which right, by linear hashing.

    Each right has a home among the policies by the hash of its name. There are as few policies as
    let every right fit its home, whichever order the rights come in. Each policy more takes rights
    out of one other only. So one more right changes one policy while its home has room, and one for
    each policy that it adds otherwise; filling them one after the other would change every policy
    behind it.

    Once there can be no more policies, homes are spread evenly over all of them, and a right whose
    home is full goes to the next one with room, so that the order matters.

    Parameters
    ----------
    policies
        How many policies there may be.
    room
        Characters that ARNs may take in each.
    """

    def __init__(self, *, policies: int, room: int) -> None:
        self._limit = policies
        self._room = room
        self._policies = self._empty(1)

    def add(self, right: Right) -> bool:
        """Place a right; False, and nothing changed, if there is no room left for it."""
        if self._put(right, self._policies):
            return True
        rights = [*(each for policy in self._policies for each in policy.rights), right]
        for count in range(len(self._policies) + 1, self._limit + 1):
            policies = self._empty(count)
            if all(self._put(each, policies) for each in rights):
                self._policies = policies
                return True
        return False

    def rights(self, policy: int) -> list[Right]:
        """Rights in the policy of that number, counted from 0, by name."""
        return sorted(self._policies[policy].rights, key=lambda right: right.name)

    def used(self) -> list[int]:
        """Numbers of the policies that hold something."""
        return [number for number, policy in enumerate(self._policies) if policy.rights]

    def _empty(self, count: int) -> list[_Policy]:
        return [_Policy(self._room) for _ in range(count)]

    def _put(self, right: Right, policies: list[_Policy]) -> bool:
        digest = int.from_bytes(hashlib.sha256(right.name.encode()).digest()[:8])
        if len(policies) < self._limit:
            return policies[_home(digest, len(policies))].add(right)
        home = digest % len(policies)
        return any(policy.add(right) for policy in policies[home:] + policies[:home])


def _home(digest: int, count: int) -> int:
    """Find a home so that one policy more takes rights from one of the others only."""
    doubled = 1 << (count - 1).bit_length()
    home = digest % doubled
    return home if home < count else home % (doubled // 2)
