"""The Kinesis operations of the custom resource, on one stream."""

from __future__ import annotations

from typing import Any, NamedTuple

from stream_encryption.aws.errors import AwsError, ErrorKind, translated


class StreamDescription(NamedTuple):
    """The stream description that DescribeStreamSummary returns.

    Parameters
    ----------
    status
        ``CREATING``, ``ACTIVE``, ``UPDATING`` or ``DELETING``.
    key_id
        Key as Kinesis describes it, usually in the format of the request; None if the stream is
        unencrypted.
    created
        Creation time, in seconds since the epoch. It differs if a stream was deleted and created
        again with the same name.
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
    """A data stream in the Region and account of the function.

    Calls identify it by name: calls by ARN go to another host
    (``<account>.control-kinesis.<region>``), which a private network may not resolve.
    """

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self.arn = arn
        self.name = arn.split("/", 1)[1]

    def describe(self) -> StreamDescription | None:
        """Describe the stream; None if it does not exist.

        Source: Kinesis API reference, DescribeStreamSummary.

        Raises
        ------
        AwsError
            If the call fails for another reason.
        """
        try:
            with translated("kinesis:DescribeStreamSummary"):
                response = self._client.describe_stream_summary(StreamName=self.name)
                summary = response["StreamDescriptionSummary"]
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
        """Start encryption with a key; the stream is then UPDATING.

        Source: Kinesis API reference, StartStreamEncryption.

        Raises
        ------
        AwsError
            If the call fails.
        """
        with translated("kinesis:StartStreamEncryption"):
            self._client.start_stream_encryption(
                StreamName=self.name, EncryptionType="KMS", KeyId=key_id
            )
