"""One Lambda function with its role and log group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, DependencyGroup, IDependable

from kinesis_stream_encryption._access import StreamAccess, StreamPolicies
from kinesis_stream_encryption._asset import HANDLER, handler_code
from kinesis_stream_encryption._nag import accept, accept_wildcard

__all__ = ["LONGEST_INVOCATION", "ProviderSettings", "Shard"]

LONGEST_INVOCATION = 14 * 60
"""Longest wait that one invocation holds, in seconds.

Lambda ends an invocation after 15 minutes; the last one is for the answer to CloudFormation.
"""

_DESCRIPTION = "Encrypts Kinesis data streams for CloudFormation"
# Characters of inline policies that the function's own rights take at most: log, network
# interfaces, event rules and X-Ray; and the id of each stack.
_FUNCTION_RIGHTS = 1_400
_STACK_RIGHTS = 240
# By name, as older releases of aws-cdk-lib do not list it.
_RUNTIME = lambda_.Runtime("python3.14", lambda_.RuntimeFamily.PYTHON)
# How many streams all functions of the provider serve: once throttled, the handler leaves room for
# as many.
_STREAMS = "STREAMS"
# The handler makes a rule's name of this and 17 more characters; EventBridge allows 64.
_RULE_PREFIX = "POLLING_RULE_PREFIX"
_RULE_ACTIONS = [
    "events:DeleteRule",
    "events:PutRule",
    "events:PutTargets",
    "events:RemoveTargets",
]


@dataclass(frozen=True)
class ProviderSettings:
    """Settings of a provider; see :class:`KinesisStreamEncryptionProvider` for each of them."""

    memory_size: int = 256
    log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS
    log_removal_policy: RemovalPolicy = RemovalPolicy.DESTROY
    log_encryption_key: kms.IKey | None = None
    role: iam.IRole | None = None
    vpc: ec2.IVpc | None = None
    vpc_subnets: ec2.SubnetSelection | None = None
    security_groups: Sequence[ec2.ISecurityGroup] | None = None
    tracing: lambda_.Tracing = lambda_.Tracing.DISABLED


class Shard(Construct):
    """A function, and a role that has room for the rights to a limited number of streams."""

    def __init__(
        self, scope: Construct, id_: str, *, settings: ProviderSettings, streams: str
    ) -> None:
        super().__init__(scope, id_)
        self.log_group = logs.LogGroup(
            self,
            "LogGroup",
            retention=settings.log_retention,
            removal_policy=settings.log_removal_policy,
            encryption_key=settings.log_encryption_key,
        )
        self._rights = iam.PolicyDocument(statements=[_may_log(self.log_group)])
        if settings.vpc is not None:
            self._rights.add_statements(_may_join_a_vpc())
        self._look_at_resources = iam.PolicyStatement(
            actions=["cloudformation:DescribeStackResource"]
        )
        self._stack = Stack.of(self)
        self._stack_ids: dict[Stack, str] = {}
        self._permission: lambda_.CfnPermission | None = None
        self.role, self._holder = self._make_role(settings)
        self._streams = StreamPolicies(self, "Streams", role=self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            description=_DESCRIPTION,
            runtime=_RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            handler=HANDLER,
            code=handler_code(),
            environment={_STREAMS: streams},
            timeout=Duration.minutes(15),
            memory_size=settings.memory_size,
            role=self.role,
            log_group=self.log_group,
            tracing=settings.tracing,
            vpc=settings.vpc,
            vpc_subnets=settings.vpc_subnets,
            security_groups=settings.security_groups,
        )
        self.function_arn = self.function.function_arn
        self.function.node.add_dependency(self._holder)
        self._accept_findings(settings)

    def _make_role(self, settings: ProviderSettings) -> tuple[iam.IRole, Construct]:
        """Make the role, or the policy that adds to the one given; what holds the rights too."""
        if settings.role is not None:
            policy = iam.Policy(self, "Policy", document=self._rights)
            settings.role.attach_inline_policy(policy)
            return settings.role, policy
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=_DESCRIPTION,
            inline_policies={"Function": self._rights},
        )
        return role, role

    def grant(
        self, scope: Construct, access: StreamAccess, *, seconds: float
    ) -> IDependable | None:
        """Let the function serve one custom resource, unless its role has no room left.

        Parameters
        ----------
        scope
            Construct that the custom resource belongs to.
        access
            Stream and key that it needs.
        seconds
            How long it may wait.

        Returns
        -------
        constructs.IDependable or None
            What the custom resource depends on; None if nothing was granted for want of room.
        """
        stacks = len(set(self._stack_ids.values())) + 1
        taken = _FUNCTION_RIGHTS + stacks * _STACK_RIGHTS
        policies = self._streams.add(scope, access, taken=taken)
        if policies is None:
            return None
        self._may_look_at_resources_of(access.stream.stack)
        if seconds <= LONGEST_INVOCATION:
            return policies
        return DependencyGroup(policies, self._may_wait_longer())

    def _may_look_at_resources_of(self, stack: Stack) -> None:
        if stack in self._stack_ids:
            return
        stack_id = Aws.STACK_ID
        if stack is not self._stack:
            stack_id = stack.format_arn(
                service="cloudformation", resource="stack", resource_name=f"{stack.stack_name}/*"
            )
            accept_wildcard(
                self._holder,
                stack_id,
                "the id of another stack ends in a GUID known only once it is deployed",
            )
        if not self._stack_ids:
            self._rights.add_statements(self._look_at_resources)
        self._stack_ids[stack] = stack_id
        self._look_at_resources.add_resources(stack_id)

    def _may_wait_longer(self) -> IDependable:
        """Let the handler wake itself up by rules of its own, and EventBridge invoke it."""
        if self._permission is None:
            prefix = _rule_prefix(self)
            rules = self._stack.format_arn(
                service="events", resource="rule", resource_name=f"{prefix}-*"
            )
            self._rights.add_statements(
                iam.PolicyStatement(actions=_RULE_ACTIONS, resources=[rules])
            )
            accept_wildcard(
                self._holder,
                rules,
                "covers the rules of this function alone, which the handler names by request",
            )
            self.function.add_environment(_RULE_PREFIX, prefix)
            self._permission = lambda_.CfnPermission(
                self,
                "MayBeWokenUp",
                action="lambda:InvokeFunction",
                function_name=self.function.function_arn,
                principal="events.amazonaws.com",
                source_account=self._stack.account,
                source_arn=rules,
            )
        return self._permission

    def _accept_findings(self, settings: ProviderSettings) -> None:
        accept(
            self._holder,
            "IAMNoInlinePolicy",
            "the rights of this one function, deleted with it",
        )
        accept(
            self.function,
            "LambdaDLQ",
            "CloudFormation waits for the answer to each event and reports its absence; an event "
            "handled later would change a stream behind its back",
        )
        accept(
            self.function,
            "LambdaConcurrency",
            "invoked only by CloudFormation, which bounds concurrency; a reservation would take "
            "from the account for what runs a few times a year",
        )
        if settings.vpc is None:
            accept(
                self.function,
                "LambdaInsideVPC",
                "calls AWS APIs alone and listens to nothing; a VPC is the provider's option",
            )
        else:
            accept_wildcard(self._holder, "*", "EC2 has no finer form: see _may_join_a_vpc")
        if settings.log_encryption_key is None:
            accept(
                self.log_group,
                "CloudWatchLogGroupEncrypted",
                "holds stream and key names, encrypted by CloudWatch Logs; a key is the "
                "provider's option",
            )
        if settings.tracing is lambda_.Tracing.DISABLED:
            accept(
                self.function,
                "LambdaTracing",
                "calls two services and logs each call; tracing is the provider's option",
            )
        else:
            accept_wildcard(self.role, "*", "X-Ray has no resources to limit its rights to")


def _rule_prefix(shard: Shard) -> str:
    # A stack id is arn:…:stack/<name>/<GUID>. The function's own name would be unique too, but
    # naming it in its own environment is circular.
    guid = Fn.select(2, Fn.split("/", Aws.STACK_ID))
    return f"{guid}-{shard.node.addr[-8:]}"


def _may_log(log_group: logs.ILogGroup) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[log_group.log_group_arn],
    )


def _may_join_a_vpc() -> iam.PolicyStatement:
    # Lambda makes the interfaces by the role, before the function exists and under ids not known
    # yet; DescribeNetworkInterfaces has no resource at all ("Giving Lambda functions access to
    # resources in an Amazon VPC", Lambda Developer Guide).
    return iam.PolicyStatement(
        actions=[
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
        ],
        resources=["*"],
    )
