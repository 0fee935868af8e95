"""Permissions of the function: the statements in the policies of its role."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    TYPE,
    allowing,
    documents,
    encrypt,
    filled_in,
    only,
    properties,
    resources,
    statements,
    stream_arn,
    stream_in,
)

STACK_ID = filled_in({"Ref": "AWS::StackId"})
ANY_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"
STREAM_ACTIONS = ["kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption"]


def test_one_stream_with_the_aws_managed_key(stack: Stack) -> None:
    encrypt(stack)
    (log_group,) = resources(stack, "AWS::Logs::LogGroup")
    assert filled_in(statements(stack)) == [
        {
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Effect": "Allow",
            "Resource": {"Fn::GetAtt": [log_group, "Arn"]},
        },
        {
            "Action": ["cloudformation:DescribeStackResource", "cloudformation:DescribeStacks"],
            "Effect": "Allow",
            "Resource": STACK_ID,
        },
        {
            "Action": "kms:DescribeKey",
            "Effect": "Allow",
            "Resource": ANY_KEY,
            "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/aws/kinesis"}},
        },
        {
            "Action": STREAM_ACTIONS,
            "Effect": "Allow",
            "Resource": [stream_arn("orders"), ANY_KEY],
        },
    ]


def test_key_by_arn_is_the_only_key(stack: Stack) -> None:
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    encrypt(stack, encryption_key=key)
    assert allowing(stack, "kms:DescribeKey") == [
        {
            "Action": [*STREAM_ACTIONS, "kms:DescribeKey"],
            "Effect": "Allow",
            "Resource": [stream_arn("orders"), KEY_ARN],
        }
    ]
    assert allowing(stack, "kinesis:StartStreamEncryption") == allowing(stack, "kms:DescribeKey")


def test_key_of_the_app_is_the_only_key(stack: Stack) -> None:
    key = kms.Key(stack, "Key")
    encrypt(stack, encryption_key=key)
    (statement,) = allowing(stack, "kinesis:StartStreamEncryption")
    assert statement["Resource"] == [stream_arn("orders"), stack.resolve(key.key_arn)]


def test_alias_allows_describe_key_on_its_target_only(stack: Stack) -> None:
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/orders")
    encrypt(stack, encryption_key=alias)
    (statement,) = allowing(stack, "kms:DescribeKey")
    assert statement["Condition"] == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/orders"}
    }
    (statement,) = filled_in(allowing(stack, "kinesis:StartStreamEncryption"))
    assert statement["Resource"] == [stream_arn("orders"), ANY_KEY]
    assert "Condition" not in statement, "Kinesis has no condition key for an alias"


def test_streams_with_one_key_share_statements(stack: Stack) -> None:
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    for name in ("b", "a"):
        KinesisStreamEncryption(stack, name, stream=stream_in(stack, name), encryption_key=key)
    (statement,) = allowing(stack, "kinesis:StartStreamEncryption")
    assert statement["Resource"] == [stream_arn("a"), stream_arn("b"), KEY_ARN]


def test_no_policy_allows_stopping_encryption(stack: Stack) -> None:
    encrypt(stack, timeout=Duration.minutes(59))
    assert "StopStreamEncryption" not in str(resources(stack))


@pytest.mark.parametrize("minutes", [14, 15])
def test_permissions_exist_before_the_resource(stack: Stack, minutes: int) -> None:
    encrypt(stack, timeout=Duration.minutes(minutes))
    permissions = resources(stack, "AWS::Lambda::Permission")
    assert len(permissions) == (minutes > 14)
    assert "lambda:" not in str(statements(stack))
    assert set(only(stack, TYPE)["DependsOn"]) == {*documents(stack), *permissions}


def test_a_long_timeout_lets_only_the_role_invoke_the_function(stack: Stack) -> None:
    for name in ("orders", "payments"):
        encrypt(stack, name, stream=stream_in(stack, name), timeout=Duration.minutes(15))
    (function,) = resources(stack, "AWS::Lambda::Function")
    (role,) = resources(stack, "AWS::IAM::Role")
    assert properties(stack, "AWS::Lambda::Permission") == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Fn::GetAtt": [function, "Arn"]},
        "Principal": {"Fn::GetAtt": [role, "Arn"]},
    }


def test_resources_with_a_short_timeout_do_not_wait_for_the_permission(stack: Stack) -> None:
    encrypt(stack, timeout=Duration.minutes(15))
    encrypt(stack, "Short", stream=stream_in(stack, "payments"))
    (permission,) = resources(stack, "AWS::Lambda::Permission")
    waiting = [permission in each["DependsOn"] for each in resources(stack, TYPE).values()]
    assert waiting == [True, False]


def test_arns_follow_the_partition(env_agnostic_stack: Stack) -> None:
    encrypt(env_agnostic_stack)
    text = str(filled_in(statements(env_agnostic_stack), partition="aws-cn", region="cn-north-1"))
    assert text.replace(stream_arn("orders"), "").count("arn:aws:") == 0
    assert text.count("arn:aws-cn:") == 3


def test_only_lambda_can_assume_the_role(stack: Stack) -> None:
    encrypt(stack)
    assert properties(stack, "AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }
    ]
    assert "ManagedPolicyArns" not in properties(stack, "AWS::IAM::Role")


def test_a_vpc_requires_network_interface_permissions(stack: Stack) -> None:
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc)
    (statement,) = allowing(stack, "ec2:CreateNetworkInterface")
    assert statement["Resource"] == "*"


def test_tracing_requires_x_ray_permissions(stack: Stack) -> None:
    KinesisStreamEncryptionProvider(stack, "Provider", tracing=lambda_.Tracing.ACTIVE)
    assert len(allowing(stack, "xray:PutTraceSegments")) == 1


def test_another_key_changes_the_policy_and_the_resource_in_place() -> None:
    """A rollback restores them in the same order: first the permission, then the stream."""

    def template(name: str) -> dict[str, Any]:
        stack = Stack(App(), "Stack", env=HERE)
        keys = {each: kms.Key(stack, each) for each in ("A", "B")}
        encrypt(stack, encryption_key=keys[name])
        return resources(stack)

    before, after = template("A"), template("B")
    assert before.keys() == after.keys()
    changed = [after[id_]["Type"] for id_ in after if after[id_] != before[id_]]
    assert sorted(changed) == ["AWS::IAM::Policy", TYPE]
