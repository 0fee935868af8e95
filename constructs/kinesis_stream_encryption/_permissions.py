"""The role of a function, its permissions, and the validation of its policies.

CDK splits a policy that exceeds IAM's size limit into managed policies. It only warns if their
number exceeds IAM's limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from itertools import product
from typing import Any, NamedTuple, cast

from aws_cdk import Annotations, CfnElement, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IDependable

from kinesis_stream_encryption._final_template import (
    Resources,
    check_final_template,
    final_resource,
)
from kinesis_stream_encryption._tokens import (
    readable,
    render_functions,
    resolved_or_none,
    stack_properties,
)

__all__ = [
    "LOG_ACTIONS",
    "MAX_INLINE_POLICY_SIZE",
    "NETWORK_ACTIONS",
    "SUPPORTED_RUNTIME",
    "TRACING_ACTIONS",
    "FunctionPermissions",
    "alternatives",
    "check_alarm_topics",
    "is_attached",
    "policies_of_role",
    "policy_size",
    "referenced",
    "statements_of",
]

_Json = dict[str, Any]

SUPPORTED_RUNTIME = re.compile(r"python3\.1[1-9]")
# "Giving Lambda functions access to resources in an Amazon VPC" and "Visualize Lambda function
# invocations using AWS X-Ray", Lambda Developer Guide. Neither can be limited to resources.
NETWORK_ACTIONS = (
    *("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"),
    *("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
    *("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
)
TRACING_ACTIONS = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")
# A template contains the names of AWS managed policies, but not their documents.
_AWS_MANAGED_POLICIES = {
    "AWSLambdaBasicExecutionRole": LOG_ACTIONS,
    "AWSLambdaVPCAccessExecutionRole": (*NETWORK_ACTIONS, *LOG_ACTIONS),
    "AWSXRayDaemonWriteAccess": TRACING_ACTIONS,
}
# Who sends to an encrypted queue or topic needs both ("Key management" in the developer guides of
# Amazon SQS and Amazon SNS).
_SEND_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")


class _Sender(NamedTuple):
    """A service that sends to a kind of resource, and what it can use without a customer's key."""

    name: str
    principal: str
    kind: str
    alternative: str


_EVENTBRIDGE = _Sender("EventBridge", "events.amazonaws.com", "queue", "SSE-SQS")
_CLOUDWATCH = _Sender("CloudWatch", "cloudwatch.amazonaws.com", "topic", "an unencrypted topic")

# Feature flag of CDK that merges statements, so that the statements of many streams are smaller.
_MINIMIZE_POLICIES = "@aws-cdk/aws-iam:minimizePolicies"
# Context with the number of characters that CDK assumes for an ARN with tokens. With its default,
# 150, the policies hold some 400 streams. 120 characters hold a stream name of 63 characters in the
# longest partition and Region. The final policies are validated, in case names are longer.
_ARN_SIZE_CONTEXT = "@aws-cdk/aws-iam.arnSizeEstimate"
_ARN_SIZE = 120

# "IAM and AWS STS quotas", IAM User Guide.
_MAX_MANAGED_POLICIES = 10
_MAX_MANAGED_POLICY_SIZE = 6_144
MAX_INLINE_POLICY_SIZE = 10_240
# The longest values at deployment. Any other reference is at most as long as a stream ARN.
_LONGEST_PSEUDO_PARAMETERS = {
    "Partition": "aws-us-gov",
    "Region": "ap-northeast-1",
    "AccountId": "123456789012",
}
_LONGEST_ARN = "x" * 185

_STREAM_ACTIONS = ["kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption"]
_DESCRIBE_KEY = "kms:DescribeKey"


