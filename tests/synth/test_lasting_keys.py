"""Keys of the app must outlive the streams' records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsii
import pytest
from aws_cdk import (
    App,
    Aspects,
    CfnResource,
    IAspect,
    NestedStack,
    RemovalPolicies,
    RemovalPolicy,
    Stack,
    Stage,
)
from aws_cdk import aws_kms as kms
from constructs import IConstruct

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.cloud import HERE, KEY_ARN, stream_in

MESSAGE = (
    "the key '{}' would be deleted with its stack, or when its first deployment is rolled back, and "
    "the records that it encrypts would be lost: set removal_policy=RemovalPolicy.RETAIN"
)


def l1(stack: Stack) -> kms.IKey:
    """Without a DeletionPolicy, CloudFormation deletes."""
    key = kms.CfnKey(stack, "Key", key_policy={"Statement": []})
    return kms.Key.from_key_arn(stack, "Imported", key.attr_arn)


def behind_an_alias(stack: Stack) -> kms.IKey:
    key = kms.Key(stack, "Key", removal_policy=RemovalPolicy.DESTROY)
    return kms.Alias(stack, "Alias", alias_name="alias/orders", target_key=key)


DELETED: list[Callable[[Stack], kms.IKey]] = [
    lambda stack: kms.Key(stack, "Key", removal_policy=RemovalPolicy.DESTROY),
    lambda stack: kms.Key(stack, "Key", removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE),
    l1,
    behind_an_alias,
]


def refused(app: App) -> str:
    with pytest.raises(RuntimeError) as failure:
        app.synth()
    return str(failure.value)


@pytest.mark.parametrize("make", DELETED, ids=["destroy", "retain on update", "L1", "alias"])
@pytest.mark.parametrize("previous", [False, True])
def test_a_key_that_is_deleted_is_refused(
    app: App, stack: Stack, make: Callable[[Stack], kms.IKey], previous: bool
) -> None:
    key = make(stack)
    options: dict[str, Any] = {"previous_keys": [key]} if previous else {"encryption_key": key}
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), **options)
    said = refused(app)
    assert MESSAGE.format(f"Stack/Key{'/Resource' if make is not l1 else ''}") in said
    assert "Stack/Encryption" in said


def test_a_key_of_another_stack_too(app: App, stack: Stack) -> None:
    other = Stack(app, "Other", env=HERE)
    key = kms.Key(other, "Key", removal_policy=RemovalPolicy.DESTROY)
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)
    assert MESSAGE.format("Other/Key/Resource") in refused(app)


def test_what_an_aspect_changes_counts(app: App, stack: Stack) -> None:
    key = kms.Key(stack, "Key")
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)
    RemovalPolicies.of(app).destroy()
    assert MESSAGE.format("Stack/Key/Resource") in refused(app)


def overridden(key: kms.Key, policy: str) -> kms.Key:
    resource = key.node.default_child
    assert isinstance(resource, kms.CfnKey)
    resource.add_override("DeletionPolicy", policy)
    return key


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("staged", [False, True])
def test_an_override_to_delete_is_refused(app: App, nested: bool, staged: bool) -> None:
    """Wherever stack and key are."""
    stack = Stack(Stage(app, "Stage") if staged else app, "Stack", env=HERE)
    key = overridden(kms.Key(NestedStack(stack, "Nested") if nested else stack, "Key"), "Delete")
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)
    assert MESSAGE.format(f"{key.node.path}/Resource") in refused(app)


def test_an_override_to_delete_of_a_key_in_another_stack_is_refused(app: App, stack: Stack) -> None:
    key = overridden(kms.Key(Stack(app, "Other", env=HERE), "Key"), "Delete")
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), previous_keys=[key])
    assert MESSAGE.format("Other/Key/Resource") in refused(app)


def test_an_override_to_retain_is_accepted(app: App, stack: Stack) -> None:
    key = overridden(kms.Key(stack, "Key", removal_policy=RemovalPolicy.DESTROY), "Retain")
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)
    app.synth()


@jsii.implements(IAspect)
class AddOnce:
    """An Aspect that cannot stand a second visit, as many do not."""

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, kms.Key):
            CfnResource(node, "More", type="Test::More::Resource")


def test_aspects_visit_each_construct_once(app: App, stack: Stack) -> None:
    KinesisStreamEncryption(
        stack, "Encryption", stream=stream_in(stack), encryption_key=kms.Key(stack, "Key")
    )
    Aspects.of(app).add(AddOnce())
    app.synth()


def test_an_aspect_can_save_a_key(app: App, stack: Stack) -> None:
    key = kms.Key(stack, "Key", removal_policy=RemovalPolicy.DESTROY)
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)
    RemovalPolicies.of(key).retain()
    app.synth()


@pytest.mark.parametrize(
    "make",
    [
        lambda stack: kms.Key(stack, "Key"),
        lambda stack: kms.Key.from_key_arn(stack, "Key", KEY_ARN),
        lambda stack: kms.Alias.from_alias_name(stack, "Key", "alias/orders"),
        lambda stack: None,
    ],
    ids=["retained", "imported", "alias", "AWS managed"],
)
def test_keys_that_last_are_not_refused(
    app: App, stack: Stack, make: Callable[[Stack], kms.IKey | None]
) -> None:
    KinesisStreamEncryption(
        stack, "Encryption", stream=stream_in(stack), encryption_key=make(stack)
    )
    app.synth()
