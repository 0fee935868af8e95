"""Server-side encryption for Kinesis data streams that CloudFormation does not own."""

from kinesis_stream_encryption.encryption import KinesisStreamEncryption
from kinesis_stream_encryption.provider import KinesisStreamEncryptionProvider

__all__ = [
    "KinesisStreamEncryption",
    "KinesisStreamEncryptionProvider",
]
