"""What KMS knows of a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from stream_encryption.aws.errors import translated


class KeyDescription(NamedTuple):
    """A KMS key as DescribeKey shows it."""

    arn: str
    state: str
    spec: str
    usage: str

    @property
    def is_symmetric_encryption_key(self) -> bool:
        """Whether the key is of the only kind that Kinesis accepts."""
        return self.spec == "SYMMETRIC_DEFAULT" and self.usage == "ENCRYPT_DECRYPT"

    @property
    def is_usable(self) -> bool:
        """Whether cryptographic operations work in the key's state.

        Source: KMS developer guide, "Key states of AWS KMS keys". ``Updating`` is a multi-Region
        key whose primary is being moved: it stays usable.
        """
        return self.state in {"Enabled", "Updating"}


class Kms:
    """KMS in the function's own region; its client is made at the first look only."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def describe(self, key_id: str) -> KeyDescription:
        """Describe a key, given in any form.

        Source: KMS API reference, DescribeKey.

        Raises
        ------
        AwsError
            When the call fails: also when the key does not exist.
        """
        with translated("kms:DescribeKey"):
            metadata = self._client().describe_key(KeyId=key_id)["KeyMetadata"]
            return KeyDescription(
                arn=metadata["Arn"],
                state=metadata["KeyState"],
                spec=metadata.get("KeySpec", "SYMMETRIC_DEFAULT"),
                usage=metadata.get("KeyUsage", "ENCRYPT_DECRYPT"),
            )
