"""Keys of the app that encrypt a stream must be retained."""

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

from tests.synth.templates import ACCOUNT, HERE, KEY_ARN, encrypt, synthesis_error

MESSAGE = (
    "the key '{}' would be deleted with its stack, or when its first deployment is rolled back, "
    "and the records that it encrypts would be lost: set removal_policy=RemovalPolicy.RETAIN"
)


def l1(stack: Stack) -> kms.IKey:
    """An L1 key, which CloudFormation deletes, because it has no DeletionPolicy."""
    key = kms.CfnKey(stack, "Key", key_policy={"Statement": []})
    return kms.Key.from_key_arn(stack, "Imported", key.attr_arn)


def replica(stack: Stack) -> kms.IKey:
    primary = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    key = kms.CfnReplicaKey(stack, "Key", key_policy={"Statement": []}, primary_key_arn=primary)
    return kms.Key.from_key_arn(stack, "Imported", key.attr_arn)


def behind_an_alias(stack: Stack) -> kms.IKey:
    key = kms.Key(stack, "Key", removal_policy=RemovalPolicy.DESTROY)
    return kms.Alias(stack, "Alias", alias_name="alias/orders", target_key=key)


DELETED: list[Callable[[Stack], kms.IKey]] = [
    lambda stack: kms.Key(stack, "Key", removal_policy=RemovalPolicy.DESTROY),
    lambda stack: kms.Key(stack, "Key", removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE),
    l1,
    replica,
    behind_an_alias,
]


@pytest.mark.parametrize(
    "make", DELETED, ids=["destroy", "retain on update", "L1", "replica", "alias"]
)
@pytest.mark.parametrize("previous", [False, True])
def test_a_deleted_key_is_rejected(
    app: App, stack: Stack, make: Callable[[Stack], kms.IKey], previous: bool
) -> None:
    key = make(stack)
    options: dict[str, Any] = {"previous_keys": [key]} if previous else {"encryption_key": key}
    encrypt(stack, **options)
    error = synthesis_error(app)
    assert MESSAGE.format(f"Stack/Key{'' if make in {l1, replica} else '/Resource'}") in error
    assert "Stack/Encryption" in error


def test_a_deleted_key_of_another_stack_is_rejected(app: App, stack: Stack) -> None:
    other = Stack(app, "Other", env=HERE)
    key = kms.Key(other, "Key", removal_policy=RemovalPolicy.DESTROY)
    encrypt(stack, encryption_key=key)
    assert MESSAGE.format("Other/Key/Resource") in synthesis_error(app)


def test_a_key_that_an_aspect_would_delete_is_rejected(app: App, stack: Stack) -> None:
    key = kms.Key(stack, "Key")
    encrypt(stack, encryption_key=key)
    RemovalPolicies.of(app).destroy()
    assert MESSAGE.format("Stack/Key/Resource") in synthesis_error(app)


def overridden(key: kms.Key, policy: str) -> kms.Key:
    resource = key.node.default_child
    assert isinstance(resource, kms.CfnKey)
    resource.add_override("DeletionPolicy", policy)
    return key


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("staged", [False, True])
def test_an_override_to_delete_is_rejected(app: App, nested: bool, staged: bool) -> None:
    """In every combination of stages and nested stacks."""
    stack = Stack(Stage(app, "Stage") if staged else app, "Stack", env=HERE)
    key = overridden(kms.Key(NestedStack(stack, "Nested") if nested else stack, "Key"), "Delete")
    encrypt(stack, encryption_key=key)
    assert MESSAGE.format(f"{key.node.path}/Resource") in synthesis_error(app)


def test_an_override_to_delete_a_key_of_another_stack_is_rejected(app: App, stack: Stack) -> None:
    key = overridden(kms.Key(Stack(app, "Other", env=HERE), "Key"), "Delete")
    encrypt(stack, previous_keys=[key])
    assert MESSAGE.format("Other/Key/Resource") in synthesis_error(app)


def test_an_override_to_retain_is_accepted(app: App, stack: Stack) -> None:
    key = overridden(kms.Key(stack, "Key", removal_policy=RemovalPolicy.DESTROY), "Retain")
    encrypt(stack, encryption_key=key)
    app.synth()


@jsii.implements(IAspect)
class AddOnce:
    """An Aspect that fails on a second visit."""

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, kms.Key):
            CfnResource(node, "More", type="Test::More::Resource")


def test_aspects_are_applied_once(app: App, stack: Stack) -> None:
    encrypt(stack, encryption_key=kms.Key(stack, "Key"))
    Aspects.of(app).add(AddOnce())
    app.synth()


def test_an_aspect_can_retain_a_key(app: App, stack: Stack) -> None:
    key = kms.Key(stack, "Key", removal_policy=RemovalPolicy.DESTROY)
    encrypt(stack, encryption_key=key)
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
def test_retained_and_imported_keys_are_accepted(
    app: App, stack: Stack, make: Callable[[Stack], kms.IKey | None]
) -> None:
    encrypt(stack, encryption_key=make(stack))
    app.synth()
