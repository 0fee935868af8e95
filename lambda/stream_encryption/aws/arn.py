"""Names of streams and keys, and where they are."""

from __future__ import annotations

import re
from typing import NamedTuple

AWS_MANAGED_KEY = "alias/aws/kinesis"
"""Alias of the account's AWS managed key for Kinesis."""

_KEY_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-f]{32}")


class Place(NamedTuple):
    """Partition, region and account of a resource."""

    partition: str
    region: str
    account: str

    @classmethod
    def of(cls, arn: str) -> Place:
        """Read the place off an ARN."""
        _, partition, _, region, account, _ = arn.split(":", 5)
        return cls(partition, region, account)

    def arn(self, service: str, resource: str) -> str:
        """Build the ARN of a resource in this place."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def __str__(self) -> str:
        return f"{self.partition}/{self.region}/{self.account}"


def key_arn(key_id: str, place: Place) -> str:
    """Spell a key or alias as an ARN, whichever form it is given in.

    A key id becomes a key ARN, ``alias/Name`` an alias ARN; both in ``place``, where Kinesis
    looks for them.
    """
    if key_id.startswith("arn:"):
        return key_id
    return place.arn("kms", key_id if key_id.startswith("alias/") else f"key/{key_id}")


def is_key_id(text: str) -> bool:
    """Tell whether the text is a bare key id, of a single-Region or a multi-Region key."""
    return _KEY_ID.fullmatch(text) is not None


def is_alias(arn: str) -> bool:
    """Tell whether the ARN is that of an alias."""
    return arn.split(":", 5)[5].startswith("alias/")
