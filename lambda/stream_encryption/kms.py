"""What KMS knows of a key: whether it is fit for a stream, and which key a spelling means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from stream_encryption.arn import Place, is_alias, key_arn
from stream_encryption.aws_error import translated

LOOK = "kms:DescribeKey"
"""IAM action of a look at the key."""


class Key(NamedTuple):
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

    @property
    def remedy(self) -> str:
        """What makes a key in this state usable."""
        return {
            "Disabled": "Enable it (kms:EnableKey) or give another key.",
            "PendingDeletion": "Cancel its deletion and enable it (kms:CancelKeyDeletion,"
            " kms:EnableKey) or give another key.",
            "PendingReplicaDeletion": "Give another key: this one is going to be deleted.",
            "PendingImport": "Import its key material or give another key.",
            "Unavailable": "Reconnect its custom key store or give another key.",
            "Creating": "Wait until it is created, then deploy again.",
        }.get(self.state, "Give a key whose state is Enabled.")


class Keys:
    """The keys that a stream may be encrypted with.

    Parameters
    ----------
    client
        Makes the KMS client of boto3; called at the first look only, as most updates need none.
    place
        Where the stream is: key ids and alias names are looked up there.
    """

    def __init__(self, client: Callable[[], Any], place: Place) -> None:
        self._make_client = client
        self._client: Any = None
        self._place = place

    def look(self, key_id: str) -> Key:
        """Describe a key.

        Source: KMS API reference, DescribeKey.

        Raises
        ------
        AwsError
            When the call fails: also when the key does not exist.
        """
        if self._client is None:
            self._client = self._make_client()
        with translated(LOOK):
            metadata = self._client.describe_key(KeyId=key_id)["KeyMetadata"]
        return Key(
            arn=metadata["Arn"],
            state=metadata["KeyState"],
            spec=metadata.get("KeySpec", "SYMMETRIC_DEFAULT"),
            usage=metadata.get("KeyUsage", "ENCRYPT_DECRYPT"),
        )

    def same(self, one: str, other: str, resolve: Callable[[str], Key | None]) -> bool:
        """Tell whether two spellings mean the same key.

        Parameters
        ----------
        one, other
            Key id, key ARN, alias name or alias ARN.
        resolve
            Looks an alias up; None when it may not or cannot be looked up.
        """
        arns = [key_arn(one, self._place), key_arn(other, self._place)]
        if arns[0] == arns[1]:
            return True
        # Two key ARNs that differ are two keys; only an alias can hide which key it means.
        if not any(is_alias(arn) for arn in arns):
            return False
        resolved = []
        for arn in arns:
            key = resolve(arn) if is_alias(arn) else None
            if is_alias(arn) and key is None:
                return False
            resolved.append(key.arn if key else arn)
        return resolved[0] == resolved[1]
