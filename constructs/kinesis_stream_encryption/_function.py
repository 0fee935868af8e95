"""The Lambda function of a provider or a guard, with its role and log group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, cast

from aws_cdk import CfnElement, Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from kinesis_stream_encryption._arguments import check_argument
from kinesis_stream_encryption._final_template import check_final_template
from kinesis_stream_encryption._function_check import SUPPORTED_RUNTIME, FunctionCheck
from kinesis_stream_encryption._permissions import FunctionPermissions
from kinesis_stream_encryption._policies import LOG_ACTIONS, NETWORK_ACTIONS, TRACING_ACTIONS

__all__ = ["FunctionOptions", "HandlerFunction"]


class FunctionOptions(TypedDict, total=False):
    """Options of the Lambda function, each passed as a keyword argument of its construct.

    Parameters
    ----------
    memory_size
        Memory in MB, 128 to 10,240. Default: 256.
    log_group
        Log group of the function's account and Region. Default: a new one that keeps events for
        three months and is deleted with the stack.
    role
        Execution role, which Lambda must be allowed to assume. The construct adds the permissions
        that the function needs. An immutable role (imported with ``mutable=False``, or pre-created
        with ``iam.Role.customize_roles``) gets none of them, and a warning lists them.
        Default: a new role.
    vpc, vpc_subnets, security_groups
        Network, as for :class:`aws_cdk.aws_lambda.Function`. CloudFormation creates the function
        after the ``vpc`` and all resources that are declared in it, such as endpoints. docs/vpc.md
        lists the endpoints that the function needs without a NAT gateway. Default: no VPC.
    tracing
        X-Ray tracing. Default: disabled.
    runtime
        Python 3.11 or later. Default: Python 3.14.
    architecture
        Instruction set; the function runs on both. Default: arm64.
    """

    memory_size: int | None
    log_group: logs.ILogGroup | None
    role: iam.IRole | None
    vpc: ec2.IVpc | None
    vpc_subnets: ec2.SubnetSelection | None
    security_groups: Sequence[ec2.ISecurityGroup] | None
    tracing: lambda_.Tracing | None
    runtime: lambda_.Runtime | None
    architecture: lambda_.Architecture | None


_DEFAULTS: dict[str, Any] = {
    "memory_size": 256,
    # By name, because older releases of aws-cdk-lib have no constant for it.
    "runtime": lambda_.Runtime("python3.14", lambda_.RuntimeFamily.PYTHON),
    "architecture": lambda_.Architecture.ARM_64,
    "tracing": lambda_.Tracing.DISABLED,
}

# Options that are read before CDK validates the type.
_EXPECTED = {
    "log_group": (
        "log_group_arn",
        "an ILogGroup, for example logs.LogGroup.from_log_group_name(scope, id, name)",
    ),
    "role": ("role_arn", "an IRole, for example iam.Role.from_role_arn(scope, id, arn)"),
    "runtime": ("name", "a Runtime, for example lambda_.Runtime.PYTHON_3_13"),
}


class HandlerFunction:
    """The function with its log group and permissions; users cannot override ``props``.

    A ``remedy`` for too many permissions is part of an error.
    """

    def __init__(
        self,
        scope: Construct,
        options: FunctionOptions,
        description: str,
        timeout: Duration,
        remedy: str,
        **props: Any,
    ) -> None:
        self._timeout, self._remedy = timeout, remedy
        if unknown := options.keys() - FunctionOptions.__annotations__.keys():
            raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
        # jsii and CDK treat None as a property that is not set.
        settings: Any = _DEFAULTS | {
            name: value for name, value in options.items() if value is not None
        }
        for name, (attribute, expected) in _EXPECTED.items():
            if name in settings:
                check_argument(name, settings[name], attribute, expected)
        vpc, runtime = settings.get("vpc"), settings["runtime"].name
        if SUPPORTED_RUNTIME.fullmatch(runtime) is None:
            raise ValueError(
                f"runtime {runtime!r} cannot run the handler: use Python 3.11 or newer"
            )
        # First, because CDK rejects new context in a scope that has children.
        self.permissions = FunctionPermissions(scope, settings.get("role"), description)
        self.log_group = settings.get("log_group") or logs.LogGroup(
            scope,
            "LogGroup",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        add = self.permissions.add
        add(*LOG_ACTIONS, on=[self.log_group.log_group_arn])
        if vpc is not None:
            # Lambda creates the network interfaces with the role, before the function exists, and
            # their IDs are not known yet. The describe actions support no resources ("Giving Lambda
            # functions access to resources in an Amazon VPC", Lambda Developer Guide).
            add(*NETWORK_ACTIONS, on=["*"])
        if settings["tracing"] is not lambda_.Tracing.DISABLED:
            # CDK adds the same actions to a mutable role. They support no resources.
            add(*TRACING_ACTIONS, on=["*"])
        settings |= {"role": self.permissions.role, "log_group": self.log_group}
        self.function = lambda_.Function(
            scope, "Function", description=description, timeout=timeout, **props, **settings
        )
        resource = self.function.node.default_child
        if vpc is not None and resource is not None:
            # Not the construct: an endpoint may refer to the security group of the function.
            resource.node.add_dependency(vpc)

    def check(
        self,
        *,
        source: CfnElement | None = None,
        queues: Sequence[CfnElement] = (),
        topics: Sequence[CfnElement] = (),
    ) -> None:
        """Validate the function in the final template, with the queues and topics that it uses.

        Lambda receives from ``source``.
        """
        check = FunctionCheck(
            permissions=self.permissions,
            function=cast(CfnElement, self.function.node.default_child),
            timeout=int(self._timeout.to_seconds()),
            log_group_name=self.log_group.log_group_name,
            remedy=self._remedy,
            source=source,
            queues=queues,
            topics=topics,
        )
        check_final_template(self.permissions.scope, check.run)
