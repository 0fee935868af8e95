"""The provider: its settings, and that there is one."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import App, Environment, RemovalPolicy, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.assertions import Match, Template
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.cloud import HERE, TYPE, only, properties, resources, stream_in


def test_function(stack: Stack) -> None:
    KinesisStreamEncryptionProvider.get_or_create(stack)
    (log_group,) = resources(stack, "AWS::Logs::LogGroup")
    function = properties(stack, "AWS::Lambda::Function")
    assert function["Runtime"] == "python3.14"
    assert function["Architectures"] == ["arm64"]
    assert function["Handler"] == "stream_encryption.handler.on_event"
    assert function["Timeout"] == 900
    assert function["MemorySize"] == 256
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": log_group}}


def test_function_knows_how_many_streams_it_may_compete_with(stack: Stack) -> None:
    for name in ("orders", "payments", "shipments"):
        KinesisStreamEncryption(stack, name, stream=stream_in(stack, name))
    function = properties(stack, "AWS::Lambda::Function")
    assert function["Environment"]["Variables"] == {"STREAMS": "3"}


def test_log_group(stack: Stack) -> None:
    KinesisStreamEncryptionProvider.get_or_create(stack)
    log_group = only(stack, "AWS::Logs::LogGroup")
    assert log_group["Properties"] == {"RetentionInDays": 90}
    assert log_group["DeletionPolicy"] == "Delete"


def test_settings(stack: Stack) -> None:
    key = kms.Key(stack, "LogKey")
    KinesisStreamEncryptionProvider.get_or_create(
        stack,
        memory_size=512,
        log_retention=logs.RetentionDays.ONE_WEEK,
        log_removal_policy=RemovalPolicy.RETAIN,
        log_encryption_key=key,
        tracing=lambda_.Tracing.ACTIVE,
    )
    function = properties(stack, "AWS::Lambda::Function")
    assert function["MemorySize"] == 512
    assert function["TracingConfig"] == {"Mode": "Active"}
    log_group = only(stack, "AWS::Logs::LogGroup")
    assert log_group["DeletionPolicy"] == "Retain"
    assert log_group["Properties"] == {
        "RetentionInDays": 7,
        "KmsKeyId": stack.resolve(key.key_arn),
    }


def test_network(stack: Stack) -> None:
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    group = ec2.SecurityGroup(stack, "Group", vpc=vpc)
    KinesisStreamEncryptionProvider.get_or_create(
        stack,
        vpc=vpc,
        vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
        security_groups=[group],
    )
    subnets = [stack.resolve(subnet.subnet_id) for subnet in vpc.private_subnets]
    assert properties(stack, "AWS::Lambda::Function")["VpcConfig"] == {
        "SubnetIds": subnets,
        "SecurityGroupIds": [stack.resolve(group.security_group_id)],
    }


def test_tags_reach_the_function(stack: Stack) -> None:
    Tags.of(KinesisStreamEncryptionProvider.get_or_create(stack)).add("team", "platform")
    Template.from_stack(stack).has_resource_properties(
        "AWS::Lambda::Function",
        Match.object_like({"Tags": [{"Key": "team", "Value": "platform"}]}),
    )


def test_permissions_boundary_reaches_the_role(stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider.get_or_create(stack)
    boundary = iam.ManagedPolicy.from_managed_policy_name(stack, "Boundary", "boundary")
    iam.PermissionsBoundary.of(provider).apply(boundary)
    assert "PermissionsBoundary" in properties(stack, "AWS::IAM::Role")


def test_parts_are_reachable(stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider.get_or_create(stack)
    (function,) = resources(stack, "AWS::Lambda::Function")
    (log_group,) = resources(stack, "AWS::Logs::LogGroup")
    (role,) = resources(stack, "AWS::IAM::Role")
    assert stack.resolve(provider.function.function_arn) == {"Fn::GetAtt": [function, "Arn"]}
    assert stack.resolve(provider.service_token) == {"Fn::GetAtt": [function, "Arn"]}
    assert stack.resolve(provider.log_group.log_group_name) == {"Ref": log_group}
    assert stack.resolve(provider.role.role_name) == {"Ref": role}


def test_one_per_stack(app: App, stack: Stack) -> None:
    nested = Construct(stack, "Nested")
    other = Stack(app, "Other", env=HERE)
    provider = KinesisStreamEncryptionProvider.get_or_create(stack, memory_size=512)
    assert KinesisStreamEncryptionProvider.get_or_create(nested) is provider
    assert KinesisStreamEncryptionProvider.get_or_create(other) is not provider


def test_same_settings_again_are_fine(stack: Stack) -> None:
    for _ in range(2):
        KinesisStreamEncryptionProvider.get_or_create(stack, memory_size=512)
    assert len(resources(stack, "AWS::Lambda::Function")) == 1


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        (
            {},
            {"memory_size": 512},
            "the provider 'Stack/KinesisStreamEncryptionProvider' exists with memory_size=256, "
            "and 512 is asked for now: ask for the same everywhere, or pass a provider of your own",
        ),
        (
            {"tracing": lambda_.Tracing.ACTIVE},
            {"tracing": lambda_.Tracing.DISABLED},
            "exists with tracing=ACTIVE, and DISABLED is asked for now",
        ),
    ],
)
def test_other_settings_are_refused(
    stack: Stack, first: dict[str, Any], then: dict[str, Any], message: str
) -> None:
    KinesisStreamEncryptionProvider.get_or_create(stack, **first)
    with pytest.raises(ValueError, match=message):
        KinesisStreamEncryptionProvider.get_or_create(stack, **then)


def test_another_role_is_refused_by_its_path(stack: Stack) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    KinesisStreamEncryptionProvider.get_or_create(stack)
    with pytest.raises(ValueError, match="role=None, and 'Stack/Role' is asked for now"):
        KinesisStreamEncryptionProvider.get_or_create(stack, role=role)


def test_a_provider_of_ones_own(stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider(stack, "Mine")
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), provider=provider)
    assert len(resources(stack, "AWS::Lambda::Function")) == 1
    assert properties(stack)["ServiceToken"] == stack.resolve(provider.service_token)


def test_shared_across_stacks(app: App, stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider.get_or_create(stack)
    other = Stack(app, "Other", env=HERE)
    KinesisStreamEncryption(other, "Encryption", stream=stream_in(other), provider=provider)
    assert list(resources(other)) == list(resources(other, TYPE))
    assert "Fn::ImportValue" in str(properties(other)["ServiceToken"])
    assert other.dependencies == [stack]


def test_not_shared_across_regions(app: App, stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider.get_or_create(stack)
    abroad = Stack(app, "Abroad", env=Environment(account=HERE.account, region="us-east-1"))
    with pytest.raises(ValueError, match="a provider serves one account and region"):
        KinesisStreamEncryption(
            abroad,
            "Encryption",
            stream=stream_in(abroad, region="us-east-1"),
            provider=provider,
        )
