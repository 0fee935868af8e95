"""Many streams with long names, against the limits of IAM and CloudFormation."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.cloud import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    TYPE,
    documents,
    filled_in,
    resources,
    size,
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


def names_of(count: int, length: int = 128) -> list[str]:
    return [f"{number:03}".ljust(length, "x") for number in range(count)]


def many() -> App:
    """An app for stacks of more resources than CloudFormation takes: policies are measured here."""
    return App(context={"@aws-cdk/core:stackResourceLimit": 0})


def encrypt(stack: Stack, names: Iterable[str], **options: Any) -> None:
    """By ARN where the stack's place is known, else by name."""
    for name in names:
        arn = stack.format_arn(service="kinesis", resource="stream", resource_name=name)
        stream = kinesis.Stream.from_stream_arn(stack, f"Stream-{name}", arn)
        KinesisStreamEncryption(stack, f"Encryption-{name}", stream=stream, **options)


def assert_within_limits(stack: Stack, **place: str) -> None:
    """Each role with all its policies."""
    found, sizes = resources(stack), defaultdict[tuple[str, str], list[int]](list)
    for id_, document in documents(stack).items():
        (role,) = found[id_]["Properties"]["Roles"]
        sizes[role["Ref"], found[id_]["Type"]].append(size(filled_in(document, **place)))
    for (_, kind), each in sizes.items():
        if kind == "AWS::IAM::Policy":
            assert sum(each) <= INLINE_POLICIES
        else:
            assert len(each) <= MANAGED_POLICIES_OF_A_ROLE
            assert max(each) <= MANAGED_POLICY


def refused(app: App) -> str:
    with pytest.raises(RuntimeError) as failure:
        app.synth()
    return str(failure.value)


def test_a_second_provider_has_room_for_what_the_first_has_not() -> None:
    """Each stream is granted, however many policies that takes."""
    stack, names = Stack(many(), "Stack", env=HERE), names_of(360)
    encrypt(stack, names[:300])
    encrypt(stack, names[300:], provider=KinesisStreamEncryptionProvider(stack, "Second"))
    assert_within_limits(stack)
    granted = [
        arn
        for document in filled_in(documents(stack)).values()
        for statement in document["Statement"]
        if "kinesis:StartStreamEncryption" in statement["Action"]
        for arn in statement["Resource"]
        if ":kinesis:" in arn
    ]
    assert sorted(granted) == [stream_arn(name) for name in names]


def test_each_stream_with_a_key_of_its_own() -> None:
    stack = Stack(many(), "Stack", env=HERE)
    for number, name in enumerate(names_of(200)):
        key = kms.Key.from_key_arn(stack, f"Key{number}", f"{KEY_ARN[:-3]}{number:03}")
        encrypt(stack, [name], encryption_key=key)
    assert_within_limits(stack)


def test_400_streams_fit_into_a_stack() -> None:
    """Each waits for the one policy that has its rights; only deployment will tell the place."""
    stack = Stack(App(), "Stack")
    encrypt(stack, names_of(400, 60))
    found = resources(stack)
    assert len(found) <= RESOURCES
    assert len(json.dumps({"Resources": found}, indent=1)) < 600_000
    policies = documents(stack)
    for resource in resources(stack, TYPE).values():
        (needed,) = resource["DependsOn"]
        stream = json.dumps(resource["Properties"]["StreamArn"])
        assert stream in json.dumps(policies[needed])
    assert_within_limits(stack, partition="aws-us-gov", region="ap-northeast-1")


def test_more_managed_policies_than_a_role_can_have_are_refused() -> None:
    app = many()
    encrypt(Stack(app, "Stack", env=HERE), names_of(360))
    said = refused(app)
    assert re.search(
        r"Provider/Role' would have 1\d managed policies, and IAM allows 10: "
        r"pass provider=KinesisStreamEncryptionProvider\(scope, id\) for some of the streams",
        said,
    )


def test_managed_policies_that_the_role_has_count() -> None:
    app = many()
    stack = Stack(app, "Stack", env=HERE)
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    for number in range(10):
        named = iam.ManagedPolicy.from_managed_policy_name(stack, f"Named{number}", f"p{number}")
        role.add_managed_policy(named)
    KinesisStreamEncryptionProvider(stack, "Provider", role=role)
    encrypt(stack, names_of(100))
    assert re.search(r"the role 'Stack/Role' would have 1\d managed policies", refused(app))


@pytest.mark.parametrize(("count", "fits"), [(20, True), (60, False)])
def test_an_imported_role_has_the_room_of_one_policy(
    app: App, stack: Stack, count: int, fits: bool
) -> None:
    """CDK never splits it."""
    role = iam.Role.from_role_arn(stack, "Role", f"arn:aws:iam::{ACCOUNT}:role/mine")
    KinesisStreamEncryptionProvider(stack, "Provider", role=role)
    for name in names_of(count):
        KinesisStreamEncryption(stack, f"Encryption-{name}", stream=stream_in(stack, name))
    if fits:
        app.synth()
        assert sum(size(each) for each in filled_in(documents(stack)).values()) <= INLINE_POLICIES
        return
    said = refused(app)
    assert re.search(
        r"the role 'Stack/Role' would have \d{5} characters of inline policies, and IAM allows "
        "10240: pass provider=KinesisStreamEncryptionProvider",
        said,
    )


def test_names_longer_than_cdk_takes_them_for_are_refused() -> None:
    """CDK guesses the length of an ARN that it does not know."""
    app = many()
    encrypt(Stack(app, "Stack"), names_of(150))
    said = refused(app)
    assert re.search(r"would have \d+ characters in a managed policy, and IAM allows 6144", said)
    assert "set the context '@aws-cdk/aws-iam.arnSizeEstimate' to the length" in said


def test_an_estimate_of_the_users_own_is_kept() -> None:
    estimate = {"@aws-cdk/aws-iam.arnSizeEstimate": 190}
    app = App(context={"@aws-cdk/core:stackResourceLimit": 0, **estimate})
    stack = Stack(app, "Stack")
    encrypt(stack, names_of(150))
    assert_within_limits(stack, partition="aws-us-gov", region="ap-northeast-1")
    app.synth()


def test_100_streams_take_five_resources_besides_their_own(anywhere: Stack) -> None:
    encrypt(anywhere, [f"stream-{number}" for number in range(100)])
    besides = [each["Type"] for each in resources(anywhere).values() if each["Type"] != TYPE]
    assert sorted(besides) == [
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
    ]
