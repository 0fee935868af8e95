"""Many streams with long names, compared with the limits of IAM and CloudFormation."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    TYPE,
    documents,
    filled_in,
    resources,
    size,
    stream_arn,
    stream_by_name,
    stream_in,
    synthesis_error,
)

# "IAM and AWS STS quotas", IAM User Guide
MAX_INLINE_POLICY_SIZE = 10_240
MAX_MANAGED_POLICY_SIZE = 6_144
MAX_MANAGED_POLICIES = 10
# "CloudFormation quotas", CloudFormation User Guide
MAX_RESOURCES = 500


def names_of(count: int, length: int = 128) -> list[str]:
    return [f"{number:03}".ljust(length, "x") for number in range(count)]


def app_without_resource_limit() -> App:
    """An app without CDK's limit of resources, for tests of the policy size."""
    return App(context={"@aws-cdk/core:stackResourceLimit": 0})


def encrypt_all(stack: Stack, names: Iterable[str], **options: Any) -> None:
    """Encrypt streams of the account and Region of the stack."""
    for name in names:
        stream = stream_by_name(stack, name, f"Stream-{name}")
        KinesisStreamEncryption(stack, f"Encryption-{name}", stream=stream, **options)


def assert_within_limits(stack: Stack, **environment: str) -> None:
    """Check all policies of each role."""
    found, sizes = resources(stack), defaultdict[tuple[str, str], list[int]](list)
    for id_, document in documents(stack).items():
        (role,) = found[id_]["Properties"]["Roles"]
        sizes[role["Ref"], found[id_]["Type"]].append(size(filled_in(document, **environment)))
    for (_, kind), each in sizes.items():
        if kind == "AWS::IAM::Policy":
            assert sum(each) <= MAX_INLINE_POLICY_SIZE
        else:
            assert len(each) <= MAX_MANAGED_POLICIES
            assert max(each) <= MAX_MANAGED_POLICY_SIZE


def test_a_second_provider_holds_additional_streams() -> None:
    """The policies contain each stream."""
    stack, names = Stack(app_without_resource_limit(), "Stack", env=HERE), names_of(360)
    encrypt_all(stack, names[:300])
    encrypt_all(stack, names[300:], provider=KinesisStreamEncryptionProvider(stack, "Second"))
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


def test_200_streams_with_separate_keys_are_within_limits() -> None:
    stack = Stack(app_without_resource_limit(), "Stack", env=HERE)
    for number, name in enumerate(names_of(200)):
        key = kms.Key.from_key_arn(stack, f"Key{number}", f"{KEY_ARN[:-3]}{number:03}")
        encrypt_all(stack, [name], encryption_key=key)
    assert_within_limits(stack)


def test_400_streams_fit_in_a_stack() -> None:
    """Each resource depends on the only policy with its permissions, in an env-agnostic stack."""
    stack = Stack(App(), "Stack")
    encrypt_all(stack, names_of(400, 60))
    found = resources(stack)
    assert len(found) <= MAX_RESOURCES
    assert len(json.dumps({"Resources": found}, indent=1)) < 600_000
    policies = documents(stack)
    for resource in resources(stack, TYPE).values():
        (needed,) = resource["DependsOn"]
        stream = json.dumps(resource["Properties"]["StreamArn"])
        assert stream in json.dumps(policies[needed])
    assert_within_limits(stack, partition="aws-us-gov", region="ap-northeast-1")


def test_too_many_managed_policies_are_rejected() -> None:
    app = app_without_resource_limit()
    encrypt_all(Stack(app, "Stack", env=HERE), names_of(360))
    error = synthesis_error(app)
    assert re.search(
        r"Provider/Role' would have 1\d managed policies, and IAM allows 10: "
        r"pass provider=KinesisStreamEncryptionProvider\(scope, id\) for some of the streams",
        error,
    )


def test_existing_managed_policies_of_the_role_are_counted() -> None:
    app = app_without_resource_limit()
    stack = Stack(app, "Stack", env=HERE)
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    for number in range(10):
        named = iam.ManagedPolicy.from_managed_policy_name(stack, f"Named{number}", f"p{number}")
        role.add_managed_policy(named)
    KinesisStreamEncryptionProvider(stack, "Provider", role=role)
    encrypt_all(stack, names_of(100))
    assert re.search(r"the role 'Stack/Role' would have 1\d managed policies", synthesis_error(app))


@pytest.mark.parametrize(("count", "fits"), [(20, True), (60, False)])
def test_an_imported_role_holds_one_inline_policy(
    app: App, stack: Stack, count: int, fits: bool
) -> None:
    """CDK does not split the inline policy of an imported role."""
    role = iam.Role.from_role_arn(stack, "Role", f"arn:aws:iam::{ACCOUNT}:role/mine")
    KinesisStreamEncryptionProvider(stack, "Provider", role=role)
    for name in names_of(count):
        KinesisStreamEncryption(stack, f"Encryption-{name}", stream=stream_in(stack, name))
    if fits:
        app.synth()
        assert (
            sum(size(each) for each in filled_in(documents(stack)).values())
            <= MAX_INLINE_POLICY_SIZE
        )
        return
    error = synthesis_error(app)
    assert re.search(
        r"the role 'Stack/Role' would have \d{5} characters of inline policies, and IAM allows "
        "10240: pass provider=KinesisStreamEncryptionProvider",
        error,
    )


def test_names_that_exceed_the_arn_size_estimate_are_rejected() -> None:
    """CDK estimates the length of an ARN with tokens."""
    app = app_without_resource_limit()
    encrypt_all(Stack(app, "Stack"), names_of(150))
    error = synthesis_error(app)
    assert re.search(r"would have \d+ characters in a managed policy, and IAM allows 6144", error)
    assert "set the context '@aws-cdk/aws-iam.arnSizeEstimate' to the length" in error


def test_the_arn_size_estimate_of_the_user_is_kept() -> None:
    estimate = {"@aws-cdk/aws-iam.arnSizeEstimate": 190}
    app = App(context={"@aws-cdk/core:stackResourceLimit": 0, **estimate})
    stack = Stack(app, "Stack")
    encrypt_all(stack, names_of(150))
    assert_within_limits(stack, partition="aws-us-gov", region="ap-northeast-1")
    app.synth()


def test_100_streams_share_five_resources(env_agnostic_stack: Stack) -> None:
    encrypt_all(env_agnostic_stack, [f"stream-{number}" for number in range(100)])
    shared = [
        each["Type"] for each in resources(env_agnostic_stack).values() if each["Type"] != TYPE
    ]
    assert sorted(shared) == [
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
    ]
