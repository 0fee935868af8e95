"""CDK app of the guard's tests: one guard, as the context `spec` (JSON) describes it."""

import json
from typing import Any

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from kinesis_stream_encryption import GuardedStreams, StreamEncryptionGuard

app = App()
spec: dict[str, Any] = json.loads(app.node.get_context("spec"))
stack = Stack(app, spec["stack"])
topic = sns.Topic(stack, "Topic")
guard = StreamEncryptionGuard(
    stack,
    "Guard",
    streams=GuardedStreams.prefixed(spec["prefix"]),
    encryption_key=kms.Key.from_key_arn(stack, "Key", spec["key"]),
    exempt_tag=spec.get("exempt_tag"),
    notify=topic,
)
if "every" in spec:
    schedule = guard.node.find_child("Schedule").node.default_child
    assert isinstance(schedule, events.CfnRule)
    schedule.schedule_expression = spec["every"]
if spec.get("iam"):
    # AWS authorizes a batch as sqs:SendMessage, the emulator by the operation's name.
    guard.function.add_to_role_policy(
        iam.PolicyStatement(actions=["sqs:SendMessageBatch"], resources=[guard.queue.queue_arn])
    )
CfnOutput(stack, "TopicArn", value=topic.topic_arn)
CfnOutput(stack, "QueueUrl", value=guard.queue.queue_url)
CfnOutput(stack, "DeadLetterQueueUrl", value=guard.dead_letter_queue.queue_url)
CfnOutput(stack, "TableName", value=guard.table.table_name)
CfnOutput(stack, "FunctionName", value=guard.function.function_name)
app.synth()