class FunctionPermissions:
    """The role of a function, created in ``scope`` or passed, with the statements that it needs."""

    def __init__(
        self, scope: Construct, role: iam.IRole | None, description: str, *, remedy: str
    ) -> None:
        self._scope, self._stack, self._remedy = scope, Stack.of(scope), remedy
        scope.node.set_context(_MINIMIZE_POLICIES, True)
        if scope.node.try_get_context(_ARN_SIZE_CONTEXT) is None:
            scope.node.set_context(_ARN_SIZE_CONTEXT, _ARN_SIZE)
        if role is not None:
            self.role = self._role_for_stack(role)
        else:
            principal = iam.ServicePrincipal("lambda.amazonaws.com")
            self.role = iam.Role(scope, "Role", assumed_by=principal, description=description)
        self._any_key = self._stack.format_arn(service="kms", resource="key", resource_name="*")
        self.log_group_name = ""
        self.topics: list[CfnElement] = []
        self._aliases: set[str] = set()
        self._statements: list[_Json] = []

    def _role_for_stack(self, role: iam.IRole) -> iam.IRole:
        own = stack_properties(self._stack).environment.account
        account = resolved_or_none(role.env.account)
        if own is not None and account is not None and own != account:
            # No exception: it would stop the first pass of a context lookup.
            Annotations.of(self._scope).add_error(
                f"the role {role.node.path!r} belongs to account {account!r}, but the function to "
                f"{own!r}: pass a role in the account of the function"
            )
        if Stack.of(role) is self._stack:
            return role
        # The policy of the role is in the other stack. If it referred to a key of this stack, the
        # stacks would depend on each other.
        mutable, arn = self._is_mutable(role), role.role_arn
        return iam.Role.from_role_arn(self._scope, "ImportedRole", arn, mutable=mutable)

    def _is_mutable(self, role: iam.IRole) -> bool:
        """Return whether a policy can be attached to a role, which has no property for that."""
        trial = iam.Policy(self._scope, "Trial")
        role.attach_inline_policy(trial)
        attached = is_attached(trial)
        self._scope.node.try_remove_child("Trial")
        return attached

    def add(
        self,
        *actions: str,
        on: list[str],
        condition: object = None,
        operator: str = "ForAnyValue:StringEquals",
    ) -> IDependable:
        """Add a statement, and return the dependency on the policy that contains it."""
        statement = _allow(actions, *on)
        if condition is not None:
            statement["Condition"] = {operator: condition}
        self._statements.append(statement)
        added = self.role.add_to_principal_policy(iam.PolicyStatement.from_json(statement))
        dependable = added.policy_dependable
        if dependable is None:
            raise TypeError(
                f"the role {self.role.node.path!r} does not support policy statements: pass an "
                "iam.Role"
            )
        return dependable

    def add_encryption(self, stream: str, key: str | None, alias: str | None) -> IDependable:
        """Allow the function to encrypt a stream with a key that has an ARN or an alias.

        StartStreamEncryption requires permission on both the stream and the key, and Kinesis has no
        condition key for the alias of a key ("Actions, resources, and condition keys for Amazon
        Kinesis Data Streams", Service Authorization Reference).
        """
        if key is not None:
            return self.add(*_STREAM_ACTIONS, _DESCRIBE_KEY, on=[stream, key])
        if alias is not None and alias not in self._aliases:
            self._aliases.add(alias)
            # KMS authorizes by key and never by alias ARN ("Use aliases to control access to KMS
            # keys", KMS Developer Guide). The function depends on the policy with this statement.
            self.add(_DESCRIBE_KEY, on=[self._any_key], condition={"kms:ResourceAliases": alias})
        return self.add(*_STREAM_ACTIONS, on=[stream, self._any_key])

    def check_function(self, function: lambda_.Function, *queues: sqs.Queue) -> None:
        """Validate function, role, and target queues of rules in the final template."""
        resource, *others = (
            cast(CfnElement, each.node.default_child) for each in (function, *queues)
        )
        seconds = int(function.timeout.to_seconds()) if function.timeout else None
        check_final_template(self._scope, partial(self._check, resource, others, seconds))

    def _check(
        self, function: CfnElement, queues: list[CfnElement], timeout: int | None, final: Resources
    ) -> Iterator[str]:
        resources, resolve = final(self._stack), self._stack.resolve
        properties = final_resource(function, final).get("Properties", {})
        runtime = properties.get("Runtime")
        if isinstance(runtime, str) and SUPPORTED_RUNTIME.fullmatch(runtime) is None:
            yield f"runtime {runtime!r} cannot run the handler: use Python 3.11 or newer"
        if properties.get("Timeout") != timeout:
            Annotations.of(self._scope).add_warning_v2(
                "cdk-kinesis-stream-encryption:functionTimeout",
                f"the timeout of the function is {properties.get('Timeout')!r} instead of "
                f"{timeout} seconds, so it may end before its work: exclude the function from the "
                "Aspect or override",
            )
        if properties.get("ReservedConcurrentExecutions") == 0:
            yield "the function has a reserved concurrency of 0 and cannot run: remove the setting"
        if "CodeSigningConfigArn" in properties:
            Annotations.of(self._scope).add_warning_v2(
                "cdk-kinesis-stream-encryption:codeSigning",
                "the function has a code signing configuration, but CDK does not sign its code, so "
                "the deployment fails if the configuration enforces signatures: exclude the "
                "function from the Aspect",
            )
        log_group = resolve(self.log_group_name)
        needed = resolve(self._statements)
        needed += _statements_needed_by(properties, resources, log_group)
        needed += _statements_for_topics(self.topics, final)
        for queue in queues:
            if key := final_resource(queue, final).get("Properties", {}).get("KmsMasterKeyId"):
                needed.append(_allow(_SEND_ACTIONS, key))
                yield from _check_key(_EVENTBRIDGE, queue, queue.node.path, key, resources)
        is_replaced = properties.get("Role") != resolve(self.role.role_arn)
        name = None if is_replaced else resolve(self.role.role_name)
        inline, managed, arns = policies_of_role(name, resources)
        if missing := _missing_statements(needed, [*inline, *managed], arns):
            Annotations.of(self._scope).add_warning_v2(
                "cdk-kinesis-stream-encryption:missingPermissions",
                f"the role of the function {function.node.path!r} lacks permissions. Add these "
                "statements to it before you deploy the stack:\n" + "\n".join(missing),
            )
        checks = (
            (len(managed) + len(arns), _MAX_MANAGED_POLICIES, "managed policies"),
            (
                max(map(policy_size, managed), default=0),
                _MAX_MANAGED_POLICY_SIZE,
                "characters in a managed policy",
            ),
            (
                sum(map(policy_size, inline)),
                MAX_INLINE_POLICY_SIZE,
                "characters of inline policies",
            ),
        )
        for number, limit, what in checks:
            if number > limit:
                yield (
                    f"the role {self.role.node.path!r} would have {number} {what}, and IAM allows "
                    f"{limit}: {self._remedy}. In a stack without env, you can instead set the "
                    f"context {_ARN_SIZE_CONTEXT!r} to the length of the longest ARN"
                )


