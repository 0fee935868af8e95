"""What is known of a value at synth: tokens in it, and the region and account of a stack.

CDK runs in another process, so it is asked only about strings that may hold a token, and about
each stack once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakKeyDictionary

from aws_cdk import CfnElement, Reference, Stack, Token, Tokenization
from aws_cdk.region_info import RegionInfo
from constructs import IConstruct

__all__ = [
    "Environment",
    "describe",
    "is_unresolved",
    "known_account",
    "read_out",
    "referenced_element",
    "root_of",
    "stack_environment",
    "stack_partition",
    "text",
]

# "Tokens and token encodings", AWS CDK Developer Guide: ${TOKEN[name.number]} within a string.
_BEGIN = "${"


def is_unresolved(value: str) -> bool:
    """Whether a string holds a token."""
    return _BEGIN in value and _holds_token(value)


# A stack's region and account are the same strings for every stream in it.
@lru_cache
def _holds_token(value: str) -> bool:
    return Token.is_unresolved(value)


@dataclass(frozen=True)
class Environment:
    """Where something is deployed.

    Attributes
    ----------
    region, account
        None where only deployment will tell.
    """

    region: str | None
    account: str | None

    @classmethod
    def of(cls, *, region: str, account: str) -> Environment:
        """Take over what is known of a region and an account."""
        return cls(
            region=None if is_unresolved(region) else region,
            account=None if is_unresolved(account) else account,
        )

    @property
    def is_known(self) -> bool:
        """Whether synth knows both."""
        return self.region is not None and self.account is not None


@dataclass(frozen=True)
class _Place:
    root: IConstruct
    environment: Environment
    partition: str | None


_PLACES: WeakKeyDictionary[Stack, _Place] = WeakKeyDictionary()


def _place(stack: Stack) -> _Place:
    place = _PLACES.get(stack)
    if place is None:
        environment = Environment.of(region=stack.region, account=stack.account)
        region = environment.region
        partition = RegionInfo.get(region).partition if region else None
        place = _PLACES[stack] = _Place(stack.node.root, environment, partition)
    return place


def stack_environment(stack: Stack) -> Environment:
    """Region and account of a stack."""
    return _place(stack).environment


def stack_partition(stack: Stack) -> str | None:
    """Partition of a stack, if its region is known."""
    return _place(stack).partition


def root_of(stack: Stack) -> IConstruct:
    """App that a stack is part of."""
    return _place(stack).root


def known_account(account: str | None) -> str | None:
    """Return an account if synth knows it."""
    return None if account is None or is_unresolved(account) else account


def referenced_element(value: str) -> CfnElement | None:
    """Find the resource of the app that a string refers to, if it is a reference and no more."""
    if not (value.startswith(_BEGIN) and is_unresolved(value)):
        return None
    token = Tokenization.reverse_string(value).first_token
    if token is None or not Reference.is_reference(token):
        return None
    target = token.target if isinstance(token, Reference) else None
    return target if isinstance(target, CfnElement) else None


def describe(value: str) -> str:
    """Name a value in a message: itself, or what it is when only deployment will tell."""
    return "known only at deployment" if is_unresolved(value) else repr(value)


def text(stack: Stack, value: str) -> str:
    """Render a value with every token in a readable, comparable form.

    Two values that render alike in one stack are the same after deployment.
    """
    return str(read_out(stack.resolve(value) if _BEGIN in value else value, _intrinsic))


def _intrinsic(name: str, value: object) -> str:
    return f"<{name}>" if name.startswith("AWS::") else f"<{json.dumps(value, sort_keys=True)}>"


def read_out(resolved: object, intrinsic: Callable[[str, object], str]) -> object:
    """Write out the intrinsic functions in a resolved value.

    Parameters
    ----------
    resolved
        Text, list or mapping, as it stands in a template.
    intrinsic
        Makes the text of an intrinsic function, other than ``Fn::Join``: it gets the name of a
        pseudo parameter, or the function's name, and the function whole.
    """
    match resolved:
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(str(read_out(part, intrinsic)) for part in parts)
        case {"Ref": str(name)} if name.startswith("AWS::"):
            return intrinsic(name, resolved)
        case {**members} if len(members) == 1 and next(iter(members)).startswith(("Ref", "Fn::")):
            return intrinsic(next(iter(members)), resolved)
        case {**members}:
            return {name: read_out(each, intrinsic) for name, each in members.items()}
        case [*items]:
            return [read_out(each, intrinsic) for each in items]
        case _:
            return resolved
