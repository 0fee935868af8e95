"""Descriptions of KMS keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from stream_encryption.aws.errors import translated


class KeyDescription(NamedTuple):
    """The key description that DescribeKey returns."""

    arn: str
    state: str
    spec: str
    usage: str

    @property
    def is_symmetric_encryption_key(self) -> bool:
        """Whether the key is of the only type that Kinesis accepts."""
        return self.spec == "SYMMETRIC_DEFAULT" and self.usage == "ENCRYPT_DECRYPT"

    @property
    def is_usable(self) -> bool:
        """Whether cryptographic operations work in this key state.

        Source: KMS developer guide, "Key states of AWS KMS keys". ``Updating`` is a multi-Region
        key whose primary Region changes: it remains usable.
        """
        return self.state in {"Enabled", "Updating"}


class Kms:
    """KMS in the Region of the function; the client is created at the first call."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def describe(self, key_id: str) -> KeyDescription:
        """Describe a key by an identifier in any format.

        Source: KMS API reference, DescribeKey.

        Raises
        ------
        AwsError
            If the call fails, or the key does not exist.
        """
        with translated("kms:DescribeKey"):
            metadata = self._client().describe_key(KeyId=key_id)["KeyMetadata"]
            return KeyDescription(
                arn=metadata["Arn"],
                state=metadata["KeyState"],
                spec=metadata.get("KeySpec", "SYMMETRIC_DEFAULT"),
                usage=metadata.get("KeyUsage", "ENCRYPT_DECRYPT"),
            )
