"""Many streams with long names, against the limits of IAM and CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import pytest
from aws_cdk import App, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from kinesis_stream_encryption._placement import Placement, Right
from tests.synth.cloud import (
    HERE,
    KEY_ARN,
    TYPE,
    documents,
    filled_in,
    resources,
    size,
    statements,
    stream_arn,
    stream_in,
)

# "IAM and AWS STS quotas", IAM User Guide
INLINE_POLICIES = 10_240
MANAGED_POLICY = 6_144
MANAGED_POLICIES_OF_A_ROLE = 10
# "CloudFormation quotas", CloudFormation User Guide
RESOURCES = 500
TEMPLATE = 1_048_576

Names = Iterable[str]


def long_names(count: int) -> list[str]:
    return [f"{number:03}".ljust(128, "x") for number in range(count)]


def fleet(names: Names, *, app: App | None = None, key: bool = False) -> Stack:
    """A stack that encrypts streams of these names."""
    # 500 streams and the functions behind them are more than CloudFormation lets into a stack;
    # what is measured here are policies.
    app = app or App(context={"@aws-cdk/core:stackResourceLimit": 0})
    stack = Stack(app, "Stack", env=HERE)
    shared = kms.Key.from_key_arn(stack, "Key", KEY_ARN) if key else None
    for name in names:
        KinesisStreamEncryption(
            stack, f"Encryption-{name}", stream=stream_in(stack, name), encryption_key=shared
        )
    return stack


def by_role(stack: Stack) -> dict[str, dict[str, list[Any]]]:
    """Documents of each role's policies, inline and managed."""
    present = resources(stack)
    found: dict[str, dict[str, list[Any]]] = {
        id_: {"inline": [], "managed": []}
        for id_, each in present.items()
        if each["Type"] == "AWS::IAM::Role"
    }
    for id_, document in documents(stack).items():
        if "/" in id_:
            found[id_.split("/")[0]]["inline"].append(document)
            continue
        policy = present[id_]
        kind = "managed" if policy["Type"] == "AWS::IAM::ManagedPolicy" else "inline"
        for role in policy["Properties"]["Roles"]:
            found[role["Ref"]][kind].append(document)
    return found


def assert_within_limits(stack: Stack, **place: str) -> None:
    for policies in by_role(stack).values():
        assert sum(size(filled_in(each, **place)) for each in policies["inline"]) <= (
            INLINE_POLICIES
        )
        assert len(policies["managed"]) <= MANAGED_POLICIES_OF_A_ROLE
        for each in policies["managed"]:
            assert size(filled_in(each, **place)) <= MANAGED_POLICY


@pytest.mark.parametrize("key", [False, True])
def test_500_streams_with_names_of_128_characters(key: bool) -> None:
    stack = fleet(long_names(500), key=key)
    assert_within_limits(stack)
    granted = [
        arn
        for document in documents(stack).values()
        for statement in document["Statement"]
        if "kinesis:StartStreamEncryption" in statement["Action"]
        for arn in statement["Resource"]
    ]
    assert sorted(granted) == [stream_arn(name) for name in long_names(500)]


def test_each_function_has_the_rights_to_the_streams_it_serves() -> None:
    stack = fleet(long_names(500))
    functions = resources(stack, "AWS::Lambda::Function")
    roles = {id_: each["Properties"]["Role"]["Fn::GetAtt"][0] for id_, each in functions.items()}
    assert len(functions) == 2
    policies = by_role(stack)
    for resource in resources(stack, TYPE).values():
        function = resource["Properties"]["ServiceToken"]["Fn::GetAtt"][0]
        assert resource["Properties"]["StreamArn"] in str(policies[roles[function]])


def test_500_streams_with_names_of_30_characters_have_one_function() -> None:
    stack = fleet([name[:30] for name in long_names(500)])
    assert_within_limits(stack)
    assert len(resources(stack, "AWS::Lambda::Function")) == 1


def test_tokens_count_as_long_as_they_become() -> None:
    app = App(context={"@aws-cdk/core:stackResourceLimit": 0})
    stack = Stack(app, "Stack")
    for name in long_names(330):
        arn = stack.format_arn(service="kinesis", resource="stream", resource_name=name)
        stream = kinesis.Stream.from_stream_arn(stack, f"Stream-{name}", arn)
        KinesisStreamEncryption(stack, f"Encryption-{name}", stream=stream)
    assert_within_limits(stack, partition="aws-us-gov", region="us-gov-west-1")


def test_each_stream_with_a_key_of_its_own() -> None:
    app = App(context={"@aws-cdk/core:stackResourceLimit": 0})
    stack = Stack(app, "Stack", env=HERE)
    for number, name in enumerate(long_names(300)):
        arn = KEY_ARN[:-3] + f"{number:03}"
        KinesisStreamEncryption(
            stack,
            f"Encryption-{name}",
            stream=stream_in(stack, name),
            encryption_key=kms.Key.from_key_arn(stack, f"Key{number}", arn),
        )
    assert_within_limits(stack)


def test_a_full_stack_fits_into_cloudformation() -> None:
    """Besides IAM's limits, its own: 500 resources and one megabyte."""
    stack = fleet(long_names(460), app=App())
    found = resources(stack)
    assert len(found) <= RESOURCES
    assert len(json.dumps({"Resources": found})) <= TEMPLATE


def changed_by(added: str, names: list[str], *, at: int) -> list[str]:
    """Policies that another stream changes or adds, by logical id."""
    before = documents(fleet(names))
    after = documents(fleet([*names[:at], added, *names[at:]]))
    assert before.keys() <= after.keys()
    return [id_ for id_ in after if after[id_] != before.get(id_)]


