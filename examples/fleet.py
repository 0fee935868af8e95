"""Encrypt every stream of an app with one key, whoever owns it."""

from __future__ import annotations

from aws_cdk import App, Aspects, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption import EnforceStreamEncryption

STREAMS = ("orders", "payments", "shipments")


class Fleet(Stack):
    """Streams of others, and one of its own."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        for name in STREAMS:
            arn = self.format_arn(service="kinesis", resource="stream", resource_name=name)
            kinesis.Stream.from_stream_arn(self, name.capitalize(), arn)
        kinesis.Stream(self, "Audit")


app = App()
fleet = Fleet(app, "Fleet")
key = kms.Key(fleet, "Key", enable_key_rotation=True)
Aspects.of(app).add(EnforceStreamEncryption(encryption_key=key))
app.synth()
