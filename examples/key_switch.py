"""Switch a stream to another key.

With `cdk deploy --app "python3 examples/key_switch.py"` and:

    (nothing)                        the stream is encrypted with the first key
    -c key=second -c previous=first  it is switched to the second one
    -c key=second                    one retention period later (24 hours by default)

Records written before the switch stay encrypted with the first key until they expire, so that the
consumer keeps its right to it until then. Each has a policy for the key in use at any moment, also
if the second deployment fails and is rolled back.
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
    """Two keys, of which one is in use, with a producer and a consumer."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        keys = {
            name: kms.Key(self, name.capitalize(), enable_key_rotation=True)
            for name in ("first", "second")
        }
        arn = self.format_arn(service="kinesis", resource="stream", resource_name=STREAM)
        previous = self.node.try_get_context("previous")
        encryption = KinesisStreamEncryption(
            self,
            "Encryption",
            stream=kinesis.Stream.from_stream_arn(self, "Stream", arn),
            encryption_key=keys[self.node.try_get_context("key") or "first"],
            previous_keys=[keys[previous]] if previous else [],
        )
        encryption.grant_write(self._role("Producer"))
        encryption.grant_read(self._role("Consumer"))

    def _role(self, id: str) -> iam.Role:
        return iam.Role(self, id, assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))


app = App()
KeySwitch(app, "KeySwitch")
app.synth()