def is_attached(policy: iam.Policy) -> bool:
    """Return whether a principal accepted a policy; one that CDK must not change does not."""
    resource = cast(iam.CfnPolicy, policy.node.default_child)
    return any(Stack.of(policy).resolve([resource.roles, resource.users, resource.groups]))


def policy_size(document: _Json, reference: str = _LONGEST_ARN) -> int:
    """Return the size of a policy as IAM counts it, without white space.

    References other than pseudo parameters count as ``reference``.
    """

    def longest(function: dict[str, object]) -> str:
        name = str(function.get("Ref")).removeprefix("AWS::")
        return _LONGEST_PSEUDO_PARAMETERS.get(name, reference)

    return len(json.dumps(render_functions(document, longest), separators=(",", ":")))


def _allow(actions: Iterable[str], *resources: Any) -> _Json:
    return {"Effect": "Allow", "Action": [*actions], "Resource": [*resources]}


def _statements_needed_by(function: _Json, resources: _Json, log_group: Any) -> Iterator[_Json]:
    """Yield the statements that the role needs for properties that Aspects can set."""
    used = function.get("LoggingConfig", {}).get("LogGroup")
    if used != log_group:
        yield _allow(LOG_ACTIONS, _log_group_arn(used))
    if function.get("VpcConfig", {}).get("SubnetIds"):
        yield _allow(NETWORK_ACTIONS, "*")
    if function.get("TracingConfig", {}).get("Mode") == "Active":
        yield _allow(TRACING_ACTIONS, "*")
    if target := function.get("DeadLetterConfig", {}).get("TargetArn"):
        is_topic = ":sns:" in referenced(target, resources).get("Type", str(target)).lower()
        yield _allow(["sns:Publish" if is_topic else "sqs:SendMessage"], target)
    if key := function.get("KmsKeyArn"):
        yield _allow(["kms:Decrypt"], key)


def _statements_for_topics(topics: list[CfnElement], final: Resources) -> Iterator[_Json]:
    """Yield the statements that the role needs to publish to encrypted topics."""
    for topic in topics:
        key = final_resource(topic, final).get("Properties", {}).get("KmsMasterKeyId")
        # The permission on an alias is one on all keys, under a condition.
        if key and "alias/" not in readable(key):
            yield _allow(_SEND_ACTIONS, key)


def _log_group_arn(name: Any) -> _Json:
    match name:
        case {"Ref": str(logical_id)}:
            return {"Fn::GetAtt": [logical_id, "Arn"]}
    # Without a log group, Lambda uses one that has the name of the function.
    place = "${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
    return {"Fn::Sub": f"arn:{place}:log-group:{readable(name) or '/aws/lambda/*'}:*"}


def policies_of_role(
    role_name: Any, resources: _Json
) -> tuple[list[_Json], list[_Json], list[Any]]:
    """Return the inline and managed policy documents of a role, and the ARNs of other policies."""
    role = referenced(role_name, resources).get("Properties", {})
    policies = _as_list(role.get("Policies", []))
    inline = [each["PolicyDocument"] for each in policies if "PolicyDocument" in each]
    arns = _as_list(role.get("ManagedPolicyArns", []))
    owned = [referenced(arn, resources).get("Properties", {}).get("PolicyDocument") for arn in arns]
    managed = [each for each in owned if each]
    for each in resources.values():
        properties = each.get("Properties", {})
        if "PolicyDocument" in properties and role_name in _as_list(properties.get("Roles", [])):
            kind = managed if each["Type"] == "AWS::IAM::ManagedPolicy" else inline
            kind.append(properties["PolicyDocument"])
    return inline, managed, [arn for arn, document in zip(arns, owned, strict=True) if not document]


