"""The stream to encrypt: what can be checked at synth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

from aws_cdk import Annotations, Reference, Stack, Tokenization
from aws_cdk import aws_kinesis as kinesis
from constructs import IConstruct

from kinesis_stream_encryption._environment import Environment
from kinesis_stream_encryption._stacks import stack_facts
from kinesis_stream_encryption._template_text import describe, render
from kinesis_stream_encryption._tokens import begins_with_token, is_unresolved, resolve

__all__ = [
    "TargetStream",
    "check_stream",
    "claim_stream",
    "claimant",
    "owning_stream",
    "target_stream",
]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html
_STREAM_ARN = re.compile(r"arn:[^:]+:kinesis:[^:]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,128}")
_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")

# Per app, the streams that are encrypted, and by which construct.
_CLAIMS: WeakKeyDictionary[IConstruct, dict[str, IConstruct]] = WeakKeyDictionary()


@dataclass(frozen=True)
class TargetStream:
    """A stream as one stack refers to it.

    Attributes
    ----------
    stack
        Stack that refers to it.
    arn
        ARN, which may hold tokens.
    name
        Name, which may hold tokens.
    environment
        Region and account of the stream.
    owner
        The ``AWS::Kinesis::Stream`` of this app that it stands for, if there is one.
    """

    stack: Stack
    arn: str
    name: str
    environment: Environment
    owner: kinesis.CfnStream | None

    @cached_property
    def resolved_arn(self) -> object:
        """ARN as it stands in the stack's template."""
        return resolve(self.stack, self.arn)

    @cached_property
    def identity(self) -> str:
        """The same for all constructs of the app that stand for this stream."""
        if self.owner is not None:
            return self.owner.node.path
        # What follows the partition, which one ARN may spell out and another leave to deployment.
        return render(self.stack, self.resolved_arn).split(":", 2)[-1]

    @property
    def in_same_environment(self) -> bool:
        """Whether it is in the stack's region and account, as far as synth can tell."""
        return self.environment.difference(stack_facts(self.stack).environment) is None


def target_stream(stack: Stack, stream: kinesis.IStream) -> TargetStream:
    """Read what there is to know of a stream.

    Parameters
    ----------
    stack
        Stack that refers to the stream.
    stream
        Any construct for it.
    """
    arn, env = stream.stream_arn, stream.env
    return TargetStream(
        stack=stack,
        arn=arn,
        name=stream.stream_name,
        environment=Environment.of(region=env.region, account=env.account),
        owner=owning_stream(arn),
    )


def check_stream(scope: IConstruct, stream: TargetStream) -> None:
    """Refuse a stream that cannot work; warn of one that CloudFormation itself encrypts.

    Parameters
    ----------
    scope
        Construct that a warning is for.
    stream
        Stream to encrypt.

    Raises
    ------
    ValueError
        If the stream's ARN or name is malformed, or it is in another region or account than
        the stack.
    """
    _check_name(stream)
    _check_environment(stream)
    if stream.owner is not None:
        Annotations.of(scope).add_warning_v2(
            "cdk-kinesis-stream-encryption:ownedStream",
            f"the stream {stream.owner.node.path!r} belongs to this app, and CloudFormation "
            "encrypts it by itself: set encryption and encryption_key on it and drop this "
            "resource, or the two will fight over its key",
        )


def claim_stream(scope: IConstruct, stream: TargetStream) -> None:
    """Note that ``scope`` encrypts the stream.

    Parameters
    ----------
    scope
        Construct that encrypts it.
    stream
        Stream to encrypt.

    Raises
    ------
    ValueError
        If another construct of the app does so already.
    """
    claims = _CLAIMS.setdefault(stack_facts(stream.stack).root, {})
    holder = claims.setdefault(stream.identity, scope)
    if holder is not scope:
        raise ValueError(
            f"the stream {describe(stream.name)} is already encrypted by {holder.node.path!r}: "
            "two resources would switch its key back and forth; keep one of them"
        )


def claimant(stream: TargetStream) -> IConstruct | None:
    """Find the construct of the app that encrypts the stream already, if there is one."""
    return _CLAIMS.get(stack_facts(stream.stack).root, {}).get(stream.identity)


def owning_stream(arn: str) -> kinesis.CfnStream | None:
    """Find the ``AWS::Kinesis::Stream`` of this app that an ARN refers to, if there is one."""
    if not begins_with_token(arn):
        return None
    token = Tokenization.reverse_string(arn).first_token
    if token is None or not Reference.is_reference(token):
        return None
    target = token.target if isinstance(token, Reference) else None
    return target if isinstance(target, kinesis.CfnStream) else None


def _check_name(stream: TargetStream) -> None:
    if not is_unresolved(stream.arn) and _STREAM_ARN.fullmatch(stream.arn) is None:
        raise ValueError(
            f"{stream.arn!r} is not the ARN of a Kinesis data stream: it should read "
            "'arn:<partition>:kinesis:<region>:<account>:stream/<name>'"
        )
    if not is_unresolved(stream.name) and _STREAM_NAME.fullmatch(stream.name) is None:
        raise ValueError(
            f"malformed stream name {stream.name!r}: a name has 1 to 128 letters, digits, '_', "
            "'.' or '-'"
        )


def _check_environment(stream: TargetStream) -> None:
    difference = stream.environment.difference(stack_facts(stream.stack).environment)
    if difference is not None:
        raise ValueError(
            f"the stream {stream.name!r} is in {difference.what} {difference.own!r}, the stack "
            f"{stream.stack.stack_name!r} in {difference.other!r}: encrypt it from a stack with "
            f"env=Environment({difference.what}={difference.own!r})"
        )
