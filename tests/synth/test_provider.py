"""The provider: its settings, and that there is one."""

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
from tests.synth.cloud import (
    ACCOUNT,
    HERE,
    TYPE,
    allowing,
    dependencies,
    is_acyclic,
    only,
    properties,
    resources,
    stream_in,
)


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
    KinesisStreamEncryptionProvider(
        stack, "Provider", memory_size=512, tracing=lambda_.Tracing.ACTIVE
    )
    function = properties(stack, "AWS::Lambda::Function")
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
    """As ``log_group`` of ``lambda_.Function``: it keeps its logical id, and is not added to."""
    given = log_group(stack)
    provider = KinesisStreamEncryptionProvider(stack, "Provider", log_group=given)
    assert provider.log_group is given
    log_groups = resources(stack, "AWS::Logs::LogGroup")
    assert not [id_ for id_ in log_groups if id_.startswith("KinesisStreamEncryptionProvider")]
    function = properties(stack, "AWS::Lambda::Function")
    assert function["LoggingConfig"] == {"LogGroup": stack.resolve(given.log_group_name)}
    (statement,) = allowing(stack, "logs:PutLogEvents")
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == stack.resolve(given.log_group_arn)


def test_misspelled_option_is_rejected(stack: Stack) -> None:
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

    def test_a_given_log_group_leaves_function_and_role_in_their_place(self) -> None:
        before = self.template()
        after = self.template(log_group=lambda stack: logs.LogGroup(stack, "Logs"))
        for type_ in ("AWS::Lambda::Function", "AWS::IAM::Role", TYPE):
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


class TestUnusedProvider:
    """It would be deployed, and its options have no effect."""

    @staticmethod
    def problems(app: App) -> str:
        with pytest.raises(RuntimeError) as failure:
            app.synth()
        return str(failure.value)

    def test_created_after_the_first_encryption(self, app: App, stack: Stack) -> None:
        KinesisStreamEncryption(stack, "A", stream=stream_in(stack, "a"))
        KinesisStreamEncryptionProvider(stack, "Late", memory_size=512)
        KinesisStreamEncryption(stack, "B", stream=stream_in(stack, "b"))
        problems = self.problems(app)
        assert "the provider 'Stack/Late' is not used" in problems
        assert "first provider of the stack, 'Stack/KinesisStreamEncryptionProvider'" in problems
        assert "Create this provider before the first KinesisStreamEncryption of the" in problems

    def test_second_one(self, app: App, stack: Stack) -> None:
        KinesisStreamEncryptionProvider(stack, "First")
        KinesisStreamEncryptionProvider(stack, "Second")
        assert "the provider 'Stack/Second' is not used" in self.problems(app)

    def test_the_first_one_may_be_there_for_later(self, app: App, stack: Stack) -> None:
        KinesisStreamEncryptionProvider(stack, "First")
        app.synth()

    def test_one_that_serves_is_used(self, app: App, stack: Stack) -> None:
        KinesisStreamEncryptionProvider(stack, "First")
        second = KinesisStreamEncryptionProvider(stack, "Second")
        KinesisStreamEncryption(stack, "A", stream=stream_in(stack), provider=second)
        app.synth()


class TestVpcWithoutNat:
    """The function must exist only while it can reach CloudFormation's bucket, and AWS APIs."""

    @staticmethod
    def network(scope: Stack) -> ec2.Vpc:
        vpc = ec2.Vpc(
            scope,
            "Vpc",
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED
                )
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

    def test_function_follows_every_endpoint(self, app: App, stack: Stack) -> None:
        vpc = self.network(stack)
        provider = KinesisStreamEncryptionProvider(
            stack,
            "Provider",
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        )
        # An endpoint that names the function's security group, which must not wait for itself.
        endpoint = vpc.add_interface_endpoint(
            "Logs", service=ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS
        )
        endpoint.connections.allow_default_port_from(provider.function)
        KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
        app.synth()
        graph = dependencies(resources(stack))
        assert is_acyclic(graph)
        (function,) = resources(stack, "AWS::Lambda::Function")
        endpoints = resources(stack, "AWS::EC2::VPCEndpoint")
        assert len(endpoints) == 6
        assert endpoints.keys() <= graph[function]
        assert resources(stack, "AWS::EC2::SecurityGroupIngress").keys() <= graph[function]

    def test_endpoint_outside_of_the_vpc_construct_can_be_waited_for(
        self, app: App, stack: Stack
    ) -> None:
        """As docs/vpc.md says, also if it refers to the function's security group."""
        vpc = self.network(stack)
        subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        provider = KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=subnets)
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

    def test_endpoint_of_an_imported_vpc_is_waited_for(self, app: App, stack: Stack) -> None:
        vpc = self.imported(stack)
        vpc.add_interface_endpoint("Kms", service=ec2.InterfaceVpcEndpointAwsService.KMS)
        subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=subnets)
        app.synth()
        (function,) = resources(stack, "AWS::Lambda::Function")
        (endpoint,) = resources(stack, "AWS::EC2::VPCEndpoint")
        assert endpoint in dependencies(resources(stack))[function]

    @staticmethod
    def imported(stack: Stack) -> ec2.IVpc:
        return ec2.Vpc.from_vpc_attributes(
            stack,
            "Vpc",
            vpc_id="vpc-1",
            vpc_cidr_block="10.0.0.0/16",
            availability_zones=["a"],
            isolated_subnet_ids=["subnet-1"],
        )

    def test_imported_vpc_has_nothing_to_wait_for(self, app: App, stack: Stack) -> None:
        vpc = self.imported(stack)
        subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=subnets)
        app.synth()
        (function,) = resources(stack, "AWS::Lambda::Function")
        network = {id_ for id_, each in resources(stack).items() if "EC2" in each["Type"]}
        assert dependencies(resources(stack))[function] & network == set(
            resources(stack, "AWS::EC2::SecurityGroup")
        )

    def test_vpc_of_another_stack_is_deployed_first(self, app: App, stack: Stack) -> None:
        network = Stack(app, "Network", env=HERE)
        subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        vpc = self.network(network)
        KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, vpc_subnets=subnets)
        app.synth()
        assert stack.dependencies == [network]


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
