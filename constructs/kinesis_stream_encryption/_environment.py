"""Regions and accounts, as far as they are known at synth."""

from __future__ import annotations

from dataclasses import dataclass

from kinesis_stream_encryption._tokens import is_unresolved

__all__ = ["Difference", "Environment"]


@dataclass(frozen=True)
class Difference:
    """What tells one environment from another.

    Attributes
    ----------
    what
        ``region`` or ``account``.
    own
        Value in the environment that was compared.
    other
        Value in the one it was compared with.
    """

    what: str
    own: str
    other: str


@dataclass(frozen=True)
class Environment:
    """Where something is deployed.

    Attributes
    ----------
    region, account
        None where only deployment will tell.
    """

    region: str | None
    account: str | None

    @classmethod
    def of(cls, *, region: str, account: str) -> Environment:
        """Take over what is known of a region and an account."""
        return cls(region=_known(region), account=_known(account))

    def difference(self, other: Environment) -> Difference | None:
        """Find a value that is known of both environments and is not the same."""
        for what, ours, theirs in (
            ("region", self.region, other.region),
            ("account", self.account, other.account),
        ):
            if ours is not None and theirs is not None and ours != theirs:
                return Difference(what, ours, theirs)
        return None


def _known(value: str) -> str | None:
    return None if is_unresolved(value) else value
