"""Permissions to the stream that was passed in, without the key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aws_cdk import Annotations as Acknowledgeable
from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.cloud import stream_arn, stream_in, warnings

STREAM = stream_arn("orders")


@pytest.fixture
def stream(stack: Stack) -> kinesis.IStream:
    return stream_in(stack)


@pytest.fixture
def encryption(stack: Stack, stream: kinesis.IStream) -> KinesisStreamEncryption:
    return KinesisStreamEncryption(
        stack, "Encryption", stream=stream, encryption_key=kms.Key(stack, "Key")
    )


@pytest.fixture
def role(stack: Stack) -> iam.Role:
    return iam.Role(stack, "App", assumed_by=iam.AccountRootPrincipal())


Permit = Callable[[kinesis.IStream, iam.Role], object]


def statement(*actions: str, resource: str = STREAM) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=[resource])


WITHOUT_THE_KEY: dict[str, Permit] = {
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
}


@pytest.mark.parametrize("permit", WITHOUT_THE_KEY.values(), ids=WITHOUT_THE_KEY)
@pytest.mark.usefixtures("encryption")
def test_a_principal_without_the_key_is_warned_of(
    stack: Stack, stream: kinesis.IStream, role: iam.Role, permit: Permit
) -> None:
    permit(stream, role)
    (warning,) = warnings(stack)
    assert "'Stack/App' has access to the records of the stream 'orders', but lacks kms:" in warning
    assert "pass the construct 'Stack/Encryption' in place of the stream" in warning


def test_the_order_of_the_constructs_does_not_matter(
    stack: Stack, stream: kinesis.IStream, role: iam.Role
) -> None:
    stream.grant_read(role)
    KinesisStreamEncryption(
        stack, "Encryption", stream=stream, encryption_key=kms.Key(stack, "Key")
    )
    (warning,) = warnings(stack)
    assert "'Stack/App'" in warning


@pytest.mark.usefixtures("encryption")
def test_an_integration_of_the_stream_is_warned_of(stack: Stack, stream: kinesis.IStream) -> None:
    function = lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
    )
    start = lambda_.StartingPosition.LATEST
    function.add_event_source(event_sources.KinesisEventSource(stream, starting_position=start))
    (warning,) = warnings(stack)
    assert "'Stack/Function/ServiceRole'" in warning


def test_a_granted_principal_is_not_warned_of(
    stack: Stack, stream: kinesis.IStream, encryption: KinesisStreamEncryption, role: iam.Role
) -> None:
    stream.grant_read_write(role)
    encryption.grant_read_write(role)
    assert warnings(stack) == []


def test_a_writer_that_may_only_read_with_the_key_is_warned_of(
    stack: Stack, stream: kinesis.IStream, encryption: KinesisStreamEncryption, role: iam.Role
) -> None:
    encryption.grant_read(role)
    stream.grant_write(role)
    (warning,) = warnings(stack)
    assert "kms:GenerateDataKey" in warning
    assert "kms:Decrypt" not in warning


@pytest.mark.usefixtures("encryption")
def test_a_principal_that_has_the_key_otherwise_is_not_warned_of(
    stack: Stack, stream: kinesis.IStream, role: iam.Role
) -> None:
    stream.grant_read_write(role)
    role.add_to_policy(statement("kms:Decrypt", "kms:GenerateDataKey*", resource="*"))
    assert warnings(stack) == []


def test_an_imported_role_is_warned_of_by_its_name(
    stack: Stack, stream: kinesis.IStream, encryption: KinesisStreamEncryption
) -> None:
    stream.grant_read(iam.Role.from_role_name(stack, "App", "consumer"))
    (warning,) = warnings(stack)
    assert warning.startswith("'consumer' has access")


NOT_AFFECTED: dict[str, Permit] = {
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


@pytest.mark.parametrize("permit", NOT_AFFECTED.values(), ids=NOT_AFFECTED)
@pytest.mark.usefixtures("encryption")
def test_who_cannot_use_its_records_is_not_warned_of(
    stack: Stack, stream: kinesis.IStream, role: iam.Role, permit: Permit
) -> None:
    permit(stream, role)
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
