"""The stream to encrypt: what can be checked at synth."""

from __future__ import annotations

import re
from typing import NamedTuple
from weakref import WeakKeyDictionary

from aws_cdk import Annotations, Stack
from aws_cdk import aws_kinesis as kinesis
from constructs import IConstruct

from kinesis_stream_encryption._tokens import (
    Environment,
    check_partition,
    describe,
    known,
    referenced_element,
    stack_facts,
    text,
)

__all__ = ["TargetStream", "check_stream", "claim_stream", "target_stream"]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html
_STREAM_ARN = re.compile(r"arn:[^:]+:kinesis:[^:]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,128}")
_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")

# Per app, the streams that are encrypted, and by which construct.
_CLAIMS: WeakKeyDictionary[IConstruct, dict[object, IConstruct]] = WeakKeyDictionary()


class TargetStream(NamedTuple):
    """A stream as one stack refers to it; ARN and name may hold tokens.

    The owner is the ``AWS::Kinesis::Stream`` of this app that it stands for, if there is one.
    """

    stack: Stack
    arn: str
    name: str
    environment: Environment
    owner: kinesis.CfnStream | None

    @property
    def identity(self) -> object:
        """The same for all constructs of the app that are known to stand for this stream.

        Two stacks whose region or account only deployment will tell are two places, and a value
        known only at deployment may be another one in each stack.
        """
        if self.owner is not None:
            return self.owner.node.path
        if None in self.environment or not known(self.name):
            return self.stack, known(self.name) or text(self.stack, self.arn)
        return self.environment, self.name

    @property
    def literal_arn(self) -> str:
        """ARN without tokens, where the stack's place is known.

        ``Stack.format_arn`` leaves the partition to deployment even there, and CDK can only guess
        the length of what it leaves, when it splits the policies of a role.
        """
        facts = stack_facts(self.stack)
        place = (facts.partition, *facts.environment)
        if self.environment != facts.environment or None in place or not known(self.name):
            return self.arn
        return "arn:{}:kinesis:{}:{}:stream/{}".format(*place, self.name)


def target_stream(stack: Stack, stream: kinesis.IStream) -> TargetStream:
    """Read what there is to know of a stream that a stack refers to."""
    arn, env = stream.stream_arn, stream.env
    owner = referenced_element(arn)
    return TargetStream(
        stack=stack,
        arn=arn,
        name=stream.stream_name,
        environment=Environment(known(env.region), known(env.account)),
        owner=owner if isinstance(owner, kinesis.CfnStream) else None,
    )


def check_stream(scope: IConstruct, stream: TargetStream) -> None:
    """Refuse a stream that cannot work; warn of one that CloudFormation itself encrypts.

    An exception would stop the first pass of a context lookup, whose values may all be the same
    and of another region and account.
    """
    if known(stream.arn) and _STREAM_ARN.fullmatch(stream.arn) is None:
        raise ValueError(
            f"{stream.arn!r} is not the ARN of a Kinesis data stream: it should read "
            "'arn:<partition>:kinesis:<region>:<account>:stream/<name>'"
        )
    if known(stream.name) and _STREAM_NAME.fullmatch(stream.name) is None:
        raise ValueError(
            f"malformed stream name {stream.name!r}: a name has 1 to 128 letters, digits, '_', "
            "'.' or '-'"
        )
    here = stack_facts(stream.stack).environment
    for what, its, own in zip(Environment._fields, stream.environment, here, strict=True):
        if its is not None and own is not None and its != own:
            Annotations.of(scope).add_error(
                f"the stream {stream.name!r} is in {what} {its!r}, the stack "
                f"{stream.stack.stack_name!r} in {own!r}: encrypt it from a stack with "
                f"env=Environment({what}={its!r})"
            )
    check_partition(scope, "stream", stream.stack, stream.arn)
    if stream.owner is not None:
        Annotations.of(scope).add_warning_v2(
            "cdk-kinesis-stream-encryption:ownedStream",
            f"the stream {stream.owner.node.path!r} belongs to this app, and CloudFormation "
            "encrypts it by itself: set encryption and encryption_key on it and drop this "
            "resource, or the two will fight over its key",
        )


def claim_stream(scope: IConstruct, stream: TargetStream) -> None:
    """Note that ``scope`` encrypts the stream; it is an error if another construct does, too."""
    claims = _CLAIMS.setdefault(stack_facts(stream.stack).root, {})
    holder = claims.setdefault(stream.identity, scope)
    if holder is not scope:
        Annotations.of(scope).add_error(
            f"the stream {describe(stream.name)} is already encrypted by {holder.node.path!r}: "
            "two resources would switch its key back and forth; keep one of them"
        )
