"""Policies in the final template: their statements, their size, and the role they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, cast

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from kinesis_stream_encryption._tokens import readable, render_functions

__all__ = [
    "LOG_ACTIONS",
    "MAX_INLINE_POLICY_SIZE",
    "MAX_MANAGED_POLICIES",
    "MAX_MANAGED_POLICY_SIZE",
    "NETWORK_ACTIONS",
    "TRACING_ACTIONS",
    "Json",
    "allow",
    "allows",
    "alternatives",
    "is_attached",
    "missing_statements",
    "policies_of_role",
    "policy_size",
    "referenced",
    "statements_of",
]

Json = dict[str, Any]

# "Giving Lambda functions access to resources in an Amazon VPC" and "Visualize Lambda function
# invocations using AWS X-Ray", Lambda Developer Guide. Neither can be limited to resources.
NETWORK_ACTIONS = (
    *("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"),
    *("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
    *("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
)
TRACING_ACTIONS = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")
# A template contains the names of AWS managed policies, but not their documents.
_AWS_MANAGED_POLICIES = {
    "AWSLambdaBasicExecutionRole": LOG_ACTIONS,
    "AWSLambdaVPCAccessExecutionRole": (*NETWORK_ACTIONS, *LOG_ACTIONS),
    "AWSXRayDaemonWriteAccess": TRACING_ACTIONS,
}

# "IAM and AWS STS quotas", IAM User Guide.
MAX_MANAGED_POLICIES = 10
MAX_MANAGED_POLICY_SIZE = 6_144
MAX_INLINE_POLICY_SIZE = 10_240
# The longest values at deployment. Any other reference is at most as long as a stream ARN.
_LONGEST_PSEUDO_PARAMETERS = {
    "Partition": "aws-us-gov",
    "Region": "ap-northeast-1",
    "AccountId": "123456789012",
}
_LONGEST_ARN = "x" * 185


def allow(actions: Iterable[str], *resources: Any) -> Json:
    """Return a statement that allows actions on resources."""
    return {"Effect": "Allow", "Action": [*actions], "Resource": [*resources]}


def is_attached(policy: iam.Policy) -> bool:
    """Return whether a principal accepted a policy; one that CDK must not change does not."""
    resource = cast(iam.CfnPolicy, policy.node.default_child)
    return any(Stack.of(policy).resolve([resource.roles, resource.users, resource.groups]))


def policy_size(document: Json, reference: str = _LONGEST_ARN) -> int:
    """Return the size of a policy as IAM counts it, without white space.

    References other than pseudo parameters count as ``reference``.
    """

    def longest(function: dict[str, object]) -> str:
        name = str(function.get("Ref")).removeprefix("AWS::")
        return _LONGEST_PSEUDO_PARAMETERS.get(name, reference)

    return len(json.dumps(render_functions(document, longest), separators=(",", ":")))


def policies_of_role(role_name: Any, resources: Json) -> tuple[list[Json], list[Json], list[Any]]:
    """Return the inline and managed policy documents of a role, and the ARNs of other policies."""
    role = referenced(role_name, resources).get("Properties", {})
    policies = _as_list(role.get("Policies", []))
    inline = [each["PolicyDocument"] for each in policies if "PolicyDocument" in each]
    arns = _as_list(role.get("ManagedPolicyArns", []))
    owned = [referenced(arn, resources).get("Properties", {}).get("PolicyDocument") for arn in arns]
    managed = [each for each in owned if each]
    for each in resources.values():
        properties = each.get("Properties", {})
        if "PolicyDocument" in properties and role_name in _as_list(properties.get("Roles", [])):
            kind = managed if each["Type"] == "AWS::IAM::ManagedPolicy" else inline
            kind.append(properties["PolicyDocument"])
    return inline, managed, [arn for arn, document in zip(arns, owned, strict=True) if not document]


def missing_statements(needed: list[Json], documents: list[Json], arns: list[Any]) -> list[str]:
    """Return the needed statements, as JSON, that the role's policies do not allow."""
    allowed = {
        pair for document in readable(documents) for pair in _action_resource_pairs(document)
    }
    for arn in readable(arns):
        allowed |= {(each, "*") for each in _AWS_MANAGED_POLICIES.get(arn.rsplit("/", 1)[-1], ())}
    missing = {
        json.dumps(each): None
        for each in readable(needed)
        if not all(
            _is_allowed(pair, allowed) for pair in _action_resource_pairs({"Statement": each})
        )
    }
    return list(missing)


def allows(statements: Iterable[Json], actions: Iterable[str]) -> bool:
    """Return whether the statements of a resource policy allow actions on the resource."""
    patterns = [
        str(pattern)
        for statement in statements
        if statement["Effect"] == "Allow"
        for pattern in alternatives(statement.get("Action", []))
    ]
    return all(any(fnmatchcase(action, each) for each in patterns) for action in actions)


def referenced(value: Any, resources: Json) -> Json:
    """Return the resource that a value refers to; an empty dict if it is not in the template."""
    match value:
        case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), *_]}:
            return cast(Json, resources.get(logical_id, {}))
    return {}


def statements_of(document: Any) -> Iterator[Json]:
    """Yield the statements of a policy document, as a template may contain it."""
    for policy in alternatives(document):
        if isinstance(policy, dict):
            for statement in alternatives(policy.get("Statement", [])):
                if isinstance(statement, dict) and "Effect" in statement:
                    yield statement


def _action_resource_pairs(document: Json) -> Iterator[tuple[str, str]]:
    """Yield each action that a policy document allows with each of its resources."""
    for each in statements_of(document):
        if each["Effect"] == "Allow":
            yield from product(_as_list(each.get("Action", [])), _as_list(each.get("Resource", [])))


def _is_allowed(pair: tuple[str, str], allowed: set[tuple[str, str]]) -> bool:
    return pair in allowed or any(all(map(fnmatchcase, pair, each)) for each in allowed)


def alternatives(value: Any) -> list[Any]:
    """Return the elements of a template value, those of both branches of a condition included."""
    match value:
        case {"Fn::If": [_, *branches]}:
            return alternatives(branches)
        case {"Ref": "AWS::NoValue"}:
            return []
        case [*items]:
            return [found for each in items for found in alternatives(each)]
    return [value]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
