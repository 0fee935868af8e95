"""The Lambda function of a provider or a guard, with its role and its log group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from kinesis_stream_encryption._rights import (
    NETWORK_ACTIONS,
    SUPPORTED_RUNTIME,
    TRACING_ACTIONS,
    FunctionRights,
)

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
        Execution role, which Lambda must be allowed to assume; the permissions that the function
        needs are added to it. A role that cannot be changed (imported with ``mutable=False``, or
        pre-created with ``iam.Role.customize_roles``) gets none of them, and a warning lists them.
        Default: a new role.
    vpc, vpc_subnets, security_groups
        Network, as for :class:`aws_cdk.aws_lambda.Function`. The function is created after the
        ``vpc`` with all that is declared in it, endpoints included. docs/vpc.md lists the
        endpoints that the function needs without a NAT gateway. Default: no VPC.
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
    # By name, as older releases of aws-cdk-lib do not list it.
    "runtime": lambda_.Runtime("python3.14", lambda_.RuntimeFamily.PYTHON),
    "architecture": lambda_.Architecture.ARM_64,
    "tracing": lambda_.Tracing.DISABLED,
}


class HandlerFunction:
    """The function with its log group and permissions; ``props`` are not for users to change."""

    def __init__(
        self,
        scope: Construct,
        options: FunctionOptions,
        description: str,
        remedy: str,
        **props: Any,
    ) -> None:
        if unknown := options.keys() - FunctionOptions.__annotations__.keys():
            raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
        # jsii and CDK treat None as a property that is not set.
        given: Any = _DEFAULTS | {name: each for name, each in options.items() if each is not None}
        vpc, runtime = given.get("vpc"), given["runtime"].name
        if SUPPORTED_RUNTIME.fullmatch(runtime) is None:
            raise ValueError(
                f"runtime {runtime!r} cannot run the handler: it takes Python 3.11 or newer"
            )
        # First, as context can be set only while nothing is in the scope.
        self.permissions = FunctionRights(scope, given.get("role"), description, remedy=remedy)
        self.log_group = given.get("log_group") or logs.LogGroup(
            scope,
            "LogGroup",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        add, log_group_arn = self.permissions.add, self.log_group.log_group_arn
        add("logs:CreateLogStream", "logs:PutLogEvents", on=[log_group_arn])
        if vpc is not None:
            # Lambda makes the interfaces by the role, before the function exists and under ids not
            # known yet; what describes has no resource at all ("Giving Lambda functions access to
            # resources in an Amazon VPC", Lambda Developer Guide).
            add(*NETWORK_ACTIONS, on=["*"])
        if given["tracing"] is not lambda_.Tracing.DISABLED:
            # CDK adds the same to a role that can be changed. X-Ray has no resources.
            add(*TRACING_ACTIONS, on=["*"])
        given |= {"role": self.permissions.role, "log_group": self.log_group}
        self.function = lambda_.Function(
            scope, "Function", description=description, **props, **given
        )
        resource = self.function.node.default_child
        if vpc is not None and resource is not None:
            # Not the construct: its security group may be named by an endpoint's.
            resource.node.add_dependency(vpc)
