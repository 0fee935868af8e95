"""The stream to encrypt: what can be checked at synth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from aws_cdk import Annotations, Stack
from aws_cdk import aws_kinesis as kinesis
from constructs import IConstruct

from kinesis_stream_encryption._tokens import (
    Environment,
    describe,
    is_unresolved,
    referenced_element,
    root_of,
    stack_environment,
    stack_partition,
    text,
)

__all__ = ["TargetStream", "check_stream", "claim_stream", "target_stream"]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html
_STREAM_ARN = re.compile(r"arn:[^:]+:kinesis:[^:]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,128}")
_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")

# Per app, the streams that are encrypted, and by which construct.
_CLAIMS: WeakKeyDictionary[IConstruct, dict[object, IConstruct]] = WeakKeyDictionary()


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

    @property
    def identity(self) -> object:
        """The same for all constructs of the app that are known to stand for this stream.

        Two stacks whose region or account only deployment will tell are two places.
        """
        if self.owner is not None:
            return self.owner.node.path
        place: object = self.environment if self.environment.is_known else self.stack
        return place, text(self.stack, self.arn) if is_unresolved(self.name) else self.name

    @property
    def literal_arn(self) -> str:
        """ARN without tokens, where the stack's place is known.

        ``Stack.format_arn`` leaves the partition to deployment even there, and CDK can only guess
        the length of what it leaves, when it splits the policies of a role.
        """
        partition, here = stack_partition(self.stack), stack_environment(self.stack)
        if partition is None or self.environment != here or not here.is_known:
            return self.arn
        if self.owner is not None or is_unresolved(self.name):
            return self.arn
        return f"arn:{partition}:kinesis:{here.region}:{here.account}:stream/{self.name}"


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
    owner = referenced_element(arn)
    return TargetStream(
        stack=stack,
        arn=arn,
        name=stream.stream_name,
        environment=Environment.of(region=env.region, account=env.account),
        owner=owner if isinstance(owner, kinesis.CfnStream) else None,
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
    claims = _CLAIMS.setdefault(root_of(stream.stack), {})
    holder = claims.setdefault(stream.identity, scope)
    if holder is not scope:
        raise ValueError(
            f"the stream {describe(stream.name)} is already encrypted by {holder.node.path!r}: "
            "two resources would switch its key back and forth; keep one of them"
        )


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
    theirs, ours = stream.environment, stack_environment(stream.stack)
    for what, its, own in (
        ("region", theirs.region, ours.region),
        ("account", theirs.account, ours.account),
    ):
        if its is not None and own is not None and its != own:
            raise ValueError(
                f"the stream {stream.name!r} is in {what} {its!r}, the stack "
                f"{stream.stack.stack_name!r} in {own!r}: encrypt it from a stack with "
                f"env=Environment({what}={its!r})"
            )