def _missing_statements(needed: list[_Json], documents: list[_Json], arns: list[Any]) -> list[str]:
    """Return the needed statements, as JSON, that the role's policies do not allow."""
    allowed = {
        pair for document in readable(documents) for pair in _action_resource_pairs(document)
    }
    for arn in readable(arns):
        allowed |= {(each, "*") for each in _AWS_MANAGED_POLICIES.get(arn.rsplit("/", 1)[-1], ())}
    missing = {
        json.dumps(each): None
        for each in readable(needed)
        if not all(
            _is_allowed(pair, allowed) for pair in _action_resource_pairs({"Statement": each})
        )
    }
    return list(missing)


def check_alarm_topics(alarms: list[CfnElement], final: Resources) -> Iterator[str]:
    """Yield an error for each topic of an alarm with a key that CloudWatch cannot use."""
    topics = {
        readable(action): (alarm, referenced(action, final(alarm.stack)).get("Properties", {}))
        for alarm in alarms
        for action in final_resource(alarm, final).get("Properties", {}).get("AlarmActions", [])
    }
    for name, (alarm, topic) in topics.items():
        key, resources = topic.get("KmsMasterKeyId"), final(alarm.stack)
        # Nothing is known about the policy of an imported key.
        if key and ("alias/aws/" in readable(key) or referenced(key, resources)):
            yield from _check_key(_CLOUDWATCH, alarm, name, key, resources)


def _check_key(
    sender: _Sender, element: CfnElement, target: str, key: Any, resources: _Json
) -> Iterator[str]:
    """Yield an error if a service cannot use the key; warn if the key policy is unknown."""
    name, policy = readable(key), referenced(key, resources).get("Properties", {}).get("KeyPolicy")
    message = (
        f"{sender.name} cannot send to the {sender.kind} {target!r} unless the policy of the KMS "
        f"key {name!r} allows {sender.principal} {' and '.join(_SEND_ACTIONS)}: "
    )
    if "alias/aws/" in name:
        yield (
            f"{message}the policy of an AWS managed key does not, so use a customer managed key or "
            f"{sender.alternative}"
        )
    elif policy is None:
        Annotations.of(element).add_warning_v2(
            f"cdk-kinesis-stream-encryption:{sender.kind}Key",
            f"{message}check the key policy, because the key is not in the template of the "
            f"{sender.kind}",
        )
    elif not all(
        _is_allowed((each, "*"), _allowed_for_service(policy, sender)) for each in _SEND_ACTIONS
    ):
        yield f"{message}add a statement to the key policy"


def _allowed_for_service(key_policy: _Json, sender: _Sender) -> set[tuple[str, str]]:
    statements = [
        each
        for each in statements_of(key_policy)
        if any(name in json.dumps(each) for name in (f'"{sender.principal}"', '"Principal": "*"'))
    ]
    # In a key policy, the resource is always the key.
    return {(action, "*") for action, _ in _action_resource_pairs({"Statement": statements})}


def referenced(value: Any, resources: _Json) -> _Json:
    """Return the resource that a value refers to; an empty dict if it is not in the template."""
    match value:
        case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), *_]}:
            return cast(_Json, resources.get(logical_id, {}))
    return {}


def statements_of(document: Any) -> Iterator[_Json]:
    """Yield the statements of a policy document, as a template may contain it."""
    for policy in alternatives(document):
        if isinstance(policy, dict):
            for statement in alternatives(policy.get("Statement", [])):
                if isinstance(statement, dict) and "Effect" in statement:
                    yield statement


def _action_resource_pairs(document: _Json) -> Iterator[tuple[str, str]]:
    """Yield each action that a policy document allows with each of its resources."""
    for each in statements_of(document):
        if each["Effect"] == "Allow":
            yield from product(_as_list(each.get("Action", [])), _as_list(each.get("Resource", [])))


def _is_allowed(pair: tuple[str, str], allowed: set[tuple[str, str]]) -> bool:
    return pair in allowed or any(all(map(fnmatchcase, pair, each)) for each in allowed)


def alternatives(value: Any) -> list[Any]:
    """Return the elements of a template value, those of both branches of a condition included."""
    match value:
        case {"Fn::If": [_, *branches]}:
            return alternatives(branches)
        case {"Ref": "AWS::NoValue"}:
            return []
        case [*items]:
            return [found for each in items for found in alternatives(each)]
    return [value]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
