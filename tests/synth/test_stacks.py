"""Several stacks in one app: places that are told apart, and providers that serve their own."""

from __future__ import annotations

import re

import pytest
from aws_cdk import App, Environment, NestedStack, Stack, Stage
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Template

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.cloud import ACCOUNT, HERE, REGION, TYPE, resources, stream_arn, stream_in


def encrypt_by_name(stack: Stack, id_: str = "Encryption") -> None:
    arn = stack.format_arn(service="kinesis", resource="stream", resource_name="orders")
    stream = kinesis.Stream.from_stream_arn(stack, f"{id_}Stream", arn)
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
def test_one_name_in_two_places_is_two_streams(
    app: App, first: Environment | None, second: Environment | None
) -> None:
    """A place that only deployment will tell is a place of its own."""
    for name, env in (("Dev", first), ("Prod", second)):
        encrypt_by_name(Stack(app, name, env=env))
    app.synth()


def test_the_same_stage_twice(app: App) -> None:
    for name in ("Dev", "Prod"):
        encrypt_by_name(Stack(Stage(app, name), "Stack"))
    app.synth()


def test_one_stream_twice_in_one_place_is_refused(app: App) -> None:
    encrypt_by_name(Stack(app, "First", env=HERE))
    with pytest.raises(ValueError, match="is already encrypted by 'First/Encryption'"):
        encrypt_by_name(Stack(app, "Second", env=HERE))


def test_one_stream_twice_in_one_stack_is_refused(app: App) -> None:
    stack = Stack(app, "Stack")
    encrypt_by_name(stack)
    with pytest.raises(ValueError, match="is already encrypted by 'Stack/Encryption'"):
        encrypt_by_name(stack, "Again")


def test_one_arn_twice_is_refused_wherever_the_stacks_go(app: App) -> None:
    """The ARN tells the place."""
    first, second = Stack(app, "First"), Stack(app, "Second")
    KinesisStreamEncryption(first, "Encryption", stream=stream_in(first))
    with pytest.raises(ValueError, match="is already encrypted by 'First/Encryption'"):
        KinesisStreamEncryption(second, "Encryption", stream=stream_in(second))


def test_a_nested_stack_has_a_provider_of_its_own(app: App, stack: Stack) -> None:
    nested = NestedStack(stack, "Nested")
    key = kms.Key(stack, "Key")
    for where, name in ((stack, "outer"), (nested, "inner")):
        KinesisStreamEncryption(
            where, "Encryption", stream=stream_in(where, name), encryption_key=key
        )
    app.synth()
    for where in (stack, nested):
        assert Template.from_stack(where).find_resources(TYPE)
        assert len(resources(where, "AWS::Lambda::Function")) == 1


def test_a_provider_serves_its_own_stack_only(app: App, stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider(stack, "Provider")
    for elsewhere in (NestedStack(stack, "Nested"), Stack(app, "Other", env=HERE)):
        message = (
            f"the provider 'Stack/Provider' serves its own stack, and this resource is in "
            f"{elsewhere.node.path!r}: leave provider out, so that the stack gets one of its own, "
            "or make another one there"
        )
        stream = kinesis.Stream.from_stream_arn(
            elsewhere, "Stream", stream_arn(elsewhere.node.id.lower())
        )
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            KinesisStreamEncryption(elsewhere, "Encryption", stream=stream, provider=provider)
