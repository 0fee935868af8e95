"""The two Kinesis operations that this resource needs, on one stream."""

from __future__ import annotations

from typing import Any, NamedTuple

from stream_encryption.aws.errors import AwsError, ErrorKind, translated


class StreamDescription(NamedTuple):
    """A stream as DescribeStreamSummary shows it.

    Parameters
    ----------
    status
        ``CREATING``, ``ACTIVE``, ``UPDATING`` or ``DELETING``.
    key_id
        Key as Kinesis names it, mostly in the form it was given; None for a stream in plaintext.
    created
        Creation time, in seconds since the epoch: tells a stream from a later one of the same
        name.
    """

    status: str
    key_id: str | None
    created: float

    @property
    def encryption_type(self) -> str:
        """``KMS`` or ``NONE``."""
        return "NONE" if self.key_id is None else "KMS"

    def __str__(self) -> str:
        key = "" if self.key_id is None else f" with key {self.key_id}"
        return f"{self.status}, encryption {self.encryption_type}{key}"


class Stream:
    """One data stream of the function's own region and account.

    It is named by its name: calls that name an ARN go to another host
    (``<account>.control-kinesis.<region>``), which a private network may not know.
    """

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self.arn = arn
        self.name = arn.split("/", 1)[1]

    def describe(self) -> StreamDescription | None:
        """Describe the stream; None when it does not exist.

        Source: Kinesis API reference, DescribeStreamSummary.

        Raises
        ------
        AwsError
            When the call fails otherwise.
        """
        try:
            with translated("kinesis:DescribeStreamSummary"):
                answer = self._client.describe_stream_summary(StreamName=self.name)
                summary = answer["StreamDescriptionSummary"]
                encrypted = summary.get("EncryptionType", "NONE") == "KMS"
                return StreamDescription(
                    status=summary["StreamStatus"],
                    key_id=summary.get("KeyId", "") if encrypted else None,
                    created=summary["StreamCreationTimestamp"].timestamp(),
                )
        except AwsError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise

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
                StreamName=self.name, EncryptionType="KMS", KeyId=key_id
            )
