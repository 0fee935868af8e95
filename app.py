"""Encrypt existing Kinesis data streams.

    cdk deploy -c stream=orders
    cdk deploy -c stream=orders,payments -c key=alias/orders -c timeout=30

Context
-------
stream
    Names or ARNs of the streams, separated by commas. Required.
key
    Key ID, key ARN, alias, or alias ARN. Default: ``alias/aws/kinesis``, the AWS managed key.
timeout
    Maximum duration of a change, 1 to 59 minutes. Default: 10.
revision
    Any text. A value that differs from the previous deployment applies the key again if another
    caller has changed it. Default: none.
stackName
    Name of the stack. Default: ``kinesis-stream-encryption``.
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
    """A stack that encrypts streams with one key."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id, description="Encrypts existing Kinesis data streams")
        streams = self._streams()
        key = self._key(self._context("key") or "alias/aws/kinesis")
        for name, stream in streams.items():
            # The ID depends on the name alone, so that you can add streams to the list.
            scope = Construct(self, f"Stream-{name}")
            encryption = KinesisStreamEncryption(
                scope,
                "Encryption",
                stream=kinesis.Stream.from_stream_arn(scope, "Stream", stream),
                encryption_key=key,
                timeout=self._timeout(self._context("timeout") or "10"),
                revision=self._context("revision"),
            )
            outputs = self if len(streams) == 1 else scope
            CfnOutput(outputs, "StreamArn", value=encryption.stream_arn)
            CfnOutput(outputs, "KeyArn", value=encryption.key_arn)

    def _context(self, name: str) -> str | None:
        value = self.node.try_get_context(name)
        return None if value is None else str(value)

    def _streams(self) -> dict[str, str]:
        """Return the ARN of each stream by its name."""
        streams: dict[str, str] = {}
        for value in filter(None, map(str.strip, (self._context("stream") or "").split(","))):
            name = value.rsplit("/", 1)[-1]
            if name in streams:
                raise ValueError(f"the stream {name!r} is listed twice: list each stream once")
            streams[name] = self._arn("kinesis", "stream", value)
        if not streams:
            raise ValueError(
                "the context 'stream' is missing: pass existing streams, cdk deploy "
                "-c stream=<name or ARN>,…"
            )
        return streams

    def _key(self, key: str) -> kms.IKey:
        name = key.rsplit(":", 1)[-1] if key.startswith("arn:") else key
        if name.startswith("alias/"):
            return kms.Alias.from_alias_name(self, "Key", name)
        if _KEY_ID.fullmatch(key if name == key else name.removeprefix("key/")) is None:
            raise ValueError(
                f"malformed key {key!r}: pass a key ID (1234abcd-12ab-34cd-56ef-1234567890ab), a "
                "key ARN (arn:aws:kms:<region>:<account>:key/<key ID>), an alias (alias/orders), "
                "or an alias ARN"
            )
        return kms.Key.from_key_arn(self, "Key", self._arn("kms", "key", key))

    def _arn(self, service: str, resource: str, value: str) -> str:
        if value.startswith("arn:"):
            return value
        return self.format_arn(service=service, resource=resource, resource_name=value)

    def _timeout(self, minutes: str) -> Duration:
        if not minutes.isdecimal():
            raise ValueError(f"malformed timeout {minutes!r}: pass a whole number of minutes")
        return Duration.minutes(int(minutes))


def main() -> None:
    """Synthesize the app; exit with one line if its context is invalid."""
    app = App()
    name = app.node.try_get_context("stackName") or "kinesis-stream-encryption"
    try:
        StreamEncryptionStack(app, name)
    except ValueError as error:
        sys.exit(f"error: {error}")
    app.synth()


if __name__ == "__main__":
    main()
