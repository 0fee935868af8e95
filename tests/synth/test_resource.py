"""The custom resource, property by property."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import App, CfnOutput, CfnParameter, CfnResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Template

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.templates import (
    HERE,
    KEY_ARN,
    TYPE,
    only,
    properties,
    resources,
    stream_arn,
    stream_in,
)


def test_service_token_is_the_function(stack: Stack) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    (function,) = resources(stack, "AWS::Lambda::Function")
    assert properties(stack)["ServiceToken"] == {"Fn::GetAtt": [function, "Arn"]}


def test_stream_is_identified_by_arn(stack: Stack) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    assert properties(stack)["StreamArn"] == stream_arn("orders")
    assert "StreamName" not in properties(stack)


def test_resource_has_exactly_the_supported_properties(stack: Stack) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    assert set(properties(stack)) == {
        "ServiceToken",
        "ServiceTimeout",
        "StreamArn",
        "KeyId",
        "EncryptionType",
    }
    assert properties(stack)["EncryptionType"] == "KMS"


@pytest.mark.parametrize(
    ("timeout", "service_timeout"),
    [(None, "660"), (Duration.minutes(1), "120"), (Duration.minutes(59), "3600")],
)
def test_cloudformation_waits_a_minute_longer_than_the_handler(
    stack: Stack, timeout: Duration | None, service_timeout: str
) -> None:
    options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), **options)
    assert properties(stack)["ServiceTimeout"] == service_timeout


@pytest.mark.parametrize("revision", ["2", "November 2026"])
def test_revision_is_a_property(stack: Stack, revision: str) -> None:
    """Another value is a change of the resource, so that CloudFormation sends an update."""
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), revision=revision)
    assert properties(stack)["Revision"] == revision


def test_the_resource_can_be_overridden_as_the_default_child(stack: Stack) -> None:
    resource = KinesisStreamEncryption(
        stack, "Encryption", stream=stream_in(stack)
    ).node.default_child
    assert isinstance(resource, CfnResource)
    resource.add_override("Condition", "IsProduction")
    assert only(stack, TYPE)["Condition"] == "IsProduction"


def test_delete_reaches_the_handler(stack: Stack) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    assert only(stack, TYPE)["DeletionPolicy"] == "Delete"


class TestKeyId:
    """Format of the key identifier."""

    @staticmethod
    def key_id(stack: Stack, key: kms.IKey | None) -> Any:
        KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)
        return properties(stack)["KeyId"]

    def test_default(self, stack: Stack) -> None:
        assert self.key_id(stack, None) == "alias/aws/kinesis"

    def test_key_of_the_app(self, stack: Stack) -> None:
        key_id = self.key_id(stack, kms.Key(stack, "Key"))
        (key,) = resources(stack, "AWS::KMS::Key")
        assert key_id == {"Fn::GetAtt": [key, "Arn"]}

    def test_imported_key(self, stack: Stack) -> None:
        assert self.key_id(stack, kms.Key.from_key_arn(stack, "Key", KEY_ARN)) == KEY_ARN

    def test_key_of_another_account(self, stack: Stack) -> None:
        arn = KEY_ARN.replace("111122223333", "444455556666")
        assert self.key_id(stack, kms.Key.from_key_arn(stack, "Key", arn)) == arn

    def test_key_from_lookup(self, stack: Stack) -> None:
        key = kms.Key.from_lookup(stack, "Key", alias_name="alias/orders")
        assert self.key_id(stack, key) == stack.resolve(key.key_arn)

    def test_alias_by_name(self, stack: Stack) -> None:
        alias = kms.Alias.from_alias_name(stack, "Alias", "alias/orders")
        assert self.key_id(stack, alias) == "alias/orders"

    def test_alias_with_a_target_is_resolved_to_its_key(self, stack: Stack) -> None:
        """Another target then changes the template, so that the stream gets the new key."""
        alias = kms.Alias(
            stack, "Alias", alias_name="alias/orders", target_key=kms.Key(stack, "Key")
        )
        key_id = self.key_id(stack, alias)
        (key,) = resources(stack, "AWS::KMS::Key")
        assert key_id == {"Fn::GetAtt": [key, "Arn"]}

    def test_token(self, stack: Stack) -> None:
        parameter = CfnParameter(stack, "KeyArn")
        key = kms.Key.from_key_arn(stack, "Key", parameter.value_as_string)
        assert self.key_id(stack, key) == {"Ref": "KeyArn"}


class TestStream:
    """Ways to pass a stream."""

    @staticmethod
    def arn(stack: Stack, stream: kinesis.IStream) -> Any:
        KinesisStreamEncryption(stack, "Encryption", stream=stream)
        return properties(stack)["StreamArn"]

    def test_by_attributes(self, stack: Stack) -> None:
        stream = kinesis.Stream.from_stream_attributes(
            stack, "Stream", stream_arn=stream_arn("orders")
        )
        assert self.arn(stack, stream) == stream_arn("orders")

    def test_token(self, stack: Stack) -> None:
        parameter = CfnParameter(stack, "StreamArn")
        stream = kinesis.Stream.from_stream_arn(stack, "Stream", parameter.value_as_string)
        assert self.arn(stack, stream) == {"Ref": "StreamArn"}

    def test_by_name_in_an_env_agnostic_stack(self, env_agnostic_stack: Stack) -> None:
        arn = env_agnostic_stack.format_arn(
            service="kinesis", resource="stream", resource_name="orders"
        )
        stream = kinesis.Stream.from_stream_arn(env_agnostic_stack, "Stream", arn)
        assert self.arn(env_agnostic_stack, stream) == env_agnostic_stack.resolve(arn)

    def test_by_arn_in_an_env_agnostic_stack(self, env_agnostic_stack: Stack) -> None:
        assert self.arn(env_agnostic_stack, stream_in(env_agnostic_stack)) == stream_arn("orders")


def test_key_arn_is_an_attribute_of_the_resource(stack: Stack) -> None:
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    (resource,) = resources(stack, TYPE)
    assert stack.resolve(encryption.key_arn) == {"Fn::GetAtt": [resource, "KeyArn"]}


def test_stream_and_key_are_properties(stack: Stack) -> None:
    stream, key = stream_in(stack), kms.Key(stack, "Key")
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=stream, encryption_key=key)
    assert encryption.stream is stream
    assert encryption.key is key


def test_resources_that_depend_on_the_construct_wait_for_encryption(stack: Stack) -> None:
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    sns.Topic(stack, "Topic").node.add_dependency(encryption)
    (resource,) = resources(stack, TYPE)
    assert only(stack, "AWS::SNS::Topic")["DependsOn"] == [resource]


def test_attributes_can_be_outputs_of_another_stack(app: App, stack: Stack) -> None:
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    other = Stack(app, "Other", env=HERE)
    CfnOutput(other, "KeyArn", value=encryption.key_arn)
    Template.from_stack(other).has_output("KeyArn", {})


@pytest.mark.parametrize(("minutes", "shared"), [(10, 4), (14, 4), (15, 5)])
def test_number_of_shared_resources(stack: Stack, minutes: int, shared: int) -> None:
    KinesisStreamEncryption(
        stack, "Encryption", stream=stream_in(stack), timeout=Duration.minutes(minutes)
    )
    assert len(resources(stack)) - 1 == shared


def test_each_additional_stream_adds_one_resource(stack: Stack) -> None:
    KinesisStreamEncryption(stack, "First", stream=stream_in(stack, "first"))
    for number in range(20):
        name = f"stream-{number}"
        KinesisStreamEncryption(stack, name, stream=stream_in(stack, name))
    assert len(resources(stack, TYPE)) == 21
    assert len(resources(stack, "AWS::Lambda::Function")) == 1
    assert len(resources(stack)) - 21 == 4


def test_ids_are_the_same_in_every_synth() -> None:
    def template() -> Any:
        stack = Stack(App(), "Stack")
        KinesisStreamEncryption(
            stack,
            "Encryption",
            stream=stream_in(stack),
            encryption_key=kms.Key(stack, "Key"),
            timeout=Duration.minutes(30),
        ).grant_read(iam.Role(stack, "App", assumed_by=iam.AccountRootPrincipal()))
        return Template.from_stack(stack).to_json()

    assert template() == template()
