"""The stream to encrypt: what can be checked at synth."""

from __future__ import annotations

import re
from weakref import WeakKeyDictionary

from aws_cdk import Annotations, Reference, Stack, Token, Tokenization
from aws_cdk import aws_kinesis as kinesis
from constructs import IConstruct

from kinesis_stream_encryption._template_text import describe, text

__all__ = ["check_stream", "claim_stream", "claimant", "in_same_environment", "owning_construct"]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html
_STREAM_ARN = re.compile(r"arn:[^:]+:kinesis:[^:]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,128}")
_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")

# Per app, the streams that are encrypted, and by which construct.
_CLAIMS: WeakKeyDictionary[IConstruct, dict[str, IConstruct]] = WeakKeyDictionary()


def check_stream(scope: IConstruct, stream: kinesis.IStream) -> None:
    """Refuse a stream that cannot work; warn of one that CloudFormation itself encrypts.

    Raises
    ------
    ValueError
        If the stream's ARN or name is malformed, or it is in another region or account than
        ``scope``.
    """
    _check_name(stream)
    _check_environment(scope, stream)
    owner = owning_construct(stream)
    if owner is not None:
        Annotations.of(scope).add_warning_v2(
            "cdk-kinesis-stream-encryption:ownedStream",
            f"the stream {owner.node.path!r} belongs to this app, and CloudFormation encrypts it "
            "by itself: set encryption and encryption_key on it and drop this resource, or the "
            "two will fight over its key",
        )


def claim_stream(scope: IConstruct, stream: kinesis.IStream) -> None:
    """Note that ``scope`` encrypts the stream.

    Raises
    ------
    ValueError
        If another construct of the app does so already.
    """
    holder = claimant(scope, stream)
    if holder is not None:
        raise ValueError(
            f"the stream {describe(stream.stream_name)} is already encrypted by "
            f"{holder.node.path!r}: two resources would switch its key back and forth; keep one "
            "of them"
        )
    _CLAIMS.setdefault(scope.node.root, {})[_identity(scope, stream)] = scope


def claimant(scope: IConstruct, stream: kinesis.IStream) -> IConstruct | None:
    """Find the construct of the app that encrypts the stream already, if there is one."""
    return _CLAIMS.get(scope.node.root, {}).get(_identity(scope, stream))


def in_same_environment(stack: Stack, stream: kinesis.IStream) -> bool:
    """Whether a stream is in the region and account of a stack, as far as synth can tell."""
    return _difference(stack, stream) is None


def owning_construct(stream: kinesis.IStream) -> kinesis.CfnStream | None:
    """Find the ``AWS::Kinesis::Stream`` of this app that a stream stands for, if there is one."""
    token = Tokenization.reverse_string(stream.stream_arn).first_token
    if token is None or not Reference.is_reference(token):
        return None
    target = token.target if isinstance(token, Reference) else None
    return target if isinstance(target, kinesis.CfnStream) else None


def _identity(scope: IConstruct, stream: kinesis.IStream) -> str:
    owner = owning_construct(stream)
    if owner is not None:
        return owner.node.path
    # What follows the partition, which one ARN may spell out and another leave to deployment.
    return text(Stack.of(scope), stream.stream_arn).split(":", 2)[-1]


def _check_name(stream: kinesis.IStream) -> None:
    arn = stream.stream_arn
    if not Token.is_unresolved(arn) and _STREAM_ARN.fullmatch(arn) is None:
        raise ValueError(
            f"{arn!r} is not the ARN of a Kinesis data stream: it should read "
            "'arn:<partition>:kinesis:<region>:<account>:stream/<name>'"
        )
    name = stream.stream_name
    if not Token.is_unresolved(name) and _STREAM_NAME.fullmatch(name) is None:
        raise ValueError(
            f"malformed stream name {name!r}: a name has 1 to 128 letters, digits, '_', '.' or '-'"
        )


def _check_environment(scope: IConstruct, stream: kinesis.IStream) -> None:
    stack = Stack.of(scope)
    difference = _difference(stack, stream)
    if difference is not None:
        what, theirs, ours = difference
        raise ValueError(
            f"the stream {stream.stream_name!r} is in {what} {theirs!r}, the stack "
            f"{stack.stack_name!r} in {ours!r}: encrypt it from a stack with "
            f"env=Environment({what}={theirs!r})"
        )


def _difference(stack: Stack, stream: kinesis.IStream) -> tuple[str, str, str] | None:
    for what, theirs, ours in (
        ("region", stream.env.region, stack.region),
        ("account", stream.env.account, stack.account),
    ):
        if not (Token.is_unresolved(theirs) or Token.is_unresolved(ours) or theirs == ours):
            return what, theirs, ours
    return None
