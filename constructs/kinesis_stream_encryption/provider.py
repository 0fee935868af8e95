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
_REMEDY = (
    "give some streams a further provider, provider=KinesisStreamEncryptionProvider(scope, id)"
)

# The first provider of each stack, which serves whatever names none.
_PROVIDERS: WeakKeyDictionary[Stack, KinesisStreamEncryptionProvider] = WeakKeyDictionary()


class KinesisStreamEncryptionProvider(Construct):
    """A Lambda function that encrypts Kinesis data streams for CloudFormation.

    One per stack is made on demand. To set something, make it before the stack's first
    :class:`KinesisStreamEncryption`: the first provider of a stack serves everything in it that
    names none. Its function, role and log group have the same logical ids whatever its own id and
    options are, so that they are changed in place. Tags, Aspects and permissions boundaries apply
    to it as to any construct.

    A further provider is another function. What it serves are other resources to CloudFormation:
    a resource that is moved to it, or from it, is replaced. Never do that in the same deployment
    as a change of the stream's key, as a rollback could not bring the former key back.

    Parameters
    ----------
    scope
        Parent construct, in the stack whose resources it is to serve.
    id
        Id within the parent.
    options
        Options of the function, as keyword arguments: :class:`FunctionOptions`. Default: as there.

    Raises
    ------
    ValueError
        If the runtime cannot run the handler. A role of another account is an error annotation.
        Synthesis fails if the streams exceed what the role's policies can hold, if an Aspect sets
        a runtime that cannot run the handler, or if a provider that is not the first of its stack
        serves nothing. A warning lists the permissions that the role lacks for what Aspects set.
    """

    def __init__(self, scope: Construct, id: str, **options: Unpack[FunctionOptions]) -> None:
        super().__init__(scope, id)
        self._stack = Stack.of(self)
        made = HandlerFunction(
            self,
            options,
            _DESCRIPTION,
            _REMEDY,
            handler=HANDLER,
            code=handler_code(guard=False),
            timeout=Duration.minutes(15),
        )
        self._permissions, self._function = made.permissions, made.function
        self._log_group = made.log_group
        describe = ("cloudformation:DescribeStackResource", "cloudformation:DescribeStacks")
        self._permissions.add(*describe, on=[Aws.STACK_ID])
        self._function_arn = self._function.function_arn
        self._permissions.check_function(self._function)
        self._permission: lambda_.CfnPermission | None = None
        first = _PROVIDERS.setdefault(self._stack, self)
        self._is_first, self._usage = first is self, _Usage(self, first)
        if self._is_first:
            self._fix_logical_ids()
        else:
            self.node.add_validation(self._usage)

    def _fix_logical_ids(self) -> None:
        """Keep the parts what they are to CloudFormation, wherever the provider is in the app."""
        for name in ("Function", "LogGroup", "Role"):
            part = self.node.try_find_child(name)  # a log group or role that was given is not here
            resource = part and part.node.default_child
            if isinstance(resource, CfnResource):
                resource.override_logical_id(f"{_ID}{name}")

    @classmethod
    def get_or_create(cls, scope: IConstruct) -> KinesisStreamEncryptionProvider:
        """Return the provider of the stack, and make it if there is none yet.

        Parameters
        ----------
        scope
            Any construct of the stack.

        Raises
        ------
        ValueError
            If another construct of the stack has its id.
        """
        stack = Stack.of(scope)
        if provider := _PROVIDERS.get(stack):
            return provider
        if stack.node.try_find_child(_ID) is not None:
            raise ValueError(
                f"the id {_ID!r} in {stack.node.path!r} is taken by another construct: rename it, "
                "or make a provider of your own first"
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
        """Construct id of the custom resources that it serves.

        CloudFormation refuses to change the function behind a custom resource, so what another
        provider serves is another resource.
        """
        return "Resource" if self._is_first else f"Resource{self.node.addr[-8:]}"

    def _allow(
        self, stack: Stack, *, stream: str, key: str | None, alias: str | None, long_wait: bool
    ) -> list[IDependable]:
        """Give the function the permissions that a custom resource needs.

        Parameters
        ----------
        stack
            Stack of the custom resource.
        stream
            ARN of its stream.
        key, alias
            ARN of its key, or the key's alias where only that is known.
        long_wait
            Whether it may wait longer than one invocation of the function lasts.

        Returns
        -------
        list of constructs.IDependable
            What must exist before the custom resource.

        Raises
        ------
        ValueError
            If the provider belongs to another stack.
        """
        if stack is not self._stack:
            raise ValueError(
                f"the provider {self.node.path!r} serves its own stack, and this resource is in "
                f"{stack.node.path!r}: leave provider out, so that the stack gets one of its own, "
                "or make another one there"
            )
        self._usage.serves = True
        needed = [self._permissions.add_encryption(stream, key, alias)]
        if long_wait and self._permission is None:
            # Were the function named in the role's policy, each would wait for the other.
            self._permission = lambda_.CfnPermission(
                self,
                "InvokeItself",
                action="lambda:InvokeFunction",
                function_name=self._function_arn,
                principal=self._permissions.role.role_arn,
            )
        return [*needed, self._permission] if long_wait and self._permission else needed


@jsii.implements(IValidation)
class _Usage:
    """Fails synthesis while a provider that is not the stack's first ``serves`` nothing."""

    serves = False

    def __init__(self, provider: IConstruct, first: IConstruct) -> None:
        self._provider, self._first = provider.node.path, first.node.path

    def validate(self) -> list[str]:
        problem = (
            f"the provider {self._provider!r} serves nothing: whatever names no provider is served "
            f"by the stack's first one, {self._first!r}; create this one before the stack's first "
            "KinesisStreamEncryption, or pass it as provider=…"
        )
        return [] if self.serves else [problem]
