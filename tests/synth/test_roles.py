"""Roles of the user: of this stack, of another stack, and immutable roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryptionProvider
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    TYPE,
    documents,
    encrypt,
    errors,
    only,
    properties,
    resources,
    statements,
    warnings,
)

ARN = f"arn:aws:iam::{ACCOUNT}:role/mine"


def role_in(stack: Stack) -> iam.Role:
    return iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def encrypt_with(stack: Stack, role: iam.IRole, **options: Any) -> KinesisStreamEncryptionProvider:
    provider = KinesisStreamEncryptionProvider(stack, "Provider", role=role, **options)
    encrypt(stack, encryption_key=kms.Key(stack, "Key"), timeout=Duration.minutes(30))
    return provider


def actions(stack: Stack) -> list[Any]:
    return [each["Action"] for each in statements(stack)]


@pytest.mark.parametrize(
    "role", [role_in, lambda stack: iam.Role.from_role_arn(stack, "Role", ARN)]
)
def test_a_role_of_the_user_gets_the_default_permissions(
    stack: Stack, role: Callable[[Stack], iam.IRole]
) -> None:
    user_role = role(stack)
    assert encrypt_with(stack, user_role).role is user_role
    default = Stack(App(), "Default", env=HERE)
    encrypt(default, encryption_key=kms.Key(default, "Key"))
    assert actions(stack) == actions(default)
    (policy,) = documents(stack)
    assert policy in only(stack, TYPE)["DependsOn"]
    assert policy in only(stack, "AWS::Lambda::Function")["DependsOn"]
    assert warnings(stack) == errors(stack) == []


def test_a_role_with_conditional_policies_is_accepted(stack: Stack) -> None:
    role = role_in(stack)
    resource = cast(iam.CfnRole, role.node.default_child)
    policy = {"PolicyName": "more", "PolicyDocument": {"Statement": {"Fn::If": ["C", [], []]}}}
    resource.add_property_override("Policies", {"Fn::If": ["C", [policy], []]})
    encrypt_with(stack, role)
    assert warnings(stack) == []


def test_a_role_of_another_stack_gets_its_policy_in_this_one(app: App, stack: Stack) -> None:
    """In the other stack, it would refer to a key of this stack, which would be circular."""
    other = Stack(app, "Other", env=HERE)
    encrypt_with(stack, role_in(other))
    assert documents(other) == {}
    assert len(actions(stack)) == 3
    assert stack.dependencies == [other]
    assert "Fn::ImportValue" in str(properties(stack, "AWS::Lambda::Function")["Role"])
    app.synth()


@pytest.mark.parametrize(
    "immutable",
    [
        lambda stack: iam.Role.from_role_arn(stack, "Role", ARN, mutable=False),
        lambda stack: role_in(stack).without_policy_updates(),
    ],
    ids=["imported", "frozen"],
)
@pytest.mark.parametrize("other_stack", [False, True])
def test_an_immutable_role_gets_no_policy(
    app: App, stack: Stack, immutable: Callable[[Stack], iam.IRole], other_stack: bool
) -> None:
    home = Stack(app, "Other", env=HERE) if other_stack else stack
    role = immutable(home)
    encrypt_with(stack, role, tracing=lambda_.Tracing.ACTIVE)
    assert documents(stack) == documents(home) == {}
    (warning,) = warnings(stack)
    assert_lists_every_permission(warning)


def test_a_pre_created_role_gets_no_policy(app: App) -> None:
    path = "Stack/KinesisStreamEncryptionProvider/Role"
    iam.Role.customize_roles(app, use_precreated_roles={path: "mine"})
    stack = Stack(app, "Stack", env=HERE)
    KinesisStreamEncryptionProvider(
        stack, "KinesisStreamEncryptionProvider", tracing=lambda_.Tracing.ACTIVE
    )
    encrypt(stack, encryption_key=kms.Key(stack, "Key"))
    assert documents(stack) == {}
    assert resources(stack, "AWS::IAM::Role") == {}
    assert ":role/mine" in str(properties(stack, "AWS::Lambda::Function")["Role"])
    (warning,) = warnings(stack)
    assert_lists_every_permission(warning)


def assert_lists_every_permission(warning: str) -> None:
    for action in (
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "cloudformation:DescribeStackResource",
        "cloudformation:DescribeStacks",
        "kinesis:DescribeStreamSummary",
        "kinesis:StartStreamEncryption",
        "kms:DescribeKey",
    ):
        assert warning.count(f'"{action}"') == 1, action
    assert ":stream/orders" in warning


@pytest.mark.parametrize("passed", [False, True])
def test_a_mutable_role_causes_no_warning(stack: Stack, passed: bool) -> None:
    """The role can have other permissions, too."""
    role = role_in(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))
    KinesisStreamEncryptionProvider(stack, "Provider", role=role if passed else None)
    encrypt(stack)
    assert warnings(stack) == []
