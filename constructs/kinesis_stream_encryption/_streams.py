"""The stream to encrypt, and its validation at synth."""

from __future__ import annotations

import re
from typing import NamedTuple
from weakref import WeakKeyDictionary

from aws_cdk import Annotations, Stack
from aws_cdk import aws_kinesis as kinesis
from constructs import IConstruct

from kinesis_stream_encryption._arguments import check_argument
from kinesis_stream_encryption._tokens import (
    Environment,
    canonical_text,
    check_partition,
    describe,
    referenced_element,
    resolved_or_none,
    stack_properties,
)

__all__ = ["TargetStream", "check_stream", "register_stream", "target_stream"]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html
_STREAM_ARN = re.compile(r"arn:[^:]+:kinesis:[^:]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,128}")
_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")

# The encrypted streams of each app, with the construct that encrypts each one.
_ENCRYPTED_STREAMS: WeakKeyDictionary[IConstruct, dict[object, IConstruct]] = WeakKeyDictionary()


class TargetStream(NamedTuple):
    """A stream as one stack refers to it; ARN and name may contain tokens.

    The owner is the ``AWS::Kinesis::Stream`` resource, if this app declares the stream.
    """

    stack: Stack
    arn: str
    name: str
    environment: Environment
    owner: kinesis.CfnStream | None

    @property
    def identity(self) -> object:
        """A value that is equal for constructs of the app that refer to the same stream.

        A value that is known only at deployment, Region and account included, can differ in each
        stack. Such streams are compared within one stack only.
        """
        if self.owner is not None:
            return self.owner.node.path
        if None in self.environment or not resolved_or_none(self.name):
            return self.stack, resolved_or_none(self.name) or canonical_text(self.stack, self.arn)
        return self.environment, self.name

    @property
    def literal_arn(self) -> str:
        """ARN without tokens, if the Region and account of the stack are known.

        ``Stack.format_arn`` uses a token for the partition even then, and CDK estimates the length
        of an ARN with tokens when it splits the policies of a role.
        """
        properties = stack_properties(self.stack)
        parts = (properties.partition, *properties.environment)
        if (
            self.environment != properties.environment
            or None in parts
            or not resolved_or_none(self.name)
        ):
            return self.arn
        return "arn:{}:kinesis:{}:{}:stream/{}".format(*parts, self.name)


def target_stream(stack: Stack, stream: kinesis.IStream) -> TargetStream:
    """Read the properties of a stream that a stack refers to."""
    remedy = "an IStream, for example kinesis.Stream.from_stream_arn(scope, id, arn)"
    check_argument("stream", stream, "stream_arn", remedy)
    arn, env = stream.stream_arn, stream.env
    owner = referenced_element(arn)
    return TargetStream(
        stack=stack,
        arn=arn,
        name=stream.stream_name,
        environment=Environment(resolved_or_none(env.region), resolved_or_none(env.account)),
        owner=owner if isinstance(owner, kinesis.CfnStream) else None,
    )


def check_stream(scope: IConstruct, stream: TargetStream) -> None:
    """Reject a stream that cannot be encrypted, and warn about one that the app declares.

    Conflicts are error annotations. An exception would stop the first pass of a context lookup,
    whose dummy values can be equal, and can be in another Region and account.
    """
    if resolved_or_none(stream.arn) and _STREAM_ARN.fullmatch(stream.arn) is None:
        raise ValueError(
            f"{stream.arn!r} is not the ARN of a Kinesis data stream: use "
            "'arn:<partition>:kinesis:<region>:<account>:stream/<name>'"
        )
    if resolved_or_none(stream.name) and _STREAM_NAME.fullmatch(stream.name) is None:
        raise ValueError(
            f"malformed stream name {stream.name!r}: use 1 to 128 letters, digits, '_', '.', or '-'"
        )
    here = stack_properties(stream.stack).environment
    for name, its, own in zip(Environment._fields, stream.environment, here, strict=True):
        if its is not None and own is not None and its != own:
            label = "Region" if name == "region" else name
            Annotations.of(scope).add_error(
                f"the stream {stream.name!r} is in {label} {its!r}, but the stack "
                f"{stream.stack.stack_name!r} is in {own!r}: encrypt the stream in a stack with "
                f"env=Environment({name}={its!r})"
            )
    check_partition(scope, "stream", stream.stack, stream.arn)
    if stream.owner is not None:
        Annotations.of(scope).add_warning_v2(
            "cdk-kinesis-stream-encryption:ownedStream",
            f"the stream {stream.owner.node.path!r} belongs to this app, so CloudFormation and "
            "this resource would both change its key: set encryption and encryption_key on the "
            "stream, and remove this resource",
        )


def register_stream(scope: IConstruct, stream: TargetStream) -> None:
    """Record that ``scope`` encrypts the stream; report an error if another construct does."""
    streams = _ENCRYPTED_STREAMS.setdefault(stack_properties(stream.stack).root, {})
    first = streams.setdefault(stream.identity, scope)
    if first is not scope:
        Annotations.of(scope).add_error(
            f"the stream {describe(stream.name)} is already encrypted by {first.node.path!r}: "
            "two resources would switch its key back and forth; keep one of them"
        )