@pytest.mark.parametrize("count", [20, 60, 140, 250])
def test_another_stream_changes_one_policy(count: int) -> None:
    """Wherever it comes in the app."""
    assert len(changed_by("added".ljust(128, "x"), long_names(count), at=5)) == 1


def test_a_stream_that_takes_another_policy_changes_one_policy_besides() -> None:
    assert len(changed_by("added".ljust(128, "x"), long_names(31), at=5)) == 2


def test_100_streams_take_five_resources_besides_their_own(anywhere: Stack) -> None:
    for number in range(100):
        arn = anywhere.format_arn(
            service="kinesis", resource="stream", resource_name=f"stream-{number}"
        )
        stream = kinesis.Stream.from_stream_arn(anywhere, f"Stream{number}", arn)
        KinesisStreamEncryption(anywhere, f"Encryption{number}", stream=stream)
    besides = [each["Type"] for each in resources(anywhere).values() if each["Type"] != TYPE]
    assert sorted(besides) == [
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
    ]


def leaving_the_first_policy(names: list[str]) -> list[str]:
    """Those of the names that are in the first of several policies never."""

    def both_leave(*pair: str) -> bool:
        placement = Placement(policies=64, room=1)
        paths = [f"Stack/Encryption-{name}" for name in pair]
        assert all(placement.add(Right(path, ((path, 1),))) for path in paths)
        return 0 not in placement.used()

    first = next(a for a, b in combinations(names, 2) if both_leave(a, b))
    return [name for name in names if name == first or both_leave(first, name)]


def test_no_policy_is_left_without_rights() -> None:
    """IAM refuses one. The first is left by all streams here once they need another."""
    names = leaving_the_first_policy(long_names(120))
    few, many = fleet(names[:25]), fleet(names)
    (first,) = resources(few, "AWS::IAM::ManagedPolicy")
    assert first not in resources(many)
    assert len(resources(many, "AWS::IAM::ManagedPolicy")) > 1
    assert all(each["Resource"] for each in statements(many))


def test_another_stream_moves_no_resource_to_another_function_unless_it_has_to() -> None:
    def functions(names: Names) -> dict[str, Any]:
        found = resources(fleet(names), TYPE).values()
        return {each["Properties"]["StreamArn"]: each["Properties"] for each in found}

    before = functions(long_names(400))
    after = functions([*long_names(400), "added".ljust(128, "x")])
    assert {arn: after[arn] for arn in before} == before


def test_a_resource_that_moves_to_another_function_is_another_resource() -> None:
    """CloudFormation refuses to change the ServiceToken of one."""

    def tokens(names: Names) -> dict[str, Any]:
        found = resources(fleet(names), TYPE)
        return {id_: each["Properties"]["ServiceToken"] for id_, each in found.items()}

    names = long_names(400)
    before = tokens(names)
    after = tokens([f"first-{number}".ljust(128, "x") for number in range(50)] + names)
    assert any(id_ not in after for id_ in before)
    assert all(after[id_] == token for id_, token in before.items() if id_ in after)


class TestStreamsToRestore:
    """Each has an inline policy, so there is room for fewer of them."""

    @staticmethod
    def encrypt(stack: Stack, count: int, **options: Any) -> None:
        for name in long_names(count):
            KinesisStreamEncryption(
                stack,
                f"Encryption-{name}",
                stream=stream_in(stack, name),
                removal_policy=RemovalPolicy.DESTROY,
                **options,
            )

    def test_fit_within_the_limits(self, stack: Stack) -> None:
        self.encrypt(stack, 15)
        assert_within_limits(stack)

    def test_are_refused_where_there_is_no_room(self, stack: Stack) -> None:
        with pytest.raises(ValueError, match=r"no room for another stream with removal policy"):
            self.encrypt(stack, 40)

    def test_can_be_given_a_provider_of_their_own(self, stack: Stack) -> None:
        self.encrypt(stack, 15)
        provider = KinesisStreamEncryptionProvider(stack, "Second")
        KinesisStreamEncryption(
            stack,
            "Another",
            stream=stream_in(stack),
            removal_policy=RemovalPolicy.DESTROY,
            provider=provider,
        )
        assert_within_limits(stack)


def test_a_given_role_that_is_full_is_refused() -> None:
    app = App(context={"@aws-cdk/core:stackResourceLimit": 0})
    stack = Stack(app, "Stack", env=HERE)
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    KinesisStreamEncryptionProvider.get_or_create(stack, role=role)

    def encrypt(names: Names) -> None:
        for name in names:
            KinesisStreamEncryption(stack, f"Encryption-{name}", stream=stream_in(stack, name))

    with pytest.raises(ValueError, match=r"the role given to the provider .* has no room left"):
        encrypt(long_names(500))


def test_a_provider_for_many_stacks_stays_within_the_limits(app: App, stack: Stack) -> None:
    """Each stack's id takes room in the function's own rights."""
    provider = KinesisStreamEncryptionProvider.get_or_create(
        stack, vpc=ec2.Vpc(stack, "Vpc", max_azs=1), tracing=lambda_.Tracing.ACTIVE
    )
    for number in range(80):
        other = Stack(app, f"Stack{number}".ljust(128, "x"), env=HERE)
        KinesisStreamEncryption(
            other,
            "Encryption",
            stream=stream_in(other, f"stream-{number}"),
            timeout=Duration.minutes(30),
            provider=provider,
        )
    assert_within_limits(stack)
    assert len(resources(stack, "AWS::Lambda::Function")) > 1
