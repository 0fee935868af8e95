"""Warnings about principals that have access to the records of a stream but not to its key.

The grant methods of the original stream, and integrations that receive it, do not cover the key.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

from aws_cdk import Annotations, CfnResource, Stack
from constructs import Construct

from kinesis_stream_encryption._final_template import Resources, check_final_template
from kinesis_stream_encryption._grants import key_actions
from kinesis_stream_encryption._keys import StreamKey
from kinesis_stream_encryption._policies import alternatives, referenced, statements_of
from kinesis_stream_encryption._streams import TargetStream
from kinesis_stream_encryption._tokens import describe, resolved_or_none

__all__ = ["warn_of_missing_key_access"]


class _Permission(NamedTuple):
    """Action patterns that a policy allows for a principal; principal and resource are JSON."""

    principal: str
    actions: list[str]
    resource: str


class _Permissions(NamedTuple):
    by_resource: dict[str, list[_Permission]]
    by_principal: dict[str, list[_Permission]]


def warn_of_missing_key_access(scope: Construct, stream: TargetStream, key: StreamKey) -> None:
    """Warn about principals of the stack that have access to the records but not to the key."""
    stack = stream.stack

    def check(resources: Resources) -> list[str]:
        found = _permissions(resources, stack)
        on_stream = found.by_resource[_as_json(_resolved(stack, stream.arn))]
        for principal in {each.principal: None for each in on_stream}:
            key_arn = _as_json(_resolved(stack, key.arn))
            needed = key_actions(
                action
                for each in on_stream
                if each.principal == principal
                for action in each.actions
            )
            missing = [
                action
                for action in needed
                if not any(_allows(each, action, key_arn) for each in found.by_principal[principal])
            ]
            if missing:
                Annotations.of(scope).add_warning_v2(
                    "cdk-kinesis-stream-encryption:missingKeyAccess",
                    f"{_name(stack, principal)!r} has access to the records of the stream "
                    f"{describe(stream.name)}, but lacks {' and '.join(missing)} on its key: pass "
                    f"the construct {scope.node.path!r} in place of the stream, or call its grant "
                    "methods",
                )
        return []

    if not key.is_aws_managed:
        check_final_template(scope, check)


def _resolved(stack: Stack, value: str | None) -> Any:
    return value if resolved_or_none(value) else stack.resolve(value)


# Cached, because all streams of a stack use the same template.
@lru_cache(maxsize=1)
def _permissions(resources: Resources, stack: Stack) -> _Permissions:
    found = _Permissions(defaultdict(list), defaultdict(list))
    template = resources(stack)
    for logical_id, resource in template.items():
        if resource["Type"].startswith("AWS::IAM::"):
            for each in _allowed(logical_id, resource.get("Properties", {}), template):
                found.by_resource[each.resource].append(each)
                found.by_principal[each.principal].append(each)
    return found


def _allowed(
    logical_id: str, properties: dict[str, Any], template: dict[str, Any]
) -> Iterator[_Permission]:
    """Yield the permissions in a policy, or in the policies of a role, user, or group."""
    attached = [
        principal
        for kind in ("Roles", "Users", "Groups")
        for principal in alternatives(properties.get(kind, []))
        if "PolicyDocument" in properties
    ]
    documents = [(attached, properties.get("PolicyDocument"))]
    policies = alternatives(properties.get("Policies", []))
    for arn in alternatives(properties.get("ManagedPolicyArns", [])):
        policies.append(referenced(arn, template).get("Properties", {}))
    documents += [([{"Ref": logical_id}], each.get("PolicyDocument")) for each in policies]
    for principals, document in documents:
        for statement in statements_of(document):
            if statement["Effect"] == "Allow":
                actions = [str(each) for each in alternatives(statement.get("Action", []))]
                for resource in alternatives(statement.get("Resource", [])):
                    for principal in principals:
                        yield _Permission(_as_json(principal), actions, _as_json(resource))


def _allows(permission: _Permission, action: str, key_arn: str) -> bool:
    """Return whether a permission covers a key. A resource with a wildcard counts as the key."""
    return (permission.resource == key_arn or "*" in permission.resource) and any(
        fnmatchcase(action.lower(), pattern.lower()) for pattern in permission.actions
    )


def _name(stack: Stack, principal: str) -> str:
    """Return the path of the construct, or the name of an imported principal."""
    value = json.loads(principal)
    for each in stack.node.find_all() if isinstance(value, dict) else []:
        if isinstance(each, CfnResource) and stack.resolve(each.ref) == value:
            return str(each.node.path).removesuffix("/Resource")
    return value if isinstance(value, str) else principal


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
