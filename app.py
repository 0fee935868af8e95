"""Encrypt an existing Kinesis data stream.

    cdk deploy -c stream=orders
    cdk deploy -c stream=orders -c key=alias/orders -c timeout=30

Context
-------
stream
    Name or ARN of the stream. Required.
key
    Key id, key ARN, alias or alias ARN. Default: ``alias/aws/kinesis``, the AWS managed key.
timeout
    Minutes that the change may take, 1 to 59. Default: 10.
revision
    Any text; another one has the stream looked at again, and its key put back if somebody has
    changed it. Default: none.
stackName
    Default: ``kinesis-stream-encryption``.
"""

from __future__ import annotations

import re
import sys

from aws_cdk import App, CfnOutput, Duration, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption

# https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-id
_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")


class StreamEncryptionStack(Stack):
    """A stack that encrypts one stream."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id, description="Encrypts an existing Kinesis data stream")
        encryption = KinesisStreamEncryption(
            self,
            "Encryption",
            stream=self._stream(self._given("stream")),
            encryption_key=self._key(self._context("key") or "alias/aws/kinesis"),
            timeout=self._timeout(self._context("timeout") or "10"),
            revision=self._context("revision"),
        )
        CfnOutput(self, "StreamArn", value=encryption.stream_arn)
        CfnOutput(self, "KeyArn", value=encryption.key_arn)

    def _context(self, name: str) -> str | None:
        value = self.node.try_get_context(name)
        return None if value is None else str(value)

    def _given(self, name: str) -> str:
        value = self._context(name)
        if not value:
            raise ValueError(
                f"no {name} is given: name an existing one, cdk deploy -c {name}=<name or ARN>"
            )
        return value

    def _stream(self, stream: str) -> kinesis.IStream:
        return kinesis.Stream.from_stream_arn(
            self, "Stream", self._arn("kinesis", "stream", stream)
        )

    def _key(self, key: str) -> kms.IKey:
        name = key.rsplit(":", 1)[-1] if key.startswith("arn:") else key
        if name.startswith("alias/"):
            return kms.Alias.from_alias_name(self, "Key", name)
        if _KEY_ID.fullmatch(key if name == key else name.removeprefix("key/")) is None:
            raise ValueError(
                f"key is {key!r}: give a key id (1234abcd-12ab-34cd-56ef-1234567890ab), a key ARN "
                "(arn:aws:kms:<region>:<account>:key/<key id>), an alias (alias/orders) or an "
                "alias ARN"
            )
        return kms.Key.from_key_arn(self, "Key", self._arn("kms", "key", key))

    def _arn(self, service: str, resource: str, value: str) -> str:
        if value.startswith("arn:"):
            return value
        return self.format_arn(service=service, resource=resource, resource_name=value)

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
