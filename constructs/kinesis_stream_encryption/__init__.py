"""Server-side encryption for Kinesis data streams that CloudFormation does not own."""

from kinesis_stream_encryption._function import FunctionOptions
from kinesis_stream_encryption._guarded import GuardedStreams
from kinesis_stream_encryption._remediation import Remediation
from kinesis_stream_encryption.encryption import KinesisStreamEncryption
from kinesis_stream_encryption.guard import StreamEncryptionGuard
from kinesis_stream_encryption.provider import KinesisStreamEncryptionProvider

__all__ = [
    "FunctionOptions",
    "GuardedStreams",
    "KinesisStreamEncryption",
    "KinesisStreamEncryptionProvider",
    "Remediation",
    "StreamEncryptionGuard",
]
