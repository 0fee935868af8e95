"""The provider: the Lambda function behind ``Custom::KinesisStreamEncryption``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypedDict, Unpack

import jsii
from aws_cdk import Duration, IStableStringProducer, Lazy, RemovalPolicy, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct, IDependable

from kinesis_stream_encryption._access import StreamAccess
from kinesis_stream_encryption._shard import ProviderSettings, Shard
from kinesis_stream_encryption._stacks import stack_facts

__all__ = ["Admission", "KinesisStreamEncryptionProvider", "ProviderOptions"]

_ID = "KinesisStreamEncryptionProvider"
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_MEMORY = range(128, 10_241)
_LOG_REMOVAL = (RemovalPolicy.DESTROY, RemovalPolicy.RETAIN)


class ProviderOptions(TypedDict, total=False):
    """Keyword arguments of :class:`KinesisStreamEncryptionProvider`."""

    memory_size: int
    log_retention: logs.RetentionDays
    log_removal_policy: RemovalPolicy
    log_encryption_key: kms.IKey
    role: iam.IRole
    vpc: ec2.IVpc
    vpc_subnets: ec2.SubnetSelection
    security_groups: Sequence[ec2.ISecurityGroup]
    tracing: lambda_.Tracing


class KinesisStreamEncryptionProvider(Construct):
    """A Lambda function that encrypts Kinesis data streams for CloudFormation.

    One per stack is made on demand. Make it yourself to set something, or to share it: pass it
    as ``provider`` to every :class:`KinesisStreamEncryption` that is to use it, also from other
    stacks of the same account and region. Tags, Aspects and permissions boundaries apply to it as
    to any construct.

    Parameters
    ----------
    scope
        Parent construct.
    id
        Id within the parent.
    memory_size
        Memory of the function in MB, 128 to 10,240. Default: 256.
    log_retention
        How long the function's log is kept. Default: three months.
    log_removal_policy
        ``DESTROY`` or ``RETAIN`` for the log group when the stack is deleted. Default:
        ``DESTROY``.
    log_encryption_key
        Key that encrypts the log; its policy must let CloudWatch Logs use it. Default:
        CloudWatch Logs' own encryption.
    role
        Execution role of the function; Lambda must be allowed to assume it, and the rights the
        function needs are added to it. It holds the rights to some 30 to 300 streams, depending on
        the length of their names. Default: a new role, and a further function with a role of its
        own for streams it has no room for.
    vpc, vpc_subnets, security_groups
        Network of the function, as for :class:`aws_cdk.aws_lambda.Function`. From there it must
        reach Kinesis, KMS, CloudFormation and Amazon S3, and EventBridge for long waits. Default:
        no VPC.
    tracing
        X-Ray tracing of the function. Default: disabled.

    Raises
    ------
    ValueError
        If a value is out of bounds, or the role belongs to another account.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        **options: Unpack[ProviderOptions],
    ) -> None:
        super().__init__(scope, id)
        self._settings = ProviderSettings(**options)
        self._check_settings()
        self._stack = Stack.of(self)
        self._admitted = 0
        self._shards = [self._make_shard("Default")]

    @classmethod
    def get_or_create(
        cls, scope: IConstruct, **options: Unpack[ProviderOptions]
    ) -> KinesisStreamEncryptionProvider:
        """Return the provider of the stack, and make it if there is none yet.

        Parameters
        ----------
        scope
            Any construct of the stack.
        **options
            As for the constructor. Options left out are taken as they are.

        Returns
        -------
        KinesisStreamEncryptionProvider
            The same one for every call in a stack.

        Raises
        ------
        ValueError
            If the provider exists already and an option differs from its setting.
        """
        stack = Stack.of(scope)
        existing = stack_facts(stack).node.try_find_child(_ID)
        if existing is None:
            return cls(stack, _ID, **options)
        if not isinstance(existing, cls):
            raise ValueError(
                f"the id {_ID!r} in {stack.node.path!r} is taken by another construct: rename it, "
                "or pass a provider of your own"
            )
        for name, asked in options.items():
            present = getattr(existing.settings, name)
            if asked != present:
                raise ValueError(
                    f"the provider {existing.node.path!r} exists with {name}={_shown(present)}, "
                    f"and {_shown(asked)} is asked for now: ask for the same everywhere, or pass "
                    "a provider of your own"
                )
        return existing

    @property
    def settings(self) -> ProviderSettings:
        """What the provider was made with."""
        return self._settings

    @property
    def function(self) -> lambda_.Function:
        """The Lambda function."""
        return self._shards[0].function

    @property
    def role(self) -> iam.IRole:
        """The function's execution role."""
        return self._shards[0].role

    @property
    def log_group(self) -> logs.LogGroup:
        """The function's log group."""
        return self._shards[0].log_group

    @property
    def service_token(self) -> str:
        """``ServiceToken`` of a custom resource: the function's ARN."""
        return self._shards[0].function_arn

    def admit(self, scope: Construct, access: StreamAccess, *, timeout: Duration) -> Admission:
        """Take charge of one custom resource.

        Parameters
        ----------
        scope
            Construct that the custom resource belongs to.
        access
            Stream and key that it needs.
        timeout
            How long it may wait.

        Returns
        -------
        Admission
            The function that serves it.

        Raises
        ------
        ValueError
            If the provider is in another region or account, or has no room left.
        """
        self._check_environment(access.stream.stack)
        seconds = timeout.to_seconds()
        for number, shard in enumerate(self._shards):
            requirement = shard.grant(scope, access, seconds=seconds)
            if requirement is not None:
                self._admitted += 1
                return Admission(shard.function_arn, number, requirement)
        self._check_extensible(access)
        self._shards.append(self._make_shard(f"Shard{len(self._shards) + 1}"))
        return self.admit(scope, access, timeout=timeout)

    def _make_shard(self, id_: str) -> Shard:
        streams = Lazy.string(_Count(lambda: self._admitted))
        return Shard(self, id_, settings=self._settings, streams=streams)

    def _check_extensible(self, access: StreamAccess) -> None:
        remedy = (
            "give some streams a provider of their own, "
            "provider=KinesisStreamEncryptionProvider(scope, id)"
        )
        if access.may_stop:
            # Which function serves a resource cannot change once it is deployed, except by
            # replacing the resource; and a replaced resource with removal policy DESTROY would
            # undo the encryption that its successor has just found in place.
            raise ValueError(
                f"the provider {self.node.path!r} has no room for another stream with removal "
                f"policy DESTROY, {access.path!r}: {remedy}, or use RemovalPolicy.RETAIN"
            )
        if self._settings.role is not None:
            raise ValueError(
                f"the role given to the provider {self.node.path!r} has no room left for "
                f"{access.path!r} within IAM's size limits: {remedy}, or leave role out"
            )

    def _check_environment(self, stack: Stack) -> None:
        own = stack_facts(self._stack).environment
        difference = own.difference(stack_facts(stack).environment)
        if difference is not None:
            raise ValueError(
                f"the provider {self.node.path!r} is in {difference.what} {difference.own!r}, the "
                f"stack {stack.stack_name!r} in {difference.other!r}: a provider serves one "
                "account and region; make one there"
            )

    def _check_settings(self) -> None:
        settings = self._settings
        if not Token.is_unresolved(settings.memory_size) and settings.memory_size not in _MEMORY:
            raise ValueError(
                f"memory_size {settings.memory_size} is out of bounds: Lambda takes "
                f"{_MEMORY.start} to {_MEMORY.stop - 1} MB"
            )
        if settings.log_removal_policy not in _LOG_REMOVAL:
            raise ValueError(
                f"log_removal_policy {settings.log_removal_policy.name} is not supported: use "
                "RemovalPolicy.DESTROY or RemovalPolicy.RETAIN"
            )
        if settings.vpc is None and (settings.vpc_subnets or settings.security_groups):
            raise ValueError("vpc_subnets and security_groups need a vpc: pass vpc as well")


@dataclass(frozen=True)
class Admission:
    """How a custom resource is served.

    Attributes
    ----------
    service_token
        ARN of the function.
    shard
        Number of the function among the provider's, from 0.
    requirement
        What must exist before the custom resource.
    """

    service_token: str
    shard: int
    requirement: IDependable


@jsii.implements(IStableStringProducer)
class _Count:
    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count

    def produce(self) -> str:
        return str(self._count())


def _shown(value: object) -> str:
    match value:
        case Enum():
            return value.name
        case _ if hasattr(value, "node"):
            return repr(value.node.path)
        case _:
            return repr(value)
