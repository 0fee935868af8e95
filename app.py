"""Encrypt an existing Kinesis data stream.

    cdk deploy -c stream=orders
    cdk deploy -c stream=orders -c key=alias/orders -c onDelete=Restore -c timeout=30

Context
-------
stream
    Name or ARN of the stream. Required.
key
    Key id, key ARN, alias or alias ARN. Default: ``alias/aws/kinesis``, the key that Kinesis owns.
onDelete
    ``Retain`` leaves the stream encrypted when the stack is deleted, ``Restore`` undoes what the
    stack did. Default: ``Retain``.
timeout
    Minutes that the change may take, 1 to 59. Default: 10.
stackName
    Default: ``kinesis-stream-encryption``.
"""

from __future__ import annotations

import sys

from aws_cdk import App, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption

_ON_DELETE = {"Retain": RemovalPolicy.RETAIN, "Restore": RemovalPolicy.DESTROY}


class StreamEncryptionStack(Stack):
    """A stack that encrypts one stream."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id, description="Encrypts an existing Kinesis data stream")
        encryption = KinesisStreamEncryption(
            self,
            "Encryption",
            stream=self._stream(self._context("stream")),
            encryption_key=self._key(self._context("key", "alias/aws/kinesis")),
            removal_policy=self._removal_policy(self._context("onDelete", "Retain")),
            timeout=self._timeout(self._context("timeout", "10")),
        )
        CfnOutput(self, "StreamArn", value=encryption.stream_arn)
        CfnOutput(self, "KeyArn", value=encryption.key_arn)
        CfnOutput(self, "EncryptionType", value=encryption.encryption_type)
        CfnOutput(self, "Changed", value=encryption.changed)

    def _context(self, name: str, default: str | None = None) -> str:
        value = self.node.try_get_context(name) or default
        if value is None:
            raise ValueError(
                f"no {name} is given: name an existing one, cdk deploy -c {name}=<name or ARN>"
            )
        return str(value)

    def _stream(self, stream: str) -> kinesis.IStream:
        return kinesis.Stream.from_stream_arn(
            self, "Stream", self._arn("kinesis", "stream", stream)
        )

    def _key(self, key: str) -> kms.IKey:
        name = key.rsplit(":", 1)[-1] if key.startswith("arn:") else key
        if name.startswith("alias/"):
            return kms.Alias.from_alias_name(self, "Key", name)
        return kms.Key.from_key_arn(self, "Key", self._arn("kms", "key", key))

    def _arn(self, service: str, resource: str, value: str) -> str:
        if value.startswith("arn:"):
            return value
        return self.format_arn(service=service, resource=resource, resource_name=value)

    def _removal_policy(self, on_delete: str) -> RemovalPolicy:
        if on_delete not in _ON_DELETE:
            raise ValueError(f"onDelete is {on_delete!r}: it must be {' or '.join(_ON_DELETE)}")
        return _ON_DELETE[on_delete]

    def _timeout(self, minutes: str) -> Duration:
        if not minutes.isdecimal():
            raise ValueError(f"timeout is {minutes!r}: give a whole number of minutes")
        return Duration.minutes(int(minutes))


def main() -> None:
    """Synthesize the app; on a mistake in its context, say what it is and nothing else."""
    app = App()
    name = app.node.try_get_context("stackName") or "kinesis-stream-encryption"
    try:
        StreamEncryptionStack(app, name)
    except ValueError as mistake:
        sys.exit(f"error: {mistake}")
    app.synth()


if __name__ == "__main__":
    main()
