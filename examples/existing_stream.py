"""Encrypt an existing stream with a new key."""

from __future__ import annotations

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption

STREAM = "orders"


class ExistingStream(Stack):
    """A key, and the stream that it encrypts."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        arn = self.format_arn(service="kinesis", resource="stream", resource_name=STREAM)
        encryption = KinesisStreamEncryption(
            self,
            "Encryption",
            stream=kinesis.Stream.from_stream_arn(self, "Stream", arn),
            encryption_key=kms.Key(self, "Key", enable_key_rotation=True),
        )
        CfnOutput(self, "KeyArn", value=encryption.key_arn)


app = App()
ExistingStream(app, "ExistingStream")
app.synth()
