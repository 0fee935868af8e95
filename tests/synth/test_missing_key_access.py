"""Warnings about principals with access to the original stream but not to its key."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from aws_cdk import Annotations as Acknowledgeable
from aws_cdk import CfnResource, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.templates import encrypt, function_in, stream_arn, warnings

STREAM = stream_arn("orders")


Allow = Callable[[kinesis.IStream, iam.Role], object]


def statement(*actions: str, resource: str = STREAM) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=[resource])


WITHOUT_KEY_ACCESS: dict[str, Allow] = {
    "grant_read": lambda stream, role: stream.grant_read(role),
    "grant_write": lambda stream, role: stream.grant_write(role),
    "grant_read_write": lambda stream, role: stream.grant_read_write(role),
    "grant": lambda stream, role: stream.grant(role, "kinesis:PutRecord"),
    "wildcard": lambda stream, role: stream.grant(role, "kinesis:Get*"),
    "statement": lambda stream, role: role.add_to_policy(statement("kinesis:SubscribeToShard")),
    "all actions": lambda stream, role: role.add_to_policy(statement("kinesis:*")),
    "policy": lambda stream, role: iam.Policy(
        role, "Policy", roles=[role], statements=[statement("kinesis:PutRecords")]
    ),
    "managed policy": lambda stream, role: iam.ManagedPolicy(
        role, "Policy", roles=[role], statements=[statement("kinesis:PutRecords")]
    ),
    "managed policy of the role": lambda stream, role: role.add_managed_policy(
        iam.ManagedPolicy(role, "Policy", statements=[statement("kinesis:PutRecords")])
    ),
}


@pytest.mark.parametrize("allow", WITHOUT_KEY_ACCESS.values(), ids=WITHOUT_KEY_ACCESS)
@pytest.mark.usefixtures("encryption")
def test_a_principal_without_access_to_the_key_causes_a_warning(
    stack: Stack, stream: kinesis.IStream, role: iam.Role, allow: Allow
) -> None:
    allow(stream, role)
    (warning,) = warnings(stack)
    assert "'Stack/App' has access to the records of the stream 'orders', but lacks kms:" in warning
    assert "pass the construct 'Stack/Encryption' in place of the stream" in warning


PUT = {"Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": STREAM}
APP = {"Ref": "App"}
NO_VALUE = {"Ref": "AWS::NoValue"}


def either(one: object, other: object = NO_VALUE) -> dict[str, object]:
    return {"Fn::If": ["IsProduction", one, other]}


POLICIES_AS_WRITTEN: dict[str, tuple[str, object]] = {
    "one statement": ("PolicyDocument", {"Statement": PUT}),
    "conditional statement": ("PolicyDocument", {"Statement": [either(PUT)]}),
    "conditional statements": ("PolicyDocument", {"Statement": either([PUT], [])}),
    "conditional document": ("PolicyDocument", either({"Statement": PUT})),
    "conditional action": (
        "PolicyDocument",
        {"Statement": {**PUT, "Action": either("kinesis:PutRecord", "kinesis:PutRecords")}},
    ),
    "conditional role": ("Roles", [either(APP)]),
    "policy of the role": ("Policies", [{"PolicyDocument": {"Statement": PUT}}]),
    "conditional policy": ("Policies", [either({"PolicyDocument": {"Statement": [PUT]}})]),
    "conditional policies": ("Policies", either([{"PolicyDocument": {"Statement": [PUT]}}])),
}


@pytest.mark.parametrize(("name", "value"), POLICIES_AS_WRITTEN.values(), ids=POLICIES_AS_WRITTEN)
@pytest.mark.usefixtures("encryption")
def test_policies_of_existing_templates_are_read(
    stack: Stack, role: iam.Role, name: str, value: object
) -> None:
    resource = cast(iam.CfnRole, role.node.default_child)
    resource.override_logical_id("App")
    if name == "Policies":
        resource.add_property_override(name, value)
    else:
        policy = {"PolicyName": "put", "PolicyDocument": {"Statement": [PUT]}, "Roles": [APP]}
        CfnResource(stack, "Policy", type="AWS::IAM::Policy", properties=policy | {name: value})
    (warning,) = warnings(stack)
    assert "'Stack/App' has access to the records" in warning
    assert "lacks kms:GenerateDataKey on its key" in warning


def test_the_order_of_the_constructs_does_not_matter(
    stack: Stack, stream: kinesis.IStream, role: iam.Role
) -> None:
    stream.grant_read(role)
    encrypt(stack, stream=stream, encryption_key=kms.Key(stack, "Key"))
    (warning,) = warnings(stack)
    assert "'Stack/App'" in warning


@pytest.mark.usefixtures("encryption")
def test_an_integration_of_the_original_stream_causes_a_warning(
    stack: Stack, stream: kinesis.IStream
) -> None:
    function = function_in(stack)
    start = lambda_.StartingPosition.LATEST
    function.add_event_source(event_sources.KinesisEventSource(stream, starting_position=start))
    (warning,) = warnings(stack)
    assert "'Stack/Function/ServiceRole'" in warning


def test_a_granted_principal_causes_no_warning(
    stack: Stack, stream: kinesis.IStream, encryption: KinesisStreamEncryption, role: iam.Role
) -> None:
    stream.grant_read_write(role)
    encryption.grant_read_write(role)
    assert warnings(stack) == []


def test_a_producer_with_decrypt_permission_only_causes_a_warning(
    stack: Stack, stream: kinesis.IStream, encryption: KinesisStreamEncryption, role: iam.Role
) -> None:
    encryption.grant_read(role)
    stream.grant_write(role)
    (warning,) = warnings(stack)
    assert "kms:GenerateDataKey" in warning
    assert "kms:Decrypt" not in warning


@pytest.mark.usefixtures("encryption")
def test_access_to_the_key_from_another_policy_causes_no_warning(
    stack: Stack, stream: kinesis.IStream, role: iam.Role
) -> None:
    stream.grant_read_write(role)
    role.add_to_policy(statement("kms:Decrypt", "kms:GenerateDataKey*", resource="*"))
    assert warnings(stack) == []


def test_a_managed_policy_of_the_role_can_allow_the_key(
    stack: Stack, encryption: KinesisStreamEncryption
) -> None:
    """A platform team gives all roles one policy."""
    policy = iam.ManagedPolicy(stack, "Shared")
    encryption.grant_write(policy)
    put = iam.PolicyDocument(statements=[statement("kinesis:PutRecord")])
    principal = iam.AccountRootPrincipal()
    iam.Role(
        stack, "App", assumed_by=principal, managed_policies=[policy], inline_policies={"Put": put}
    )
    assert warnings(stack) == []


def test_the_warning_contains_the_name_of_an_imported_role(
    stack: Stack, stream: kinesis.IStream, encryption: KinesisStreamEncryption
) -> None:
    stream.grant_read(iam.Role.from_role_name(stack, "App", "consumer"))
    (warning,) = warnings(stack)
    assert warning.startswith("'consumer' has access")


WITHOUT_RECORDS: dict[str, Allow] = {
    "no records": lambda stream, role: stream.grant(role, "kinesis:DescribeStreamSummary"),
    "another stream": lambda stream, role: role.add_to_policy(
        statement("kinesis:PutRecord", resource=stream_arn("others"))
    ),
    "denied": lambda stream, role: role.add_to_policy(
        iam.PolicyStatement(
            effect=iam.Effect.DENY, actions=["kinesis:PutRecord"], resources=[STREAM]
        )
    ),
}


@pytest.mark.parametrize("allow", WITHOUT_RECORDS.values(), ids=WITHOUT_RECORDS)
@pytest.mark.usefixtures("encryption")
def test_a_principal_without_access_to_records_causes_no_warning(
    stack: Stack, stream: kinesis.IStream, role: iam.Role, allow: Allow
) -> None:
    allow(stream, role)
    assert warnings(stack) == []


def test_the_aws_managed_key_needs_no_permission(
    stack: Stack, stream: kinesis.IStream, role: iam.Role
) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=stream)
    stream.grant_read_write(role)
    assert warnings(stack) == []


def test_the_warning_can_be_acknowledged(
    stack: Stack, stream: kinesis.IStream, encryption: KinesisStreamEncryption, role: iam.Role
) -> None:
    stream.grant_read(role)
    Acknowledgeable.of(encryption).acknowledge_warning(
        "cdk-kinesis-stream-encryption:missingKeyAccess", "the key policy names the role"
    )
    assert warnings(stack) == []
