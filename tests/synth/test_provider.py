"""The provider: its settings, and that there is one."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import App, RemovalPolicy, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.assertions import Match, Template
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.cloud import ACCOUNT, HERE, TYPE, only, properties, resources, stream_in


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


def test_another_stream_leaves_the_function_as_it_is() -> None:
    def function(*names: str) -> Any:
        stack = Stack(App(), "Stack")
        for name in names:
            KinesisStreamEncryption(stack, name, stream=stream_in(stack, name))
        return only(stack, "AWS::Lambda::Function")

    assert function("orders", "payments") == function("orders")
    assert "Environment" not in function("orders")["Properties"]


def test_log_group(stack: Stack) -> None:
    KinesisStreamEncryptionProvider.get_or_create(stack)
    log_group = only(stack, "AWS::Logs::LogGroup")
    assert log_group["Properties"] == {"RetentionInDays": 90}
    assert log_group["DeletionPolicy"] == "Delete"


def test_settings(stack: Stack) -> None:
    key = kms.Key(stack, "LogKey")
    KinesisStreamEncryptionProvider(
        stack,
        "Provider",
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
    KinesisStreamEncryptionProvider(
        stack,
        "Provider",
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
    provider = KinesisStreamEncryptionProvider.get_or_create(stack)
    assert KinesisStreamEncryptionProvider.get_or_create(nested) is provider
    assert KinesisStreamEncryptionProvider.get_or_create(other) is not provider


def test_the_first_of_a_stack_serves_all_that_names_none(stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider(stack, "Mine", memory_size=512)
    assert KinesisStreamEncryption(stack, "A", stream=stream_in(stack)).provider is provider
    assert properties(stack, "AWS::Lambda::Function")["MemorySize"] == 512
    assert properties(stack)["ServiceToken"] == stack.resolve(provider.service_token)


class TestConfiguredInPlace:
    """CloudFormation refuses to change the function behind a custom resource."""

    @staticmethod
    def template(**options: Any) -> dict[str, Any]:
        stack = Stack(App(), "Stack", env=HERE)
        if options:
            made = {name: make(stack) for name, make in options.items()}
            KinesisStreamEncryptionProvider(Construct(stack, "Elsewhere"), "Mine", **made)
        KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
        return resources(stack)

    @pytest.mark.parametrize(
        "options",
        [
            {"memory_size": lambda _: 512},
            {"vpc": lambda stack: ec2.Vpc(stack, "Vpc", max_azs=1)},
            {"tracing": lambda _: lambda_.Tracing.ACTIVE},
            {"runtime": lambda _: lambda_.Runtime.PYTHON_3_12},
            {"log_retention": lambda _: logs.RetentionDays.ONE_DAY},
        ],
        ids=lambda options: next(iter(options)),
    )
    def test_parts_and_resource_are_the_same(self, options: dict[str, Any]) -> None:
        before, after = self.template(), self.template(**options)
        for type_ in ("AWS::Lambda::Function", "AWS::Logs::LogGroup", "AWS::IAM::Role", TYPE):
            assert self.ids(after, type_) == self.ids(before, type_)
        (resource,) = self.ids(before, TYPE)
        assert after[resource]["Properties"] == before[resource]["Properties"]

    def test_a_given_role_leaves_the_function_in_its_place(self) -> None:
        def role(stack: Stack) -> iam.IRole:
            return iam.Role.from_role_arn(stack, "Role", f"arn:aws:iam::{ACCOUNT}:role/mine")

        before, after = self.template(), self.template(role=role)
        for type_ in ("AWS::Lambda::Function", TYPE):
            assert self.ids(after, type_) == self.ids(before, type_)

    @staticmethod
    def ids(template: dict[str, Any], type_: str) -> list[str]:
        return [id_ for id_, each in template.items() if each["Type"] == type_]


def test_a_second_provider_is_another_function_with_resources_of_its_own(stack: Stack) -> None:
    def encrypt(stack: Stack, **options: Any) -> list[str]:
        KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), **options)
        return list(resources(stack, TYPE))

    KinesisStreamEncryptionProvider.get_or_create(stack)
    second = KinesisStreamEncryptionProvider(stack, "Second")
    moved = encrypt(stack, provider=second)
    assert len(resources(stack, "AWS::Lambda::Function")) == 2
    assert properties(stack)["ServiceToken"] == stack.resolve(second.service_token)
    assert moved != encrypt(Stack(App(), "Stack", env=HERE))


def test_runtime_and_architecture(stack: Stack) -> None:
    KinesisStreamEncryptionProvider(
        stack,
        "Provider",
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.X86_64,
    )
    function = properties(stack, "AWS::Lambda::Function")
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["x86_64"]
