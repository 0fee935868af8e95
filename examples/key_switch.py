"""Switch a stream to another key.

    cdk deploy                    the stream is encrypted with the first key
    cdk deploy -c key=second      it is switched to the second one

Records written before the switch stay encrypted with the first key. It and the consumers' right to
it have to stay until those records have expired: one retention period, 24 hours by default.
"""

from __future__ import annotations

from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption

STREAM = "orders"


class KeySwitch(Stack):
    """Two keys, of which one is in use, and a consumer that may read records under both."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        keys = {
            name: kms.Key(self, name.capitalize(), enable_key_rotation=True)
            for name in ("first", "second")
        }
        arn = self.format_arn(service="kinesis", resource="stream", resource_name=STREAM)
        consumer = iam.Role(
            self, "Consumer", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com")
        )
        for key in keys.values():
            key.grant_decrypt(consumer)
        encryption = KinesisStreamEncryption(
            self,
            "Encryption",
            stream=kinesis.Stream.from_stream_arn(self, "Stream", arn),
            encryption_key=keys[self.node.try_get_context("key") or "first"],
        )
        encryption.grant_read(consumer)


app = App()
KeySwitch(app, "KeySwitch")
app.synth()
