"""Templates, and what a test wants to know of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from aws_cdk import App, Environment, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk.assertions import Annotations, Match, Template
from constructs import Construct

REGION = "eu-central-1"
ACCOUNT = "111122223333"
HERE = Environment(account=ACCOUNT, region=REGION)

TYPE = "Custom::KinesisStreamEncryption"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"

Resource = dict[str, Any]


def stack_in(app: App, name: str = "Stack", env: Environment | None = None) -> Stack:
    return Stack(app, name, env=env)


def stream_arn(name: str, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:kinesis:{region}:{account}:stream/{name}"


def stream_in(
    scope: Construct, name: str = "orders", region: str = REGION, account: str = ACCOUNT
) -> kinesis.IStream:
    arn = stream_arn(name, region, account)
    return kinesis.Stream.from_stream_arn(scope, f"Stream-{name}", arn)


def resources(stack: Stack, type_: str | None = None) -> dict[str, Resource]:
    """Resources of a stack's template by logical id; CDK raises an error on a cycle."""
    found: dict[str, Resource] = Template.from_stack(stack).to_json().get("Resources", {})
    return {id_: each for id_, each in found.items() if type_ in (None, each["Type"])}


def only(stack: Stack, type_: str) -> Resource:
    """The one resource of a type."""
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
    """Every policy document that gives a role rights, by the policy's logical id."""
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


def allowing(stack: Stack, action: str) -> list[Any]:
    """Statements that allow an action."""
    return [each for each in statements(stack) if action in as_list(each["Action"])]


def warnings(stack: Stack) -> list[str]:
    """Texts of our own warnings at all constructs of a stack."""
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
    """Texts of all errors at constructs of a stack: they do not stop synthesis, but the CDK CLI."""
    found = Annotations.from_stack(stack).find_error("*", Match.any_value())
    return [str(each.entry.data) for each in found]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def filled_in(value: Any, *, partition: str = "aws", region: str = REGION) -> Any:
    """A template value with pseudo parameters as CloudFormation would fill them in."""
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


def size(document: Any) -> int:
    """Size of a policy as IAM counts it: without white space."""
    return len(json.dumps(document, separators=(",", ":")))
