"""CDK app of the tests: one stack, as a deployment describes it."""

from typing import Any

from aws_cdk import App, CfnOutput, CfnResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider

RESOURCE_TYPE = "Custom::KinesisStreamEncryption"


def resource_of(encryption: KinesisStreamEncryption) -> CfnResource:
    """The custom resource of a construct."""
    (found,) = (
        each
        for each in encryption.node.find_all()
        if isinstance(each, CfnResource) and each.cfn_resource_type == RESOURCE_TYPE
    )
    return found


def let_write(
    stack: Stack, encryption: KinesisStreamEncryption, slow: KinesisStreamEncryption | None
) -> None:
    """Grant to a role of the test's own, and encrypt only some time after it has its policies."""
    writer = iam.Role(stack, "Writer", assumed_by=iam.AccountRootPrincipal())
    encryption.grant_write(writer)
    for each in encryption.node.find_all():
        if isinstance(each, iam.CfnPolicy):
            # The emulator knows no kms:EncryptionContext, so nothing would meet the condition.
            each.add_property_deletion_override("PolicyDocument.Statement.0.Condition")
            if slow:
                resource_of(slow).add_dependency(each)
                resource_of(encryption).add_dependency(resource_of(slow))
    CfnOutput(stack, "WriterArn", value=writer.role_arn)


def encryption_app(
    app: App,
    name: str,
    resources: dict[str, dict[str, Any]],
    *,
    function_timeout: int | None = None,
) -> None:
    """Declare a stack with these streams to encrypt."""
    stack = Stack(app, name)
    provider = KinesisStreamEncryptionProvider(stack, "Provider")
    if function_timeout is not None:
        function = provider.function.node.default_child
        assert isinstance(function, lambda_.CfnFunction)
        function.timeout = function_timeout
    made: dict[str, KinesisStreamEncryption] = {}
    for id_, wanted in resources.items():
        encryption = made[id_] = KinesisStreamEncryption(
            stack,
            id_,
            stream=kinesis.Stream.from_stream_arn(stack, f"{id_}Stream", wanted["stream"]),
            encryption_key=kms.Key.from_key_arn(stack, f"{id_}Key", wanted["key"]),
            timeout=Duration.minutes(wanted.get("timeout", 2)),
            revision=wanted.get("revision"),
        )
        if "service_timeout" in wanted:
            resource_of(encryption).add_property_override(
                "ServiceTimeout", wanted["service_timeout"]
            )
        if "after" in wanted:
            encryption.node.add_dependency(made[wanted["after"]])
        if wanted.get("writer"):
            let_write(stack, encryption, made.get("Slow"))
        CfnOutput(stack, f"{id_}KeyArn", value=encryption.key_arn)
    CfnOutput(stack, "Function", value=provider.function.function_name)
