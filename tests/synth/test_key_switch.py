"""What a deployment with another key does to those who use the stream, read off the templates.

CloudFormation creates and updates what is in the new template, in the order of its references and
DependsOn, and removes what is not in it any more after all of that has succeeded. In a rollback it
brings the old template back in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.cloud import HERE, KEY_ARN, TYPE, Resource, as_list, only, resources, stream_in

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


def own_keys(stack: Stack) -> Keys:
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
    keys: Callable[[Stack], Keys] = own_keys,
    grant: str = "grant_read_write",
) -> Stack:
    stack = Stack(App(), "Stack", env=HERE)
    made = keys(stack)
    encryption = KinesisStreamEncryption(
        stack,
        "Encryption",
        stream=stream_in(stack),
        encryption_key=made[key],
        previous_keys=[made[each] for each in previous],
    )
    getattr(encryption, grant)(grantee(stack))
    return stack


def rights_to_keys(template: dict[str, Resource]) -> dict[str, Any]:
    """What grants the use of a key, by logical id: policies, and keys with their own policies."""
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
@pytest.mark.parametrize("keys", [own_keys, imported_keys, aliases])
def test_no_right_to_the_key_in_use_is_lost_before_the_switch(
    grantee: Grantee, keys: Callable[[Stack], Keys]
) -> None:
    before, after = (resources(stack_with(key, grantee=grantee, keys=keys)) for key in ("A", "B"))
    old, new = rights_to_keys(before), rights_to_keys(after)
    assert len(old) == len(new) == 2
    assert not old.keys() & new.keys(), "a policy that stays would change before the switch"
    (resource,) = (each for each in after.values() if each["Type"] == TYPE)
    assert new.keys() <= set(resource["DependsOn"])
    (resource,) = (each for each in before.values() if each["Type"] == TYPE)
    assert old.keys() <= set(resource["DependsOn"]), "a rollback waits for the former right"
    policies = {
        id_: each["Properties"]["PolicyName"]
        for template in (before, after)
        for id_, each in template.items()
        if each["Type"] == "AWS::IAM::Policy"
    }
    assert len(set(policies.values())) == len(policies), "one name on one role is one policy"


@pytest.mark.parametrize("grantee", [role, user, imported_role])
def test_a_previous_key_keeps_the_rights_of_consumers(grantee: Grantee) -> None:
    before = rights_to_keys(resources(stack_with("A", grantee=grantee)))
    during = rights_to_keys(resources(stack_with("B", "A", grantee=grantee)))
    after = rights_to_keys(resources(stack_with("B", grantee=grantee)))
    kept = {id_: each for id_, each in during.items() if id_ in before}
    assert [each[0]["Action"] for each in kept.values()] == ["kms:Decrypt"]
    assert all(before[id_] == each for id_, each in kept.items()), "it stays as it is"
    assert {id_: each for id_, each in during.items() if id_ not in kept} == after


def test_producers_need_no_right_to_a_previous_key() -> None:
    rights = rights_to_keys(resources(stack_with("B", "A", grant="grant_write")))
    assert rights == rights_to_keys(resources(stack_with("B", grant="grant_write")))


def test_a_right_in_the_policy_of_a_key_stays_with_the_previous_key() -> None:
    """That policy changes in place: writers need the former key until the stream is switched."""
    before, during, after = (
        rights_to_keys(resources(stack_with(*keys, grantee=principal_of_another_account)))
        for keys in (("A",), ("B", "A"), ("B",))
    )
    (former,) = before
    assert {each["Action"] for each in before[former]} == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert during[former] == before[former]
    assert during.keys() == {former, *after}
    assert former not in after


@pytest.mark.parametrize("grant", ["grant_read", "grant_write"])
def test_the_policy_of_a_previous_key_allows_what_was_granted_alone(grant: str) -> None:
    stack = stack_with("B", "A", grantee=principal_of_another_account, grant=grant)
    actions = [
        as_list(each["Action"])
        for rights in rights_to_keys(resources(stack)).values()
        for each in rights
    ]
    expected = "kms:Decrypt" if grant == "grant_read" else "kms:GenerateDataKey"
    assert actions == [[expected], [expected]]


def test_rights_to_the_previous_key_are_for_this_stream_too() -> None:
    for statements in rights_to_keys(resources(stack_with("B", "A"))).values():
        for each in statements:
            assert "kms:EncryptionContext:aws:kinesis:arn" in each["Condition"]["StringEquals"]


def test_keys_of_two_stacks_under_one_id_are_two() -> None:
    """Their logical ids are the same."""

    def policies(name: str) -> set[str]:
        app = App()
        keys = {each: kms.Key(Stack(app, each, env=HERE), "Key") for each in ("One", "Two")}
        stack = Stack(app, "Stack", env=HERE)
        encryption = KinesisStreamEncryption(
            stack, "Encryption", stream=stream_in(stack), encryption_key=keys[name]
        )
        encryption.grant_read(iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal()))
        return set(rights_to_keys(resources(stack)))

    assert not policies("One") & policies("Two")


def test_the_resource_waits_for_the_previous_keys_rights_as_well() -> None:
    stack = stack_with("B", "A")
    assert rights_to_keys(resources(stack)).keys() <= set(only(stack, TYPE)["DependsOn"])
