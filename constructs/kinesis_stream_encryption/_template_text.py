"""What a template value will read once CloudFormation has filled it in: text and length."""

from __future__ import annotations

import json
from typing import Any

from aws_cdk import Stack

from kinesis_stream_encryption._stacks import stack_facts
from kinesis_stream_encryption._tokens import is_unresolved, resolve

__all__ = ["describe", "longest", "render", "text"]

# The longest values that the pseudo parameters take in any partition.
_PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws-iso-b",
    "AWS::Region": "ap-northeast-1",
    "AWS::AccountId": "123456789012",
}

# An ARN that only CloudFormation knows. The longest one in a policy of ours is a stream's: 57
# characters in aws-us-gov before a name of at most 128.
_LONGEST_ARN = 185


def text(stack: Stack, value: str) -> str:
    """Render a value with every token in a readable, comparable form.

    Two values that render alike in one stack are the same after deployment.
    """
    return render(stack, resolve(stack, value))


def render(stack: Stack, resolved: object) -> str:
    """Render a resolved value as :func:`text` does."""
    match resolved:
        case str():
            return resolved
        case {"Ref": str(name)} if name.startswith("AWS::"):
            known = stack_facts(stack).pseudo_parameters
            return known.get(name, f"<{name.removeprefix('AWS::')}>")
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(render(stack, part) for part in parts)
        case _:
            # A logical id means something in one stack only.
            return f"<{stack.node.addr}:{json.dumps(resolved, sort_keys=True)}>"


def describe(value: str) -> str:
    """Name a value in a message: itself, or what it is when only deployment will tell."""
    return "known only at deployment" if is_unresolved(value) else repr(value)


def longest(resolved: object) -> int:
    """Bound the length of a resolved value as IAM counts it: compact JSON, tokens filled in."""
    match resolved:
        case {"Ref": str(name)} if name in _PSEUDO_PARAMETERS:
            return len(_PSEUDO_PARAMETERS[name]) + len('""')
        case {"Fn::Join": [str(separator), list(parts)]}:
            values = sum(longest(part) - len('""') for part in parts)
            return values + len(separator) * (len(parts) - 1) + len('""')
        case {**members} if _is_intrinsic(members):
            return _LONGEST_ARN + len('""')
        case {**members}:
            return sum(len(json.dumps(k)) + longest(v) + len(":,") for k, v in members.items()) + 1
        case [*items]:
            return sum(longest(item) + len(",") for item in items) + 1
        case _:
            return len(json.dumps(resolved))


def _is_intrinsic(value: dict[Any, object]) -> bool:
    name = str(next(iter(value), ""))
    return len(value) == 1 and (name == "Ref" or name.startswith("Fn::"))
