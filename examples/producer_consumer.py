"""Grant your own code access to an encrypted stream, and start it after encryption.

The permissions on the key are in place before the key is applied. The producer handles data that
must never be stored unencrypted, so it is deployed only after the stream is encrypted.
"""

from __future__ import annotations

from aws_cdk import App, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption

STREAM = "orders"

PRODUCE = f"""
import boto3

def handler(event, context):
    record = {{"Data": b"order", "PartitionKey": "1"}}
    response = boto3.client("kinesis").put_record(StreamName="{STREAM}", **record)
    return response.get("EncryptionType")
"""

CONSUME = f"""
import boto3

def handler(event, context):
    kinesis = boto3.client("kinesis")
    shard = {{"ShardId": event["shard"], "ShardIteratorType": "TRIM_HORIZON"}}
    iterator = kinesis.get_shard_iterator(StreamName="{STREAM}", **shard)["ShardIterator"]
    return len(kinesis.get_records(ShardIterator=iterator)["Records"])
"""


class ProducerConsumer(Stack):
    """Two functions around one stream."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        arn = self.format_arn(service="kinesis", resource="stream", resource_name=STREAM)
        encryption = KinesisStreamEncryption(
            self,
            "Encryption",
            stream=kinesis.Stream.from_stream_arn(self, "Stream", arn),
            encryption_key=kms.Key(self, "Key", enable_key_rotation=True),
        )
        producer = self._function("Producer", PRODUCE)
        encryption.grant_write(producer)
        encryption.apply_before(producer)
        encryption.grant_read(self._function("Consumer", CONSUME))

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
