"""The three Kinesis operations that this resource needs, on one stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stream_encryption.aws_error import AwsError, Kind, translated

LOOK = "kinesis:DescribeStreamSummary"
"""IAM action of a look at the stream."""


@dataclass(frozen=True)
class Found:
    """A stream as DescribeStreamSummary shows it.

    Parameters
    ----------
    status
        ``CREATING``, ``ACTIVE``, ``UPDATING`` or ``DELETING``.
    key_id
        Key in the form it was given to Kinesis; None for a stream in plaintext.
    created
        Creation time in whole seconds since the epoch: tells a stream from a later one of the
        same name.
    """

    status: str
    key_id: str | None
    created: int

    @property
    def encryption_type(self) -> str:
        """``KMS`` or ``NONE``."""
        return "NONE" if self.key_id is None else "KMS"

    def __str__(self) -> str:
        key = "" if self.key_id is None else f" with key {self.key_id}"
        return f"{self.status}, encryption {self.encryption_type}{key}"


class Stream:
    """One data stream.

    Parameters
    ----------
    client
        Kinesis client of boto3.
    arn
        ARN of the stream.
    """

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self.arn = arn

    def look(self) -> Found | None:
        """Describe the stream; None when it does not exist.

        Raises
        ------
        AwsError
            When the call fails otherwise.
        """
        try:
            with translated(LOOK):
                answer = self._client.describe_stream_summary(StreamARN=self.arn)
        except AwsError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise
        summary = answer["StreamDescriptionSummary"]
        encrypted = summary.get("EncryptionType", "NONE") == "KMS"
        return Found(
            status=summary["StreamStatus"],
            key_id=summary.get("KeyId", "") if encrypted else None,
            created=int(summary["StreamCreationTimestamp"].timestamp()),
        )

    def start_encryption(self, key_id: str) -> None:
        """Ask for encryption with a key; the stream is UPDATING afterwards.

        Source: Kinesis API reference, StartStreamEncryption.

        Raises
        ------
        AwsError
            When the call fails.
        """
        with translated("kinesis:StartStreamEncryption"):
            self._client.start_stream_encryption(
                StreamARN=self.arn, EncryptionType="KMS", KeyId=key_id
            )

    def stop_encryption(self, key_id: str) -> None:
        """Ask for plaintext; the stream is UPDATING afterwards.

        Source: Kinesis API reference, StopStreamEncryption.

        Raises
        ------
        AwsError
            When the call fails.
        """
        with translated("kinesis:StopStreamEncryption"):
            self._client.stop_stream_encryption(
                StreamARN=self.arn, EncryptionType="KMS", KeyId=key_id
            )
