"""Roles that are given: of this stack, of another one, and such as CDK is not to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.cloud import (
    ACCOUNT,
    HERE,
    TYPE,
    documents,
    only,
    properties,
    resources,
    statements,
    stream_in,
    warnings,
)

ARN = f"arn:aws:iam::{ACCOUNT}:role/mine"


def role_in(stack: Stack) -> iam.Role:
    return iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def encrypt(stack: Stack, role: iam.IRole, **options: Any) -> KinesisStreamEncryptionProvider:
    provider = KinesisStreamEncryptionProvider(stack, "Provider", role=role, **options)
    KinesisStreamEncryption(
        stack,
        "Encryption",
        stream=stream_in(stack),
        encryption_key=kms.Key(stack, "Key"),
        timeout=Duration.minutes(30),
    )
    return provider


def actions(stack: Stack) -> list[Any]:
    return [each["Action"] for each in statements(stack)]


@pytest.mark.parametrize(
    "role", [role_in, lambda stack: iam.Role.from_role_arn(stack, "Role", ARN)]
)
def test_a_given_role_gets_the_usual_rights(
    stack: Stack, role: Callable[[Stack], iam.IRole]
) -> None:
    given = role(stack)
    assert encrypt(stack, given).role is given
    usual = Stack(App(), "Usual", env=HERE)
    KinesisStreamEncryption(
        usual, "Encryption", stream=stream_in(usual), encryption_key=kms.Key(usual, "Key")
    )
    assert actions(stack) == actions(usual)
    (policy,) = documents(stack)
    assert policy in only(stack, TYPE)["DependsOn"]
    assert policy in only(stack, "AWS::Lambda::Function")["DependsOn"]
    assert warnings(stack) == []


def test_a_role_of_another_stack_gets_its_policy_in_this_one(app: App, stack: Stack) -> None:
    """In the other one it would name this stack's key, and each stack would wait for the other."""
    other = Stack(app, "Other", env=HERE)
    encrypt(stack, role_in(other))
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
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_role_that_cannot_be_changed_gets_no_policy(
    app: App, stack: Stack, immutable: Callable[[Stack], iam.IRole], elsewhere: bool
) -> None:
    where = Stack(app, "Other", env=HERE) if elsewhere else stack
    role = immutable(where)
    encrypt(stack, role, tracing=lambda_.Tracing.ACTIVE)
    assert documents(stack) == documents(where) == {}
    (warning,) = warnings(stack)
    check_names_every_right(warning)


def test_a_pre_created_role_gets_no_policy(app: App) -> None:
    path = "Stack/KinesisStreamEncryptionProvider/Role"
    iam.Role.customize_roles(app, use_precreated_roles={path: "mine"})
    stack = Stack(app, "Stack", env=HERE)
    KinesisStreamEncryptionProvider(
        stack, "KinesisStreamEncryptionProvider", tracing=lambda_.Tracing.ACTIVE
    )
    KinesisStreamEncryption(
        stack, "Encryption", stream=stream_in(stack), encryption_key=kms.Key(stack, "Key")
    )
    assert documents(stack) == {}
    assert resources(stack, "AWS::IAM::Role") == {}
    assert ":role/mine" in str(properties(stack, "AWS::Lambda::Function")["Role"])
    (warning,) = warnings(stack)
    check_names_every_right(warning)


def check_names_every_right(warning: str) -> None:
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


@pytest.mark.parametrize("given", [False, True])
def test_a_role_that_can_be_changed_is_not_warned_of(stack: Stack, given: bool) -> None:
    """Whatever else its owner has let it do."""
    role = role_in(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))
    KinesisStreamEncryptionProvider(stack, "Provider", role=role if given else None)
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    assert warnings(stack) == []
