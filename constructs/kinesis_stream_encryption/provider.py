"""The provider: the Lambda function behind ``Custom::KinesisStreamEncryption``."""

from __future__ import annotations

from typing import Unpack
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import Aws, CfnResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct, IDependable, IValidation

from kinesis_stream_encryption._asset import HANDLER, handler_code
from kinesis_stream_encryption._function import FunctionOptions, HandlerFunction

__all__ = ["KinesisStreamEncryptionProvider"]

_ID = "KinesisStreamEncryptionProvider"
_DESCRIPTION = "Encrypts Kinesis data streams for CloudFormation"
_REMEDY = "pass provider=KinesisStreamEncryptionProvider(scope, id) for some of the streams"

# The first provider of each stack, which is the default of all streams in the stack.
_PROVIDERS: WeakKeyDictionary[Stack, KinesisStreamEncryptionProvider] = WeakKeyDictionary()


class KinesisStreamEncryptionProvider(Construct):
    """A Lambda function that encrypts Kinesis data streams for CloudFormation.

    The first :class:`KinesisStreamEncryption` of a stack creates the provider of the stack. To set
    options, create the provider before it: the first provider of a stack is the default of all its
    streams. The logical IDs of its function, role, and log group do not depend on its construct ID
    and options, so that CloudFormation updates them in place. Tags, Aspects, and permissions
    boundaries apply to it as to any construct.

    Every other provider of a stack has a function of its own. If you move a stream from one
    provider to another, CloudFormation replaces its custom resource. Do not change the key of the
    stream in the same deployment, because a rollback could not restore the previous key.

    Parameters
    ----------
    scope
        Parent construct, in the stack of the streams.
    id
        Construct ID.
    options
        Options of the function, as keyword arguments: :class:`FunctionOptions`. Default: as there.

    Raises
    ------
    ValueError
        If the runtime cannot run the handler. A role of another account is an error annotation.
        Synthesis fails if the policies of the role exceed an IAM quota, if an Aspect sets a runtime
        that cannot run the handler, or if a provider other than the first of its stack is not used.
        A warning lists the permissions that the role lacks for a configuration that Aspects set.
    """

    def __init__(self, scope: Construct, id: str, **options: Unpack[FunctionOptions]) -> None:
        super().__init__(scope, id)
        self._stack = Stack.of(self)
        handler = HandlerFunction(
            self,
            options,
            _DESCRIPTION,
            Duration.minutes(15),
            _REMEDY,
            handler=HANDLER,
            code=handler_code(guard=False),
        )
        self._permissions, self._function = handler.permissions, handler.function
        self._log_group = handler.log_group
        describe = ("cloudformation:DescribeStackResource", "cloudformation:DescribeStacks")
        self._permissions.add(*describe, on=[Aws.STACK_ID])
        self._function_arn = self._function.function_arn
        handler.check()
        self._permission: lambda_.CfnPermission | None = None
        first = _PROVIDERS.setdefault(self._stack, self)
        self._is_first, self._usage = first is self, _Usage(self, first)
        if self._is_first:
            self._fix_logical_ids()
        else:
            self.node.add_validation(self._usage)

    def _fix_logical_ids(self) -> None:
        """Set logical IDs that do not depend on the path of the provider."""
        for name in ("Function", "LogGroup", "Role"):
            part = self.node.try_find_child(name)  # None if the user passed the role or log group
            resource = part and part.node.default_child
            if isinstance(resource, CfnResource):
                resource.override_logical_id(f"{_ID}{name}")

    @classmethod
    def get_or_create(cls, scope: IConstruct) -> KinesisStreamEncryptionProvider:
        """Return the first provider of the stack; create one if there is none.

        Parameters
        ----------
        scope
            Any construct of the stack.

        Raises
        ------
        ValueError
            If another construct of the stack has the ID of the provider.
        """
        stack = Stack.of(scope)
        if provider := _PROVIDERS.get(stack):
            return provider
        if stack.node.try_find_child(_ID) is not None:
            raise ValueError(
                f"another construct in {stack.node.path!r} has the ID {_ID!r}: rename it, or first "
                "create a KinesisStreamEncryptionProvider with another ID"
            )
        return cls(stack, _ID)

    @property
    def function(self) -> lambda_.Function:
        """The Lambda function."""
        return self._function

    @property
    def role(self) -> iam.IRole:
        """The function's execution role."""
        return self._permissions.role

    @property
    def log_group(self) -> logs.ILogGroup:
        """The function's log group."""
        return self._log_group

    @property
    def service_token(self) -> str:
        """``ServiceToken`` of a custom resource: the function's ARN."""
        return self._function_arn

    @property
    def _resource_id(self) -> str:
        """Construct ID of the custom resources of this provider.

        CloudFormation rejects another function (ServiceToken) for an existing custom resource, so
        the resources of another provider have other IDs.
        """
        return "Resource" if self._is_first else f"Resource{self.node.addr[-8:]}"

    def _allow(
        self, stack: Stack, *, stream: str, key: str | None, alias: str | None, long_wait: bool
    ) -> list[IDependable]:
        """Grant the function the permissions for a custom resource.

        Parameters
        ----------
        stack
            Stack of the custom resource.
        stream
            ARN of the stream.
        key, alias
            ARN of the key, or its alias if only KMS can resolve the alias.
        long_wait
            Whether its timeout exceeds one invocation, so that the function invokes itself.

        Returns
        -------
        list of constructs.IDependable
            Permissions that must exist before the custom resource.

        Raises
        ------
        ValueError
            If the provider belongs to another stack.
        """
        if stack is not self._stack:
            raise ValueError(
                f"the provider {self.node.path!r} serves its own stack only, but the stream is "
                f"encrypted in {stack.node.path!r}: omit provider, or create one in that stack"
            )
        self._usage.is_used = True
        permissions: list[IDependable] = [self._permissions.add_encryption(stream, key, alias)]
        if long_wait and self._permission is None:
            # A policy of the role that refers to the function would be a circular dependency.
            self._permission = lambda_.CfnPermission(
                self,
                "InvokeItself",
                action="lambda:InvokeFunction",
                function_name=self._function_arn,
                principal=self._permissions.role.role_arn,
            )
        if long_wait and self._permission:
            permissions.append(self._permission)
        return permissions


@jsii.implements(IValidation)
class _Usage:
    """Reports a provider that no stream uses, unless it is the first one of its stack."""

    is_used = False

    def __init__(self, provider: IConstruct, first: IConstruct) -> None:
        self._provider, self._first = provider.node.path, first.node.path

    def validate(self) -> list[str]:
        problem = (
            f"the provider {self._provider!r} is not used: the default is the first provider of "
            f"the stack, {self._first!r}. Create this provider before the first "
            "KinesisStreamEncryption of the stack, or pass it as provider=…"
        )
        return [] if self.is_used else [problem]
