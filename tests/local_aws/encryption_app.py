"""CDK app of the tests, with one stack."""

from typing import Any

from aws_cdk import App, CfnOutput, CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_logs_destinations as logs_destinations
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider

RESOURCE_TYPE = "Custom::KinesisStreamEncryption"


def resource_of(encryption: KinesisStreamEncryption) -> CfnResource:
    """Return the custom resource of a construct."""
    (resource,) = (
        each
        for each in encryption.node.find_all()
        if isinstance(each, CfnResource) and each.cfn_resource_type == RESOURCE_TYPE
    )
    return resource


def integrate(
    stack: Stack, encryption: KinesisStreamEncryption, slow: KinesisStreamEncryption | None
) -> None:
    """Add CDK's integrations, and encrypt the stream some time after their policies exist."""
    events.Rule(
        stack,
        "Rule",
        event_pattern=events.EventPattern(source=["test"]),
        targets=[events_targets.KinesisStream(encryption)],
    )
    logs.SubscriptionFilter(
        stack,
        "Filter",
        log_group=logs.LogGroup(stack, "Group", removal_policy=RemovalPolicy.DESTROY),
        destination=logs_destinations.KinesisDestination(encryption),
        filter_pattern=logs.FilterPattern.all_events(),
    )
    scheduler.Schedule(
        stack,
        "Schedule",
        schedule=scheduler.ScheduleExpression.cron(year="2100"),
        target=scheduler_targets.KinesisStreamPutRecord(encryption, partition_key="1"),
    )
    function = lambda_.Function(
        stack,
        "Consumer",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
    )
    function.add_event_source(
        event_sources.KinesisEventSource(
            encryption, starting_position=lambda_.StartingPosition.LATEST, enabled=False
        )
    )
    firehose.DeliveryStream(
        stack,
        "Delivery",
        source=firehose.KinesisStreamSource(encryption),
        destination=firehose.S3Bucket(
            s3.Bucket.from_bucket_name(stack, "Bucket", "archive"),
            logging_config=firehose.DisableLogging(),
        ),
    )
    test = iam.PolicyStatement(actions=["sts:AssumeRole"], principals=[iam.AccountRootPrincipal()])
    for each in stack.node.find_all():
        if isinstance(each, iam.Role) and each.assume_role_policy:
            each.assume_role_policy.add_statements(test)
    for each in encryption.node.find_all():
        if isinstance(each, iam.CfnPolicy) and "kms:" in str(stack.resolve(each.policy_document)):
            # The emulator does not support kms:EncryptionContext: the condition would never match.
            each.add_property_deletion_override("PolicyDocument.Statement.0.Condition")
            if slow:
                resource_of(slow).add_dependency(each)
                resource_of(encryption).add_dependency(resource_of(slow))


def encryption_app(
    app: App,
    name: str,
    resources: dict[str, dict[str, Any]],
    *,
    function_timeout: int | None = None,
) -> None:
    """Declare a stack with one construct for each item of `resources`, by construct ID."""
    stack = Stack(app, name)
    provider = KinesisStreamEncryptionProvider(stack, "Provider")
    if function_timeout is not None:
        function = provider.function.node.default_child
        assert isinstance(function, lambda_.CfnFunction)
        function.timeout = function_timeout
    encryptions: dict[str, KinesisStreamEncryption] = {}
    for id_, options in resources.items():
        encryption = encryptions[id_] = KinesisStreamEncryption(
            stack,
            id_,
            stream=kinesis.Stream.from_stream_arn(stack, f"{id_}Stream", options["stream"]),
            encryption_key=kms.Key.from_key_arn(stack, f"{id_}Key", options["key"]),
            previous_keys=[
                kms.Key.from_key_arn(stack, f"{id_}Previous{number}", key)
                for number, key in enumerate(options.get("previous", []))
            ],
            timeout=Duration.minutes(options.get("timeout", 2)),
            revision=options.get("revision"),
        )
        if "service_timeout" in options:
            resource_of(encryption).add_property_override(
                "ServiceTimeout", options["service_timeout"]
            )
        if "after" in options:
            encryption.node.add_dependency(encryptions[options["after"]])
        if options.get("integrations"):
            integrate(stack, encryption, encryptions.get("Slow"))
        CfnOutput(stack, f"{id_}KeyArn", value=encryption.key_arn)
    CfnOutput(stack, "Function", value=provider.function.function_name)
