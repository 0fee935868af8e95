"""The custom resource, property by property."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import App, CfnOutput, CfnParameter, CfnResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Template

from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    TYPE,
    encrypt,
    only,
    properties,
    resources,
    stream_arn,
    stream_by_name,
)


def test_properties_by_default(stack: Stack) -> None:
    encrypt(stack)
    (function,) = resources(stack, "AWS::Lambda::Function")
    assert properties(stack) == {
        "ServiceToken": {"Fn::GetAtt": [function, "Arn"]},
        "ServiceTimeout": "660",
        "StreamArn": stream_arn("orders"),
        "KeyId": "alias/aws/kinesis",
        "EncryptionType": "KMS",
    }


@pytest.mark.parametrize(
    ("timeout", "service_timeout"),
    [(Duration.minutes(1), "120"), (Duration.minutes(59), "3600")],
)
def test_cloudformation_waits_a_minute_longer_than_the_handler(
    stack: Stack, timeout: Duration, service_timeout: str
) -> None:
    encrypt(stack, timeout=timeout)
    assert properties(stack)["ServiceTimeout"] == service_timeout


@pytest.mark.parametrize("revision", ["2", "November 2026"])
def test_revision_is_a_property(stack: Stack, revision: str) -> None:
    """Another value is a change of the resource, so that CloudFormation sends an update."""
    encrypt(stack, revision=revision)
    assert properties(stack)["Revision"] == revision


def test_the_resource_can_be_overridden_as_the_default_child(stack: Stack) -> None:
    resource = encrypt(stack).node.default_child
    assert isinstance(resource, CfnResource)
    resource.add_override("Condition", "IsProduction")
    assert only(stack, TYPE)["Condition"] == "IsProduction"


def test_delete_reaches_the_handler(stack: Stack) -> None:
    encrypt(stack)
    assert only(stack, TYPE)["DeletionPolicy"] == "Delete"


KEY_OF_THE_APP = {"Fn::GetAtt": ["Key961B73FD", "Arn"]}
OTHER_ACCOUNT = KEY_ARN.replace(ACCOUNT, "444455556666")


@pytest.mark.parametrize(
    ("make", "key_id"),
    [
        (lambda stack: kms.Key(stack, "Key"), KEY_OF_THE_APP),
        (lambda stack: kms.Key.from_key_arn(stack, "Imported", KEY_ARN), KEY_ARN),
        (lambda stack: kms.Key.from_key_arn(stack, "Imported", OTHER_ACCOUNT), OTHER_ACCOUNT),
        (lambda stack: kms.Alias.from_alias_name(stack, "A", "alias/orders"), "alias/orders"),
        # Another target then changes the template, so that the stream gets the new key.
        (lambda stack: kms.Key(stack, "Key").add_alias("orders"), KEY_OF_THE_APP),
        (
            lambda stack: kms.Key.from_key_arn(
                stack, "Imported", CfnParameter(stack, "KeyArn").value_as_string
            ),
            {"Ref": "KeyArn"},
        ),
    ],
    ids=["key of the app", "imported", "other account", "alias", "alias with a target", "token"],
)
def test_key_id(stack: Stack, make: Callable[[Stack], kms.IKey], key_id: object) -> None:
    encrypt(stack, encryption_key=make(stack))
    assert properties(stack)["KeyId"] == key_id


def test_key_from_lookup(stack: Stack) -> None:
    key = kms.Key.from_lookup(stack, "Key", alias_name="alias/orders")
    encrypt(stack, encryption_key=key)
    assert properties(stack)["KeyId"] == stack.resolve(key.key_arn)


@pytest.mark.parametrize("attributes", [False, True])
def test_stream_by_arn_in_an_env_agnostic_stack(
    env_agnostic_stack: Stack, attributes: bool
) -> None:
    import_ = (
        kinesis.Stream.from_stream_attributes if attributes else kinesis.Stream.from_stream_arn
    )
    stream = import_(env_agnostic_stack, "Stream", stream_arn=stream_arn("orders"))
    encrypt(env_agnostic_stack, stream=stream)
    assert properties(env_agnostic_stack)["StreamArn"] == stream_arn("orders")


def test_stream_by_name_in_an_env_agnostic_stack(env_agnostic_stack: Stack) -> None:
    stream = stream_by_name(env_agnostic_stack, "orders")
    encrypt(env_agnostic_stack, stream=stream)
    found = properties(env_agnostic_stack)["StreamArn"]
    assert found == env_agnostic_stack.resolve(stream.stream_arn)


def test_stream_by_token(stack: Stack) -> None:
    parameter = CfnParameter(stack, "StreamArn").value_as_string
    encrypt(stack, stream=kinesis.Stream.from_stream_arn(stack, "Stream", parameter))
    assert properties(stack)["StreamArn"] == {"Ref": "StreamArn"}


def test_key_arn_is_an_attribute_of_the_resource(stack: Stack) -> None:
    encryption = encrypt(stack)
    (resource,) = resources(stack, TYPE)
    assert stack.resolve(encryption.key_arn) == {"Fn::GetAtt": [resource, "KeyArn"]}


def test_resources_that_depend_on_the_construct_wait_for_encryption(stack: Stack) -> None:
    encryption = encrypt(stack)
    sns.Topic(stack, "Topic").node.add_dependency(encryption)
    (resource,) = resources(stack, TYPE)
    assert only(stack, "AWS::SNS::Topic")["DependsOn"] == [resource]


def test_attributes_can_be_outputs_of_another_stack(app: App, stack: Stack) -> None:
    encryption = encrypt(stack)
    other = Stack(app, "Other", env=HERE)
    CfnOutput(other, "KeyArn", value=encryption.key_arn)
    Template.from_stack(other).has_output("KeyArn", {})


@pytest.mark.parametrize(("minutes", "shared"), [(10, 4), (14, 4), (15, 5)])
def test_number_of_shared_resources(stack: Stack, minutes: int, shared: int) -> None:
    encrypt(stack, timeout=Duration.minutes(minutes))
    assert len(resources(stack)) - 1 == shared


def test_ids_are_the_same_in_every_synth() -> None:
    def template() -> Any:
        stack = Stack(App(), "Stack")
        encryption = encrypt(
            stack, encryption_key=kms.Key(stack, "Key"), timeout=Duration.minutes(30)
        )
        encryption.grant_read(iam.Role(stack, "App", assumed_by=iam.AccountRootPrincipal()))
        return Template.from_stack(stack).to_json()

    assert template() == template()
