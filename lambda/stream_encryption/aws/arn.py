"""Identifiers of streams and keys, and their locations."""

from __future__ import annotations

import re
from typing import NamedTuple

AWS_MANAGED_KEY = "alias/aws/kinesis"
"""Alias of the account's AWS managed key for Kinesis."""

_KEY_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-f]{32}")


class Place(NamedTuple):
    """Partition, Region, and account of a resource."""

    partition: str
    region: str
    account: str

    @classmethod
    def of(cls, arn: str) -> Place:
        """Return the place of a resource from its ARN."""
        _, partition, _, region, account, _ = arn.split(":", 5)
        return cls(partition, region, account)

    def arn(self, service: str, resource: str) -> str:
        """Build the ARN of a resource in this place."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def __str__(self) -> str:
        return f"{self.partition}/{self.region}/{self.account}"


def key_arn(key_id: str, place: Place) -> str:
    """Return the ARN of a key or alias, for a key identifier in any format.

    A key ID becomes a key ARN, ``alias/Name`` an alias ARN; both in ``place``, where Kinesis
    resolves them.
    """
    if key_id.startswith("arn:"):
        return key_id
    return place.arn("kms", key_id if key_id.startswith("alias/") else f"key/{key_id}")


def is_key_id(text: str) -> bool:
    """Return whether the text is the key ID of a single-Region or multi-Region key."""
    return _KEY_ID.fullmatch(text) is not None


def is_alias(arn: str) -> bool:
    """Return whether the ARN is the ARN of an alias."""
    return arn.split(":", 5)[5].startswith("alias/")
