"""A producer and a consumer of a stream that gets encrypted.

Their rights to the key are in place before it is used, so that no record is refused in between.
"""

from __future__ import annotations

from aws_cdk import App, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption

STREAM = "orders"

PRODUCE = f"""
import boto3

def handler(event, context):
    record = {{"Data": b"order", "PartitionKey": "1"}}
    answer = boto3.client("kinesis").put_record(StreamName="{STREAM}", **record)
    return answer.get("EncryptionType")
"""

CONSUME = """
def handler(event, context):
    print(len(event["Records"]), "records")
"""


class ProducerConsumer(Stack):
    """Two functions around one stream."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        arn = self.format_arn(service="kinesis", resource="stream", resource_name=STREAM)
        stream = kinesis.Stream.from_stream_arn(self, "Stream", arn)
        encryption = KinesisStreamEncryption(
            self,
            "Encryption",
            stream=stream,
            encryption_key=kms.Key(self, "Key", enable_key_rotation=True),
        )
        encryption.grant_write(self._function("Producer", PRODUCE))
        consumer = self._function("Consumer", CONSUME)
        encryption.grant_read(consumer)
        start = lambda_.StartingPosition.TRIM_HORIZON
        consumer.add_event_source(sources.KinesisEventSource(stream, starting_position=start))

    def _function(self, id: str, code: str) -> lambda_.Function:
        return lambda_.Function(
            self,
            id,
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline(code),
        )


app = App()
ProducerConsumer(app, "ProducerConsumer")
app.synth()
