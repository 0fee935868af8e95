"""The provider: the Lambda function behind ``Custom::KinesisStreamEncryption``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from aws_cdk import Aws, CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct, IDependable

from kinesis_stream_encryption._asset import HANDLER, handler_code
from kinesis_stream_encryption._rights import FunctionRights

__all__ = ["KinesisStreamEncryptionProvider"]

_ID = "KinesisStreamEncryptionProvider"
_DESCRIPTION = "Encrypts Kinesis data streams for CloudFormation"
_REMEDY = (
    "give some streams a further provider, provider=KinesisStreamEncryptionProvider(scope, id)"
)
# By name, as older releases of aws-cdk-lib do not list it.
_RUNTIME = lambda_.Runtime("python3.14", lambda_.RuntimeFamily.PYTHON)
_PYTHON = re.compile(r"python3\.1[1-9]")

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
        function needs are added to it. A role that cannot be changed (imported with
        ``mutable=False``, or pre-created with ``iam.Role.customize_roles``) gets none of them, and
        a warning lists them all. Default: a new role.
    vpc, vpc_subnets, security_groups
        Network of the function, as for :class:`aws_cdk.aws_lambda.Function`. From there it must
        reach Kinesis, KMS, CloudFormation and Amazon S3, and Lambda for long waits. Default: no
        VPC.
    tracing
        X-Ray tracing of the function. Default: disabled.
    runtime
        Python 3.11 or newer. Default: Python 3.14, the newest that Lambda has.
    architecture
        Processor of the function; it runs on both. Default: arm64.

    Raises
    ------
    ValueError
        If the runtime cannot run the handler, or the role belongs to another account. Synthesis
        fails if the streams are more than the role's policies have room for.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        memory_size: int = 256,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        log_removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
        log_encryption_key: kms.IKey | None = None,
        role: iam.IRole | None = None,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        tracing: lambda_.Tracing = lambda_.Tracing.DISABLED,
        runtime: lambda_.Runtime = _RUNTIME,
        architecture: lambda_.Architecture = lambda_.Architecture.ARM_64,
    ) -> None:
        super().__init__(scope, id)
        if _PYTHON.fullmatch(runtime.name) is None:
            raise ValueError(
                f"runtime {runtime.name!r} cannot run the handler: it takes Python 3.11 or newer"
            )
        self._stack = Stack.of(self)
        # First, as context can be set only while nothing is in here.
        self._rights = FunctionRights(self, role, _DESCRIPTION, remedy=_REMEDY)
        self._log_group = logs.LogGroup(
            self,
            "LogGroup",
            retention=log_retention,
            removal_policy=log_removal_policy,
            encryption_key=log_encryption_key,
        )
        self._add_own_rights(in_a_vpc=vpc is not None, tracing=tracing)
        self._function = lambda_.Function(
            self,
            "Function",
            description=_DESCRIPTION,
            runtime=runtime,
            architecture=architecture,
            handler=HANDLER,
            code=handler_code(),
            timeout=Duration.minutes(15),
            memory_size=memory_size,
            role=self._rights.role,
            log_group=self._log_group,
            tracing=tracing,
            vpc=vpc,
            vpc_subnets=vpc_subnets,
            security_groups=security_groups,
        )
        self._function_arn = self._function.function_arn
        self._permission: lambda_.CfnPermission | None = None
        self._is_first = _PROVIDERS.setdefault(self._stack, self) is self
        if self._is_first:
            self._fix_logical_ids(role)

    def _add_own_rights(self, *, in_a_vpc: bool, tracing: lambda_.Tracing) -> None:
        add, log_group = self._rights.add, self._log_group.log_group_arn
        add("logs:CreateLogStream", "logs:PutLogEvents", on=[log_group])
        describe_stack = ("cloudformation:DescribeStackResource", "cloudformation:DescribeStacks")
        add(*describe_stack, on=[Aws.STACK_ID])
        if in_a_vpc:
            # Lambda makes the interfaces by the role, before the function exists and under ids not
            # known yet; what describes has no resource at all ("Giving Lambda functions access to
            # resources in an Amazon VPC", Lambda Developer Guide).
            add(
                *("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"),
                *("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
                *("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
                on=["*"],
            )
        if tracing is not lambda_.Tracing.DISABLED:
            # CDK adds the same to a role that can be changed. X-Ray has no resources.
            add("xray:PutTraceSegments", "xray:PutTelemetryRecords", on=["*"])

    def _fix_logical_ids(self, given_role: iam.IRole | None) -> None:
        """Keep the parts what they are to CloudFormation, wherever the provider is in the app."""
        parts: dict[str, IConstruct] = {"Function": self._function, "LogGroup": self._log_group}
        if given_role is None:
            parts["Role"] = self._rights.role
        for name, part in parts.items():
            resource = part.node.default_child
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
        return self._rights.role

    @property
    def log_group(self) -> logs.LogGroup:
        """The function's log group."""
        return self._log_group

    @property
    def service_token(self) -> str:
        """``ServiceToken`` of a custom resource: the function's ARN."""
        return self._function_arn

    @property
    def resource_id(self) -> str:
        """Construct id of the custom resources that it serves.

        CloudFormation refuses to change the function behind a custom resource, so what another
        provider serves is another resource.
        """
        return "Resource" if self._is_first else f"Resource{self.node.addr[-8:]}"

    def allow(
        self, stack: Stack, *, stream: str, key: str | None, alias: str | None, long_wait: bool
    ) -> list[IDependable]:
        """Give the function the rights that a custom resource needs.

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
        needed = [self._rights.add_encryption(stream, key, alias)]
        if long_wait and self._permission is None:
            # Were the function named in the role's policy, each would wait for the other.
            self._permission = lambda_.CfnPermission(
                self,
                "InvokeItself",
                action="lambda:InvokeFunction",
                function_name=self._function_arn,
                principal=self._rights.role.role_arn,
            )
        return [*needed, self._permission] if long_wait and self._permission else needed
