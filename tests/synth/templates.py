"""Helpers that create constructs, and read synthesized templates and annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Annotations, Match, Template
from constructs import Construct

from kinesis_stream_encryption import GuardedStreams, KinesisStreamEncryption, StreamEncryptionGuard

REGION = "eu-central-1"
ACCOUNT = "111122223333"
HERE = Environment(account=ACCOUNT, region=REGION)

TYPE = "Custom::KinesisStreamEncryption"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"

Resource = dict[str, Any]


def stream_arn(name: str, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:kinesis:{region}:{account}:stream/{name}"


def stream_in(
    scope: Construct, name: str = "orders", region: str = REGION, account: str = ACCOUNT
) -> kinesis.IStream:
    arn = stream_arn(name, region, account)
    return kinesis.Stream.from_stream_arn(scope, f"Stream-{name}", arn)


def stream_by_name(stack: Stack, name: str, id_: str = "Stream") -> kinesis.IStream:
    """A stream whose ARN contains the Region and account of the stack, which can be tokens."""
    arn = stack.format_arn(service="kinesis", resource="stream", resource_name=name)
    return kinesis.Stream.from_stream_arn(stack, id_, arn)


def encrypt(stack: Stack, id_: str = "Encryption", **options: Any) -> KinesisStreamEncryption:
    """The encryption of a stream, by default of `orders`."""
    if "stream" not in options:
        options["stream"] = stream_in(stack)
    return KinesisStreamEncryption(stack, id_, **options)


def guard(stack: Stack, **options: Any) -> StreamEncryptionGuard:
    """A guard, by default of all streams."""
    return StreamEncryptionGuard(stack, "Guard", **{"streams": GuardedStreams.all(), **options})


def function_in(scope: Construct, id_: str = "Function", **options: Any) -> lambda_.Function:
    return lambda_.Function(
        scope,
        id_,
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
        **options,
    )


def imported_vpc(scope: Construct) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        scope,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=["eu-central-1a"],
        private_subnet_ids=["subnet-0123456789abcdef0"],
        isolated_subnet_ids=["subnet-0123456789abcdef1"],
    )


def resources(stack: Stack, type_: str | None = None) -> dict[str, Resource]:
    """Resources in the template of a stack by logical ID. CDK raises an error for a cycle."""
    found: dict[str, Resource] = Template.from_stack(stack).to_json().get("Resources", {})
    return {id_: each for id_, each in found.items() if type_ in (None, each["Type"])}


def only(stack: Stack, type_: str) -> Resource:
    """The only resource of a type."""
    (resource,) = resources(stack, type_).values()
    return resource


def properties(stack: Stack, type_: str = TYPE) -> dict[str, Any]:
    found: dict[str, Any] = only(stack, type_)["Properties"]
    return found


def is_acyclic(graph: dict[str, set[str]]) -> bool:
    """Whether CloudFormation can order the resources."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return False
    return True


def documents(stack: Stack) -> dict[str, Any]:
    """Policy documents of all roles, by the logical ID of the policy."""
    found = {}
    for id_, resource in resources(stack).items():
        match resource:
            case {"Type": "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy", "Properties": policy}:
                found[id_] = policy["PolicyDocument"]
            case {"Type": "AWS::IAM::Role", "Properties": {"Policies": policies}}:
                for number, policy in enumerate(policies):
                    found[f"{id_}/{number}"] = policy["PolicyDocument"]
    return found


def statements(stack: Stack) -> list[Any]:
    return [each for document in documents(stack).values() for each in document["Statement"]]


def grantee_policies(stack: Stack) -> dict[str, list[Any]]:
    """Statements of all policies except those of the provider, by logical ID."""
    return {
        id_: filled_in(document)["Statement"]
        for id_, document in documents(stack).items()
        if not id_.startswith("KinesisStreamEncryptionProvider")
    }


def key_policies(stack: Stack) -> dict[str, list[Any]]:
    """Statements of the grantees' policies that allow the use of a key, by logical ID."""
    policies = grantee_policies(stack)
    return {id_: each for id_, each in policies.items() if "kms:" in str(each)}


def allowing(stack: Stack, action: str) -> list[Any]:
    """Statements that allow an action."""
    return [each for each in statements(stack) if action in as_list(each["Action"])]


def warnings(stack: Stack) -> list[str]:
    """Texts of all warnings of this library in a stack."""
    found = Annotations.from_stack(stack).find_warning("*", Match.any_value())
    texts = [str(each.entry.data) for each in found]
    return [each for each in texts if "[ack: cdk-kinesis-stream-encryption:" in each]


def dependencies(template: dict[str, Resource]) -> dict[str, set[str]]:
    """Logical IDs that each resource refers to or names in `DependsOn`, by its own logical ID."""
    return {
        id_: {
            *(name for name in _references(resource.get("Properties", {})) if name in template),
            *as_list(resource.get("DependsOn", [])),
        }
        for id_, resource in template.items()
    }


def waits_for(template: dict[str, Resource], id_: str) -> set[str]:
    """Logical IDs of all resources that CloudFormation completes before this one."""
    graph = dependencies(template)
    found: set[str] = set()
    pending = [id_]
    while pending:
        new = graph[pending.pop()] - found
        found |= new
        pending += new
    return found


def _references(value: Any) -> Iterator[str]:
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(text)}:
            yield text.split(".")[0]
        case {"Fn::Sub": str(text)}:
            yield from re.findall(r"\$\{([^!.}]+)", text)
        case {"Fn::Sub": [str(text), dict(variables)]}:
            yield from set(re.findall(r"\$\{([^!.}]+)", text)) - variables.keys()
            yield from _references(list(variables.values()))
        case dict():
            for each in value.values():
                yield from _references(each)
        case list():
            for each in value:
                yield from _references(each)


def errors(stack: Stack) -> list[str]:
    """Texts of all error annotations in a stack. The CDK CLI fails on them; synthesis does not."""
    found = Annotations.from_stack(stack).find_error("*", Match.any_value())
    return [str(each.entry.data) for each in found]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def filled_in(value: Any, *, partition: str = "aws", region: str = REGION) -> Any:
    """A template value with the values of pseudo parameters."""
    pseudo = {
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::AccountId": ACCOUNT,
        "AWS::StackId": f"arn:{partition}:cloudformation:{region}:{ACCOUNT}:stack/Stack/"
        "9f8b6a30-4c3e-11ee-be56-0242ac120002",
    }

    def fill(value: Any) -> Any:
        result = value
        match value:
            case {"Ref": str(name)} if name in pseudo:
                result = pseudo[name]
            case {"Fn::Join": [str(separator), list(parts)]}:
                result = separator.join(str(fill(part)) for part in parts)
            case {"Fn::Select": [int(index), options]}:
                result = fill(options)[index]
            case {"Fn::Split": [str(separator), text]}:
                result = fill(text).split(separator)
            case dict():
                result = {key: fill(each) for key, each in value.items()}
            case list():
                result = [fill(each) for each in value]
        return result

    return fill(value)


def synthesis_error(app: App) -> str:
    """The message with which the synthesis of an app fails."""
    with pytest.raises(RuntimeError) as failure:
        app.synth()
    return str(failure.value)


def size(document: Any) -> int:
    """Size of a policy as IAM counts it, without white space."""
    return len(json.dumps(document, separators=(",", ":")))
