"""The provider: its options, and one provider for each stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import App, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.assertions import Match, Template
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    TYPE,
    allowing,
    dependencies,
    encrypt,
    imported_vpc,
    is_acyclic,
    only,
    properties,
    resources,
    stream_in,
    synthesis_error,
)

ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)


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


def test_another_stream_does_not_change_the_function() -> None:
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


def test_options(stack: Stack) -> None:
    KinesisStreamEncryptionProvider(
        stack,
        "Provider",
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.X86_64,
        memory_size=512,
        tracing=lambda_.Tracing.ACTIVE,
    )
    function = properties(stack, "AWS::Lambda::Function")
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["x86_64"]
    assert function["MemorySize"] == 512
    assert function["TracingConfig"] == {"Mode": "Active"}


@pytest.mark.parametrize(
    "log_group",
    [
        lambda stack: logs.LogGroup(stack, "Logs", encryption_key=kms.Key(stack, "Key")),
        lambda stack: logs.LogGroup.from_log_group_name(stack, "Logs", "mine"),
    ],
    ids=["own", "imported"],
)
def test_log_group_of_the_user(stack: Stack, log_group: Callable[[Stack], logs.ILogGroup]) -> None:
    """The log group keeps its logical ID, and the library does not change it."""
    user_log_group = log_group(stack)
    provider = KinesisStreamEncryptionProvider(stack, "Provider", log_group=user_log_group)
    assert provider.log_group is user_log_group
    log_groups = resources(stack, "AWS::Logs::LogGroup")
    assert not [id_ for id_ in log_groups if id_.startswith("KinesisStreamEncryptionProvider")]
    function = properties(stack, "AWS::Lambda::Function")
    assert function["LoggingConfig"] == {"LogGroup": stack.resolve(user_log_group.log_group_name)}
    (statement,) = allowing(stack, "logs:PutLogEvents")
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == stack.resolve(user_log_group.log_group_arn)


def test_unknown_option_is_rejected(stack: Stack) -> None:
    options: dict[str, Any] = {"log_retention": logs.RetentionDays.ONE_WEEK}
    with pytest.raises(TypeError, match="unexpected keyword argument 'log_retention'"):
        KinesisStreamEncryptionProvider(stack, "Provider", **options)


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


def test_properties_return_function_role_and_log_group(stack: Stack) -> None:
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


def test_the_first_provider_of_a_stack_is_the_default(stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider(stack, "Mine", memory_size=512)
    assert encrypt(stack, "A").provider is provider
    assert properties(stack, "AWS::Lambda::Function")["MemorySize"] == 512
    assert properties(stack)["ServiceToken"] == stack.resolve(provider.service_token)


def role_of_the_user(stack: Stack) -> iam.IRole:
    return iam.Role.from_role_arn(stack, "Role", f"arn:aws:iam::{ACCOUNT}:role/mine")


class TestUpdatedInPlace:
    """CloudFormation rejects another function for an existing custom resource."""

    @staticmethod
    def template(**options: Callable[[Stack], Any]) -> dict[str, Any]:
        stack = Stack(App(), "Stack", env=HERE)
        if options:
            made = {name: make(stack) for name, make in options.items()}
            KinesisStreamEncryptionProvider(Construct(stack, "Elsewhere"), "Mine", **made)
        encrypt(stack)
        return resources(stack)

    @pytest.mark.parametrize(
        ("option", "make", "replaced"),
        [
            ("memory_size", lambda _: 512, None),
            ("vpc", lambda stack: ec2.Vpc(stack, "Vpc", max_azs=1), None),
            ("tracing", lambda _: lambda_.Tracing.ACTIVE, None),
            ("runtime", lambda _: lambda_.Runtime.PYTHON_3_12, None),
            ("role", role_of_the_user, "AWS::IAM::Role"),
            ("log_group", lambda stack: logs.LogGroup(stack, "Logs"), "AWS::Logs::LogGroup"),
        ],
    )
    def test_options_replace_only_what_the_user_passes(
        self, option: str, make: Callable[[Stack], Any], replaced: str | None
    ) -> None:
        before, after = self.template(), self.template(**{option: make})
        types = {"AWS::Lambda::Function", "AWS::Logs::LogGroup", "AWS::IAM::Role", TYPE}
        for type_ in types - {replaced}:
            assert self.ids(after, type_) == self.ids(before, type_)
        (resource,) = self.ids(before, TYPE)
        assert after[resource]["Properties"] == before[resource]["Properties"]

    @staticmethod
    def ids(template: dict[str, Any], type_: str) -> list[str]:
        return [id_ for id_, each in template.items() if each["Type"] == type_]


def test_a_second_provider_has_separate_function_and_resources(stack: Stack) -> None:
    KinesisStreamEncryptionProvider.get_or_create(stack)
    second = KinesisStreamEncryptionProvider(stack, "Second")
    encrypt(stack, provider=second)
    assert len(resources(stack, "AWS::Lambda::Function")) == 2
    assert properties(stack)["ServiceToken"] == stack.resolve(second.service_token)
    default = Stack(App(), "Stack", env=HERE)
    encrypt(default)
    assert not resources(stack, TYPE).keys() & resources(default, TYPE).keys()


class TestUnusedProvider:
    """An unused provider would be deployed, and its options would have no effect."""

    def test_created_after_the_first_encryption(self, app: App, stack: Stack) -> None:
        KinesisStreamEncryption(stack, "A", stream=stream_in(stack, "a"))
        KinesisStreamEncryptionProvider(stack, "Late", memory_size=512)
        KinesisStreamEncryption(stack, "B", stream=stream_in(stack, "b"))
        error = synthesis_error(app)
        assert "the provider 'Stack/Late' is not used" in error
        assert "first provider of the stack, 'Stack/KinesisStreamEncryptionProvider'" in error
        assert "Create this provider before the first KinesisStreamEncryption of the" in error

    def test_second_one_without_a_stream(self, app: App, stack: Stack) -> None:
        KinesisStreamEncryptionProvider(stack, "First")
        KinesisStreamEncryptionProvider(stack, "Second")
        assert "the provider 'Stack/Second' is not used" in synthesis_error(app)

    def test_first_one_without_a_stream_is_accepted(self, app: App, stack: Stack) -> None:
        KinesisStreamEncryptionProvider(stack, "First")
        app.synth()

    def test_second_one_with_a_stream_is_accepted(self, app: App, stack: Stack) -> None:
        KinesisStreamEncryptionProvider(stack, "First")
        second = KinesisStreamEncryptionProvider(stack, "Second")
        encrypt(stack, "A", provider=second)
        app.synth()


class TestVpcWithoutNat:
    """While the function exists, it must reach the bucket of CloudFormation and the AWS APIs."""

    @staticmethod
    def network(scope: Stack) -> ec2.Vpc:
        vpc = ec2.Vpc(
            scope,
            "Vpc",
            subnet_configuration=[
                ec2.SubnetConfiguration(name="a", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
            ],
        )
        vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        for name, service in {
            "Kinesis": ec2.InterfaceVpcEndpointAwsService.KINESIS_STREAMS,
            "Kms": ec2.InterfaceVpcEndpointAwsService.KMS,
            "CloudFormation": ec2.InterfaceVpcEndpointAwsService.CLOUDFORMATION,
            "Lambda": ec2.InterfaceVpcEndpointAwsService.LAMBDA_,
        }.items():
            vpc.add_interface_endpoint(name, service=service)
        return vpc

    def test_function_waits_for_every_endpoint(self, app: App, stack: Stack) -> None:
        vpc = self.network(stack)
        provider = KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=ISOLATED)
        # This endpoint refers to the security group of the function. That must not be circular.
        endpoint = vpc.add_interface_endpoint(
            "Logs", service=ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS
        )
        endpoint.connections.allow_default_port_from(provider.function)
        encrypt(stack)
        app.synth()
        graph = dependencies(resources(stack))
        assert is_acyclic(graph)
        (function,) = resources(stack, "AWS::Lambda::Function")
        endpoints = resources(stack, "AWS::EC2::VPCEndpoint")
        assert len(endpoints) == 6
        assert endpoints.keys() <= graph[function]
        assert resources(stack, "AWS::EC2::SecurityGroupIngress").keys() <= graph[function]

    def test_function_can_wait_for_an_endpoint_outside_the_vpc_construct(
        self, app: App, stack: Stack
    ) -> None:
        """docs/vpc.md describes this, for an endpoint that refers to the security group."""
        vpc = self.network(stack)
        provider = KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=ISOLATED)
        endpoint = ec2.InterfaceVpcEndpoint(
            stack, "Logs", vpc=vpc, service=ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS
        )
        endpoint.connections.allow_default_port_from(provider.function)
        provider.function.node.default_child.node.add_dependency(endpoint)  # type: ignore[union-attr]
        app.synth()
        graph = dependencies(resources(stack))
        assert is_acyclic(graph)
        (function,) = resources(stack, "AWS::Lambda::Function")
        assert resources(stack, "AWS::EC2::VPCEndpoint").keys() <= graph[function]

    def test_function_waits_for_an_endpoint_of_an_imported_vpc(
        self, app: App, stack: Stack
    ) -> None:
        vpc = imported_vpc(stack)
        vpc.add_interface_endpoint("Kms", service=ec2.InterfaceVpcEndpointAwsService.KMS)
        KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=ISOLATED)
        app.synth()
        (function,) = resources(stack, "AWS::Lambda::Function")
        (endpoint,) = resources(stack, "AWS::EC2::VPCEndpoint")
        assert endpoint in dependencies(resources(stack))[function]

    def test_imported_vpc_adds_no_dependency(self, app: App, stack: Stack) -> None:
        vpc = imported_vpc(stack)
        KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=ISOLATED)
        app.synth()
        (function,) = resources(stack, "AWS::Lambda::Function")
        network = {id_ for id_, each in resources(stack).items() if "EC2" in each["Type"]}
        assert dependencies(resources(stack))[function] & network == set(
            resources(stack, "AWS::EC2::SecurityGroup")
        )

    def test_vpc_of_another_stack_is_deployed_first(self, app: App, stack: Stack) -> None:
        network = Stack(app, "Network", env=HERE)
        vpc = self.network(network)
        KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=ISOLATED)
        app.synth()
        assert stack.dependencies == [network]
