"""Tokens in values, and the Region, account, and partition of a stack.

CDK runs in another process, so that the properties of each stack are read once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from aws_cdk import Annotations, CfnElement, Reference, Stack, Tokenization
from aws_cdk.region_info import RegionInfo
from constructs import IConstruct

__all__ = [
    "Environment",
    "StackProperties",
    "canonical_text",
    "check_partition",
    "describe",
    "message_text",
    "readable",
    "referenced_element",
    "render_functions",
    "resolved_or_none",
    "stack_lineage",
    "stack_properties",
]

# "Tokens and token encodings", AWS CDK Developer Guide.
_TOKEN = re.compile(r"\$\{Token\[[\w:.-]*\]\}")
# "Using dynamic references to specify template values", CloudFormation User Guide.
_DYNAMIC_REFERENCE = "{{resolve:"
# ContextProvider.get_value returns it until the CDK CLI has resolved the lookup.
_LOOKUP_DUMMY = "dummy-value-for-"


def resolved_or_none(value: str | None) -> str | None:
    """Return a string that is final at synth; None if it contains tokens or placeholders."""
    if (
        value is None
        or _LOOKUP_DUMMY in value
        or _DYNAMIC_REFERENCE in value
        or _TOKEN.search(value)
    ):
        return None
    return value


class Environment(NamedTuple):
    """Region and account; None if known only at deployment."""

    region: str | None
    account: str | None


class StackProperties(NamedTuple):
    """The root of the construct tree, and where the stack is deployed."""

    root: IConstruct
    environment: Environment
    partition: str | None


_STACK_PROPERTIES: WeakKeyDictionary[Stack, StackProperties] = WeakKeyDictionary()


def stack_properties(stack: Stack) -> StackProperties:
    """Read the properties of a stack, or return those that were read before."""
    properties = _STACK_PROPERTIES.get(stack)
    if properties is None:
        environment = Environment(resolved_or_none(stack.region), resolved_or_none(stack.account))
        region = environment.region
        partition = RegionInfo.get(region).partition if region else None
        properties = _STACK_PROPERTIES[stack] = StackProperties(
            stack.node.root, environment, partition
        )
    return properties


def stack_lineage(stack: Stack) -> list[Stack]:
    """Return a stack and the stacks that it is nested in, up to the one that is deployed."""
    found = [stack]
    while (parent := found[-1].nested_stack_parent) is not None:
        found.append(parent)
    return found


def check_partition(scope: IConstruct, what: str, stack: Stack, arn: str) -> None:
    """Report an ARN whose partition is not that of the stack's Region, as an error annotation."""
    own = stack_properties(stack).partition
    other = arn.split(":", 2)[1] if resolved_or_none(arn) else None
    if own is not None and other is not None and own != other:
        Annotations.of(scope).add_error(
            f"the ARN of the {what}, {arn!r}, has partition {other!r}, but the Region of the stack "
            f"is in partition {own!r}: use 'arn:{own}:…', or build the ARN with Stack.format_arn"
        )


def referenced_element(value: str) -> CfnElement | None:
    """Return the resource of the app that a string refers to; None if it is not a reference."""
    if not _TOKEN.match(value):
        return None
    token = Tokenization.reverse_string(value).first_token
    target = token.target if isinstance(token, Reference) else None
    return target if isinstance(target, CfnElement) else None


def readable(resolved: Any) -> Any:
    """Render references in a resolved value as ``${LogicalId.Attribute}``."""

    def name(function: dict[str, object]) -> str:
        (value,) = function.values()
        if "Fn::Sub" in function and isinstance(value, str):
            return value
        return f"${{{'.'.join(map(str, value)) if isinstance(value, list) else value}}}"

    return render_functions(resolved, name)


def describe(value: str) -> str:
    """Return a value as a message shows it; a phrase instead of a value with tokens."""
    return repr(value) if resolved_or_none(value) else "known only at deployment"


def canonical_text(stack: Stack, value: str) -> str:
    """Render a value with its tokens as text. Values with the same text are equal."""

    def render(function: dict[str, object]) -> str:
        return f"<{json.dumps(function, sort_keys=True)}>"

    return value if resolved_or_none(value) else str(render_functions(stack.resolve(value), render))


def message_text(stack: Stack, value: object) -> str:
    """Render a value as text for a message: a string as it is, anything else as JSON."""
    found = readable(stack.resolve(value))
    return found if isinstance(found, str) else json.dumps(found)


def render_functions(resolved: Any, render: Callable[[dict[str, object]], str]) -> Any:
    """Render intrinsic functions in a resolved value: joins as text, others with ``render``."""
    match resolved:
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(str(render_functions(part, render)) for part in parts)
        case dict() if len(resolved) == 1 and str(*resolved).startswith(("Ref", "Fn::")):
            return render(resolved)
        case dict():
            return {name: render_functions(each, render) for name, each in resolved.items()}
        case [*items]:
            return [render_functions(each, render) for each in items]
        case _:
            return resolved
