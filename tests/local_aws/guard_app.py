"""CDK app of the guard's tests: one guard that selects streams by prefix."""

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from kinesis_stream_encryption import GuardedStreams, Remediation, StreamEncryptionGuard


def guard_app(
    app: App,
    name: str,
    *,
    prefix: str,
    key: str,
    every: str | None = None,
    iam_enforced: bool,
    remediation: Remediation | None = None,
) -> None:
    """Declare a stack with a guard; its scan may start more often than the construct allows."""
    stack = Stack(app, name)
    guard = StreamEncryptionGuard(
        stack,
        "Guard",
        streams=GuardedStreams.prefixed(prefix),
        encryption_key=kms.Key.from_key_arn(stack, "Key", key),
        exempt_tag_key="exempt",
        notification_topic=(topic := sns.Topic(stack, "Topic")),
        remediation=remediation,
    )
    if every is not None:
        schedule = guard.node.find_child("Schedule").node.default_child
        assert isinstance(schedule, events.CfnRule)
        schedule.schedule_expression = every
    if iam_enforced:
        # AWS authorizes a batch as sqs:SendMessage, the emulator by the operation's name.
        guard.function.add_to_role_policy(
            iam.PolicyStatement(actions=["sqs:SendMessageBatch"], resources=[guard.queue.queue_arn])
        )
    CfnOutput(stack, "TopicArn", value=topic.topic_arn)
    CfnOutput(stack, "QueueUrl", value=guard.queue.queue_url)
    CfnOutput(stack, "DeadLetterQueueUrl", value=guard.dead_letter_queue.queue_url)
    CfnOutput(stack, "TableName", value=guard.table.table_name)
    CfnOutput(stack, "FunctionName", value=guard.function.function_name)
    if guard.remediation_queue and guard.remediation_function:
        CfnOutput(stack, "RemediationQueueUrl", value=guard.remediation_queue.queue_url)
        name = guard.remediation_function.function_name
        CfnOutput(stack, "RemediationFunctionName", value=name)
