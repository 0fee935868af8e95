"""What is known of a value at synth: tokens in it, and the region and account of a stack.

CDK runs in another process, so it is asked about each stack once.
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
    "StackFacts",
    "check_partition",
    "describe",
    "known",
    "read_out",
    "readable",
    "referenced_element",
    "rendered",
    "stack_facts",
    "text",
]

# "Tokens and token encodings", AWS CDK Developer Guide.
_TOKEN = re.compile(r"\$\{Token\[[\w:.-]*\]\}")
# "Using dynamic references to specify template values", CloudFormation User Guide.
_DYNAMIC = "{{resolve:"
# What ContextProvider.get_value returns until the CDK CLI has looked the value up.
_DUMMY = "dummy-value-for-"


def known(value: str | None) -> str | None:
    """Return a string that is final at synth; None if it has tokens or placeholders."""
    if value is None or _DUMMY in value or _DYNAMIC in value or _TOKEN.search(value):
        return None
    return value


class Environment(NamedTuple):
    """Region and account; None where only deployment will tell."""

    region: str | None
    account: str | None


class StackFacts(NamedTuple):
    """The app that a stack is part of, and where it goes."""

    root: IConstruct
    environment: Environment
    partition: str | None


_FACTS: WeakKeyDictionary[Stack, StackFacts] = WeakKeyDictionary()


def stack_facts(stack: Stack) -> StackFacts:
    """Look at a stack, unless that has been done before."""
    facts = _FACTS.get(stack)
    if facts is None:
        environment = Environment(known(stack.region), known(stack.account))
        region = environment.region
        partition = RegionInfo.get(region).partition if region else None
        facts = _FACTS[stack] = StackFacts(stack.node.root, environment, partition)
    return facts


def check_partition(scope: IConstruct, what: str, stack: Stack, arn: str) -> None:
    """Report an ARN whose partition is not that of the stack's Region, as an error annotation."""
    own, other = stack_facts(stack).partition, arn.split(":", 2)[1] if known(arn) else None
    if own is not None and other is not None and own != other:
        Annotations.of(scope).add_error(
            f"the ARN of the {what}, {arn!r}, has partition {other!r}, and the Region of the stack "
            f"belongs to {own!r}: write 'arn:{own}:…', or build the ARN with Stack.format_arn"
        )


def referenced_element(value: str) -> CfnElement | None:
    """Find the resource of the app that a string refers to, if it is a reference and no more."""
    if not _TOKEN.match(value):
        return None
    token = Tokenization.reverse_string(value).first_token
    target = token.target if isinstance(token, Reference) else None
    return target if isinstance(target, CfnElement) else None


def readable(resolved: Any) -> Any:
    """Write references in a resolved value as ``${LogicalId.Attribute}``."""

    def name(function: dict[str, object]) -> str:
        (value,) = function.values()
        return f"${{{'.'.join(map(str, value)) if isinstance(value, list) else value}}}"

    return read_out(resolved, name)


def describe(value: str) -> str:
    """Name a value in a message: itself, or what it is when only deployment will tell."""
    return repr(value) if known(value) else "known only at deployment"


def text(stack: Stack, value: str) -> str:
    """Render a value with every token in a readable form; what renders alike is the same."""

    def render(function: dict[str, object]) -> str:
        return f"<{json.dumps(function, sort_keys=True)}>"

    return value if known(value) else str(read_out(stack.resolve(value), render))


def rendered(stack: Stack, value: object) -> str:
    """Render a value as text for a message: a string as it is, anything else as JSON."""
    found = readable(stack.resolve(value))
    return found if isinstance(found, str) else json.dumps(found)


def read_out(resolved: Any, render: Callable[[dict[str, object]], str]) -> Any:
    """Write out the intrinsic functions in a resolved value: joins, and others by ``render``."""
    match resolved:
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(str(read_out(part, render)) for part in parts)
        case dict() if len(resolved) == 1 and str(*resolved).startswith(("Ref", "Fn::")):
            return render(resolved)
        case dict():
            return {name: read_out(each, render) for name, each in resolved.items()}
        case [*items]:
            return [read_out(each, render) for each in items]
        case _:
            return resolved
