"""Rights of producers and consumers: to the stream, to its key, and in time."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import Annotations as Acknowledgeable
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.cloud import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    TYPE,
    documents,
    filled_in,
    only,
    resources,
    stream_arn,
    stream_in,
    warnings,
)

CONTEXT = {"StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": stream_arn("orders")}}


@pytest.fixture
def role(stack: Stack) -> iam.Role:
    return iam.Role(stack, "App", assumed_by=iam.AccountRootPrincipal())


def encrypt(stack: Stack, key: kms.IKey | None) -> KinesisStreamEncryption:
    return KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)


def own_policies(stack: Stack) -> dict[str, Any]:
    """Statements of all policies but the function's, by logical id."""
    return {
        id_: filled_in(document)["Statement"]
        for id_, document in documents(stack).items()
        if not id_.startswith("KinesisStreamEncryptionProvider")
    }


def on_key(stack: Stack) -> list[Any]:
    found = [each for statements in own_policies(stack).values() for each in statements]
    return [each for each in found if "kms:" in str(each["Action"])]


def key_policy(stack: Stack) -> list[Any]:
    """Statements of the only key's policy, after the account's own."""
    statements: list[Any] = only(stack, "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    return statements[1:]


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
    found = [each for statements in own_policies(stack).values() for each in statements]
    (stream,) = [each for each in found if on_stream in each["Action"]]
    assert stream["Resource"] == stream_arn("orders")
    assert [each["Action"] for each in on_key(stack)] == on_the_key
    assert all(each["Resource"] == {"Fn::GetAtt": [key, "Arn"]} for each in on_key(stack))


def test_key_may_be_used_for_this_stream_only(stack: Stack, role: iam.Role) -> None:
    encrypt(stack, kms.Key(stack, "Key")).grant_read_write(role)
    assert [each["Condition"] for each in on_key(stack)] == [CONTEXT, CONTEXT]


def test_policy_of_the_key_stays_as_it_is_where_that_of_the_role_is_enough(
    stack: Stack, role: iam.Role
) -> None:
    encrypt(stack, kms.Key(stack, "Key")).grant_read(role)
    assert key_policy(stack) == []


def test_rights_are_there_before_encryption_starts(stack: Stack, role: iam.Role) -> None:
    encrypt(stack, kms.Key(stack, "Key")).grant_read_write(role)
    waited_for = only(stack, TYPE)["DependsOn"]
    for id_, statements in own_policies(stack).items():
        if "kms:" in str(statements):
            assert id_ in waited_for
    assert len(waited_for) == 3


def test_rights_of_an_imported_role_are_there_too(stack: Stack) -> None:
    role = iam.Role.from_role_arn(stack, "App", f"arn:aws:iam::{ACCOUNT}:role/app")
    encrypt(stack, kms.Key(stack, "Key")).grant_read(role)
    (policy,) = (id_ for id_, each in own_policies(stack).items() if "kms:" in str(each))
    assert policy in only(stack, TYPE)["DependsOn"]
    assert [each["Condition"] for each in on_key(stack)] == [CONTEXT]


def test_granting_twice_changes_nothing(stack: Stack, role: iam.Role) -> None:
    encryption = encrypt(stack, kms.Key(stack, "Key"))
    encryption.grant_read(role)
    once = own_policies(stack)
    for _ in range(2):
        encryption.grant_read(role)
    assert own_policies(stack) == once


def test_role_of_another_account_is_granted_by_the_key_policy_too(stack: Stack) -> None:
    role = iam.Role.from_role_arn(stack, "App", "arn:aws:iam::444455556666:role/app")
    encrypt(stack, kms.Key(stack, "Key")).grant_read(role)
    (statement,) = key_policy(stack)
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Condition"] == CONTEXT


def test_the_aws_managed_key_needs_no_rights(stack: Stack, role: iam.Role) -> None:
    assert encrypt(stack, None).grant_read_write(role).success
    assert on_key(stack) == []
    assert warnings(stack) == []


@pytest.mark.parametrize(
    "consumer",
    [
        lambda stack: iam.Role.from_role_arn(stack, "Far", "arn:aws:iam::444455556666:role/far"),
        lambda stack: iam.AccountPrincipal("444455556666"),
        lambda stack: iam.ArnPrincipal("arn:aws:iam::444455556666:role/far"),
    ],
    ids=["role", "account", "ARN"],
)
def test_nobody_elsewhere_can_use_the_aws_managed_key(stack: Stack, consumer: Any) -> None:
    encrypt(stack, None).grant_read(consumer(stack))
    (warning,) = warnings(stack)
    assert (
        "is of account '444455556666' and cannot use 'alias/aws/kinesis', the AWS managed key of "
        "account '111122223333', to which nobody can grant a right: give the stream a key of your "
        "own, encryption_key=kms.Key(…)"
    ) in warning


def test_an_account_that_may_be_the_same_is_not_warned_of(anywhere: Stack) -> None:
    role = iam.Role.from_role_arn(anywhere, "App", f"arn:aws:iam::{ACCOUNT}:role/app")
    encrypt(anywhere, None).grant_read(role)
    assert warnings(anywhere) == []


def test_imported_key_warns_of_its_policy(stack: Stack, role: iam.Role) -> None:
    encryption = encrypt(stack, kms.Key.from_key_arn(stack, "Key", KEY_ARN))
    encryption.grant_read(role)
    (statement,) = on_key(stack)
    assert statement["Resource"] == KEY_ARN
    assert statement["Condition"] == CONTEXT
    (warning,) = warnings(stack)
    assert warning.startswith(
        f"the policy of the imported key '{KEY_ARN}' is not changed: unless it lets the IAM "
        "policies of the account decide, add kms:Decrypt for 'Stack/App' on condition that "
        f"kms:EncryptionContext:aws:kinesis:arn is '{stream_arn('orders')}'"
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
    (statement,) = on_key(stack)
    assert statement["Resource"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"
    assert statement["Condition"] == {
        **CONTEXT,
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/orders"},
    }


def test_principal_without_policies_is_granted_by_the_key_policy(stack: Stack) -> None:
    encryption = encrypt(stack, kms.Key(stack, "Key"))
    encryption.grant_read(iam.ServicePrincipal("firehose.amazonaws.com"))
    (statement,) = key_policy(stack)
    assert statement == {
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
