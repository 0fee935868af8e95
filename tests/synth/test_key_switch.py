"""Permissions of producers and consumers while a deployment switches the key.

CloudFormation creates and updates the resources of the new template, in the order of references and
DependsOn. After success, it removes the resources that are no longer in the template. A rollback
deploys the previous template in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from tests.synth.templates import HERE, KEY_ARN, TYPE, Resource, as_list, encrypt, only, resources

Grantee = Callable[[Stack], iam.IGrantable]
Keys = dict[str, kms.IKey]


def user(stack: Stack) -> iam.IGrantable:
    return iam.User(stack, "User")


def role(stack: Stack) -> iam.IGrantable:
    return iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())


def imported_role(stack: Stack) -> iam.IGrantable:
    return iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/app")


def principal_of_another_account(stack: Stack) -> iam.IGrantable:
    return iam.AccountPrincipal("444455556666")


def keys_of_the_app(stack: Stack) -> Keys:
    return {name: kms.Key(stack, name) for name in ("A", "B")}


def imported_keys(stack: Stack) -> Keys:
    return {
        name: kms.Key.from_key_arn(stack, name, KEY_ARN[:-1] + name.lower()) for name in ("A", "B")
    }


def aliases(stack: Stack) -> Keys:
    return {
        name: kms.Alias.from_alias_name(stack, name, f"alias/{name.lower()}") for name in ("A", "B")
    }


def stack_with(
    key: str,
    *previous: str,
    grantee: Grantee = role,
    keys: Callable[[Stack], Keys] = keys_of_the_app,
    grant: str = "grant_read_write",
) -> Stack:
    stack = Stack(App(), "Stack", env=HERE)
    made = keys(stack)
    encryption = encrypt(
        stack, encryption_key=made[key], previous_keys=[made[each] for each in previous]
    )
    getattr(encryption, grant)(grantee(stack))
    return stack


def key_permissions(template: dict[str, Resource]) -> dict[str, Any]:
    """Statements that allow the use of a key, by the logical ID of the policy or key."""
    found = {}
    for id_, each in template.items():
        if id_.startswith("KinesisStreamEncryptionProvider"):
            continue
        if each["Type"] == "AWS::IAM::Policy":
            statements = each["Properties"]["PolicyDocument"]["Statement"]
        elif each["Type"] == "AWS::KMS::Key":
            statements = each["Properties"]["KeyPolicy"]["Statement"][1:]
        else:
            continue
        if "kms:" in str(statements):
            found[id_] = statements
    return found


@pytest.mark.parametrize("grantee", [role, user, imported_role])
@pytest.mark.parametrize("keys", [keys_of_the_app, imported_keys, aliases])
def test_no_permission_is_removed_before_the_switch(
    grantee: Grantee, keys: Callable[[Stack], Keys]
) -> None:
    before, after = (resources(stack_with(key, grantee=grantee, keys=keys)) for key in ("A", "B"))
    old, new = key_permissions(before), key_permissions(after)
    assert len(old) == len(new) == 2
    assert not old.keys() & new.keys(), "a policy that stays would change before the switch"
    (resource,) = (each for each in after.values() if each["Type"] == TYPE)
    assert new.keys() <= set(resource["DependsOn"])
    (resource,) = (each for each in before.values() if each["Type"] == TYPE)
    assert old.keys() <= set(resource["DependsOn"]), "a rollback waits for the previous permission"
    policies = {
        id_: each["Properties"]["PolicyName"]
        for template in (before, after)
        for id_, each in template.items()
        if each["Type"] == "AWS::IAM::Policy"
    }
    assert len(set(policies.values())) == len(policies), (
        "policies with one name on one role are the same policy"
    )


@pytest.mark.parametrize("grantee", [role, user, imported_role])
def test_consumers_keep_access_to_a_previous_key(grantee: Grantee) -> None:
    before = key_permissions(resources(stack_with("A", grantee=grantee)))
    during = key_permissions(resources(stack_with("B", "A", grantee=grantee)))
    after = key_permissions(resources(stack_with("B", grantee=grantee)))
    kept = {id_: each for id_, each in during.items() if id_ in before}
    assert [each[0]["Action"] for each in kept.values()] == ["kms:Decrypt"]
    assert all(before[id_] == each for id_, each in kept.items()), "it is not changed"
    assert {id_: each for id_, each in during.items() if id_ not in kept} == after


def test_producers_get_no_access_to_a_previous_key() -> None:
    permissions = key_permissions(resources(stack_with("B", "A", grant="grant_write")))
    assert permissions == key_permissions(resources(stack_with("B", grant="grant_write")))


def test_key_policy_statements_stay_on_the_previous_key() -> None:
    """A key policy changes in place, and producers need the previous key until the switch."""
    before, during, after = (
        key_permissions(resources(stack_with(*keys, grantee=principal_of_another_account)))
        for keys in (("A",), ("B", "A"), ("B",))
    )
    (previous,) = before
    assert {each["Action"] for each in before[previous]} == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert during[previous] == before[previous]
    assert during.keys() == {previous, *after}
    assert previous not in after


@pytest.mark.parametrize("grant", ["grant_read", "grant_write"])
def test_the_policy_of_a_previous_key_allows_only_granted_actions(grant: str) -> None:
    stack = stack_with("B", "A", grantee=principal_of_another_account, grant=grant)
    actions = [
        as_list(each["Action"])
        for permissions in key_permissions(resources(stack)).values()
        for each in permissions
    ]
    expected = "kms:Decrypt" if grant == "grant_read" else "kms:GenerateDataKey"
    assert actions == [[expected], [expected]]


def test_permissions_on_a_previous_key_are_restricted_to_the_stream() -> None:
    for statements in key_permissions(resources(stack_with("B", "A"))).values():
        for each in statements:
            assert "kms:EncryptionContext:aws:kinesis:arn" in each["Condition"]["StringEquals"]


def test_keys_with_one_id_in_two_stacks_have_separate_policies() -> None:
    """Their logical IDs are equal."""

    def policies(name: str) -> set[str]:
        app = App()
        keys = {each: kms.Key(Stack(app, each, env=HERE), "Key") for each in ("One", "Two")}
        stack = Stack(app, "Stack", env=HERE)
        encryption = encrypt(stack, encryption_key=keys[name])
        encryption.grant_read(iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal()))
        return set(key_permissions(resources(stack)))

    assert not policies("One") & policies("Two")


def test_the_resource_waits_for_permissions_on_the_previous_key() -> None:
    stack = stack_with("B", "A")
    assert key_permissions(resources(stack)).keys() <= set(only(stack, TYPE)["DependsOn"])
