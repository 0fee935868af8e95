"""Rights of producers and consumers: to the stream, to its key, and in time."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import Annotations as Acknowledgeable
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Annotations, Match

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.cloud import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    TYPE,
    as_list,
    filled_in,
    only,
    resources,
    stream_arn,
    stream_in,
)

CONTEXT = {"StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": stream_arn("orders")}}


@pytest.fixture
def role(stack: Stack) -> iam.Role:
    return iam.Role(stack, "App", assumed_by=iam.AccountRootPrincipal())


def encrypt(stack: Stack, key: kms.IKey | None) -> KinesisStreamEncryption:
    return KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)


def policy_of(stack: Stack) -> Any:
    """Statements of the role's own policy; the function's are in policies of another type."""
    return filled_in(only(stack, "AWS::IAM::Policy"))["Properties"]["PolicyDocument"]["Statement"]


def on_key(stack: Stack) -> Any:
    (statement,) = [each for each in policy_of(stack) if "kms:" in str(each["Action"])]
    return statement


def warnings(stack: Stack) -> list[str]:
    found = Annotations.from_stack(stack).find_warning("*", Match.any_value())
    return [str(each.entry.data) for each in found]


@pytest.mark.parametrize(
    ("grant", "on_stream", "on_the_key"),
    [
        ("grant_read", "kinesis:GetRecords", ["kms:Decrypt"]),
        ("grant_write", "kinesis:PutRecords", ["kms:GenerateDataKey"]),
        ("grant_read_write", "kinesis:PutRecords", ["kms:Decrypt", "kms:GenerateDataKey"]),
    ],
)
def test_covers_stream_and_key(
    stack: Stack, role: iam.Role, grant: str, on_stream: str, on_the_key: list[str]
) -> None:
    encryption = encrypt(stack, kms.Key(stack, "Key"))
    made: iam.Grant = getattr(encryption, grant)(role)
    (key,) = resources(stack, "AWS::KMS::Key")
    assert made.success
    (stream,) = [each for each in policy_of(stack) if on_stream in each["Action"]]
    assert stream["Resource"] == stream_arn("orders")
    assert as_list(on_key(stack)["Action"]) == on_the_key
    assert on_key(stack)["Resource"] == {"Fn::GetAtt": [key, "Arn"]}


def test_key_may_be_used_for_this_stream_only(stack: Stack, role: iam.Role) -> None:
    encrypt(stack, kms.Key(stack, "Key")).grant_read_write(role)
    assert on_key(stack)["Condition"] == CONTEXT


def test_policy_of_the_key_stays_as_it_is_where_that_of_the_role_is_enough(
    stack: Stack, role: iam.Role
) -> None:
    encrypt(stack, kms.Key(stack, "Key")).grant_read(role)
    policy = only(stack, "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    assert [each["Action"] for each in policy] == ["kms:*"]


def test_rights_are_there_before_encryption_starts(stack: Stack, role: iam.Role) -> None:
    encrypt(stack, kms.Key(stack, "Key")).grant_read(role)
    (policy,) = resources(stack, "AWS::IAM::Policy")
    assert policy in only(stack, TYPE)["DependsOn"]


def test_rights_of_an_imported_role_are_there_too(stack: Stack) -> None:
    role = iam.Role.from_role_arn(stack, "App", f"arn:aws:iam::{ACCOUNT}:role/app")
    encrypt(stack, kms.Key(stack, "Key")).grant_read(role)
    (policy,) = resources(stack, "AWS::IAM::Policy")
    assert policy in only(stack, TYPE)["DependsOn"]
    assert on_key(stack)["Condition"] == CONTEXT


def test_role_of_another_account_is_granted_by_the_key_policy_too(stack: Stack) -> None:
    role = iam.Role.from_role_arn(stack, "App", "arn:aws:iam::444455556666:role/app")
    encrypt(stack, kms.Key(stack, "Key")).grant_read(role)
    policy = only(stack, "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    assert policy[-1]["Action"] == "kms:Decrypt"
    assert policy[-1]["Condition"] == CONTEXT


def test_the_key_that_kinesis_owns_needs_no_rights(stack: Stack, role: iam.Role) -> None:
    assert encrypt(stack, None).grant_read_write(role).success
    assert "kms:" not in str(policy_of(stack))
    assert warnings(stack) == []


def test_imported_key_warns_of_its_policy(stack: Stack, role: iam.Role) -> None:
    encryption = encrypt(stack, kms.Key.from_key_arn(stack, "Key", KEY_ARN))
    encryption.grant_read_write(role)
    assert on_key(stack)["Resource"] == KEY_ARN
    assert on_key(stack)["Condition"] == CONTEXT
    (warning,) = warnings(stack)
    assert warning.startswith(
        f"the policy of the imported key '{KEY_ARN}' is not changed: unless it lets the IAM "
        "policies of the account decide, add kms:Decrypt and kms:GenerateDataKey for 'Stack/App' "
        f"on condition that kms:EncryptionContext:aws:kinesis:arn is '{stream_arn('orders')}'"
    )


def test_warning_can_be_acknowledged(stack: Stack, role: iam.Role) -> None:
    encryption = encrypt(stack, kms.Key.from_key_arn(stack, "Key", KEY_ARN))
    encryption.grant_read(role)
    Acknowledgeable.of(encryption).acknowledge_warning(
        "cdk-kinesis-stream-encryption:keyPolicy", "the key's policy lets IAM decide"
    )
    assert warnings(stack) == []


def test_alias_allows_the_key_behind_it_alone(stack: Stack, role: iam.Role) -> None:
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/orders")
    encrypt(stack, alias).grant_read(role)
    assert on_key(stack)["Resource"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"
    assert on_key(stack)["Condition"] == {
        **CONTEXT,
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/orders"]},
    }


def test_principal_without_policies_is_granted_by_the_key_policy(stack: Stack) -> None:
    encryption = encrypt(stack, kms.Key(stack, "Key"))
    encryption.grant_read(iam.ServicePrincipal("firehose.amazonaws.com"))
    policy = only(stack, "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    assert policy[-1] == {
        "Action": "kms:Decrypt",
        "Condition": CONTEXT,
        "Effect": "Allow",
        "Principal": {"Service": "firehose.amazonaws.com"},
        "Resource": "*",
    }


def test_grantee_of_another_stack_is_warned_of(app: App, stack: Stack) -> None:
    """Waiting for it could be circular: its stack may refer to this one."""
    other = Stack(app, "Other", env=HERE)
    role = iam.Role(other, "App", assumed_by=iam.AccountRootPrincipal())
    encrypt(stack, kms.Key(stack, "Key")).grant_read(role)
    (warning,) = warnings(stack)
    assert warning.startswith(
        "'Other/App' is in another stack, so the stream may be encrypted before it has its "
        "rights to the key: deploy 'Other' first"
    )
    assert stack.dependencies == []
