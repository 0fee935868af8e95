"""Several stacks in one app: which streams are distinct, and the provider of each stack."""

from __future__ import annotations

import re

import pytest
from aws_cdk import App, CfnParameter, Environment, NestedStack, Stack, Stage
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Template

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    REGION,
    TYPE,
    encrypt,
    errors,
    resources,
    stream_arn,
    stream_by_name,
    stream_in,
)


def encrypt_by_name(stack: Stack, id_: str = "Encryption", name: str = "orders") -> None:
    stream = stream_by_name(stack, name, f"{id_}Stream")
    KinesisStreamEncryption(stack, id_, stream=stream)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, None),
        (None, HERE),
        (HERE, Environment(account=ACCOUNT, region="us-east-1")),
        (HERE, Environment(account="444455556666", region=REGION)),
        (Environment(region=REGION), Environment(region=REGION)),
        (Environment(account=ACCOUNT), Environment(account=ACCOUNT)),
    ],
)
def test_one_name_in_two_environments_is_two_streams(
    app: App, first: Environment | None, second: Environment | None
) -> None:
    """An environment that is known only at deployment counts as distinct."""
    stacks = [Stack(app, name, env=env) for name, env in (("Dev", first), ("Prod", second))]
    for stack in stacks:
        encrypt_by_name(stack)
    assert [errors(stack) for stack in stacks] == [[], []]


def test_the_same_stage_twice(app: App) -> None:
    stacks = [Stack(Stage(app, name), "Stack") for name in ("Dev", "Prod")]
    for stack in stacks:
        encrypt_by_name(stack)
    assert [errors(stack) for stack in stacks] == [[], []]


@pytest.mark.parametrize("env", [None, HERE])
def test_values_known_only_at_deployment_are_not_compared_across_stacks(
    app: App, env: Environment | None
) -> None:
    stacks = [Stack(app, name, env=env) for name in ("Orders", "Returns")]
    for stack in stacks:
        encrypt_by_name(stack, name=CfnParameter(stack, "StreamName").value_as_string)
    assert [errors(stack) for stack in stacks] == [[], []]


def test_one_value_known_only_at_deployment_twice_in_one_stack_is_an_error(stack: Stack) -> None:
    name = CfnParameter(stack, "StreamName").value_as_string
    encrypt_by_name(stack, name=name)
    encrypt_by_name(stack, "Again", name=name)
    assert errors(stack) == [
        "the stream known only at deployment is already encrypted by 'Stack/Encryption': two "
        "resources would switch its key back and forth; keep one of them"
    ]


def test_two_values_known_only_at_deployment_in_one_stack_are_two_streams(stack: Stack) -> None:
    for id_ in ("Orders", "Returns"):
        encrypt_by_name(stack, id_, CfnParameter(stack, f"{id_}Name").value_as_string)
    assert errors(stack) == []


@pytest.mark.parametrize("literal", [False, True], ids=["name", "ARN"])
def test_one_stream_in_two_stacks_of_one_environment_is_an_error(app: App, literal: bool) -> None:
    first, second = (Stack(app, name, env=HERE) for name in ("First", "Second"))
    encrypt_by_name(first)
    if literal:
        encrypt(second)
    else:
        encrypt_by_name(second)
    assert errors(first) == []
    (error,) = errors(second)
    assert "is already encrypted by 'First/Encryption'" in error


def test_one_stream_twice_in_one_stack_is_an_error(app: App) -> None:
    stack = Stack(app, "Stack")
    encrypt_by_name(stack)
    encrypt_by_name(stack, "Again")
    (error,) = errors(stack)
    assert "is already encrypted by 'Stack/Encryption'" in error


def test_one_arn_in_two_env_agnostic_stacks_is_an_error(app: App) -> None:
    """The ARN contains Region and account."""
    first, second = Stack(app, "First"), Stack(app, "Second")
    for stack in (first, second):
        encrypt(stack)
    (error,) = errors(second)
    assert "is already encrypted by 'First/Encryption'" in error


def test_a_nested_stack_has_a_separate_provider(app: App, stack: Stack) -> None:
    nested = NestedStack(stack, "Nested")
    key = kms.Key(stack, "Key")
    for each, name in ((stack, "outer"), (nested, "inner")):
        encrypt(each, stream=stream_in(each, name), encryption_key=key)
    app.synth()
    for each in (stack, nested):
        assert Template.from_stack(each).find_resources(TYPE)
        assert len(resources(each, "AWS::Lambda::Function")) == 1


def test_a_provider_serves_its_own_stack_only(app: App, stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider(stack, "Provider")
    for other in (NestedStack(stack, "Nested"), Stack(app, "Other", env=HERE)):
        message = (
            "the provider 'Stack/Provider' serves its own stack only, but the stream is encrypted "
            f"in {other.node.path!r}: omit provider, or create one in that stack"
        )
        stream = kinesis.Stream.from_stream_arn(other, "Stream", stream_arn(other.node.id.lower()))
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            KinesisStreamEncryption(other, "Encryption", stream=stream, provider=provider)
