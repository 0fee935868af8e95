"""Encrypt the stream between an EventBridge rule and a Lambda function.

Both receive the construct in place of the stream: CDK grants them access to the stream, and the
construct adds access to the key, before the key is applied.
"""

from __future__ import annotations

from aws_cdk import App, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption

STREAM = "orders"

INVOICE = """
def handler(event, context):
    for record in event["Records"]:
        print("invoice for", record["kinesis"]["partitionKey"])
"""


class OrderPipeline(Stack):
    """A rule that puts events into an existing stream, and a function that processes them."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        arn = self.format_arn(service="kinesis", resource="stream", resource_name=STREAM)
        orders = KinesisStreamEncryption(
            self,
            "Orders",
            stream=kinesis.Stream.from_stream_arn(self, "Stream", arn),
            encryption_key=kms.Key(self, "Key", enable_key_rotation=True),
        )
        events.Rule(
            self,
            "OrderPlaced",
            event_pattern=events.EventPattern(source=["shop"], detail_type=["OrderPlaced"]),
            targets=[targets.KinesisStream(orders, partition_key_path="$.detail.orderId")],
        )
        invoices = lambda_.Function(
            self,
            "Invoices",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline(INVOICE),
        )
        start = lambda_.StartingPosition.TRIM_HORIZON
        invoices.add_event_source(sources.KinesisEventSource(orders, starting_position=start))


app = App()
OrderPipeline(app, "OrderPipeline")
app.synth()
