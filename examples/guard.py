"""Encrypt a stream, and get notified when it is no longer encrypted with that key.

    cdk deploy --app "python3 examples/guard.py" -c key=<key ARN>

encrypts the stream (`-c stream=<name>`, by default orders) and guards it. After another principal
has changed the key, `-c revision=2` applies it again. With `-c remediation=3` the guard restores
encryption that was stopped, and yields after three changes of the stream.

The account needs a trail that logs management events. Without one, the guard detects a change in
its next scan. To get notified, subscribe to the topic: `aws sns subscribe --protocol email …`.
"""

from __future__ import annotations

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from kinesis_stream_encryption import (
    GuardedStreams,
    KinesisStreamEncryption,
    Remediation,
    StreamEncryptionGuard,
)


class Guarded(Stack):
    """One stream, encrypted and guarded."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        name = self.node.try_get_context("stream") or "orders"
        key_arn = self.node.try_get_context("key")
        key = kms.Key.from_key_arn(self, "Key", key_arn) if key_arn else None
        arn = self.format_arn(service="kinesis", resource="stream", resource_name=name)
        stream = kinesis.Stream.from_stream_arn(self, "Stream", arn)
        KinesisStreamEncryption(
            self,
            "Encryption",
            stream=stream,
            encryption_key=key,
            revision=self.node.try_get_context("revision"),
        )
        changes = self.node.try_get_context("remediation")
        topic = sns.Topic(self, "Topic", enforce_ssl=True)
        guard = StreamEncryptionGuard(
            self,
            "Guard",
            streams=GuardedStreams.named(stream),
            encryption_key=key,
            exempt_tag_key="stream-encryption-exempt",
            notification_topic=topic,
            remediation=Remediation(max_changes_per_stream=int(changes)) if changes else None,
        )
        CfnOutput(self, "TopicArn", value=topic.topic_arn)
        CfnOutput(self, "QueueUrl", value=guard.queue.queue_url)
        CfnOutput(self, "DeadLetterQueueUrl", value=guard.dead_letter_queue.queue_url)
        CfnOutput(self, "TableName", value=guard.table.table_name)
        CfnOutput(self, "FunctionName", value=guard.function.function_name)
        if guard.remediation_queue:
            CfnOutput(self, "RemediationQueueUrl", value=guard.remediation_queue.queue_url)


app = App()
Guarded(app, app.node.try_get_context("stackName") or "GuardedStream")
app.synth()
