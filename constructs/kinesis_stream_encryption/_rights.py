"""The function's role and its rights, and what IAM and CDK do to its policies.

CDK itself splits the policy of a role that outgrows IAM, and only warns where more policies come
of it than a role can have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from itertools import product
from typing import Any, cast

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
from kinesis_stream_encryption._tokens import known, read_out, readable, stack_facts

__all__ = ["NETWORK_ACTIONS", "SUPPORTED_RUNTIME", "TRACING_ACTIONS", "FunctionRights"]

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
# A template has only the names of AWS managed policies.
_AWS_MANAGED_POLICIES = {
    "AWSLambdaVPCAccessExecutionRole": NETWORK_ACTIONS,
    "AWSXRayDaemonWriteAccess": TRACING_ACTIONS,
}
# What sends to an encrypted queue, and what receives from it, needs both for the key ("Key
# management", Amazon SQS Developer Guide).
_QUEUE_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")

# Statements of many streams share what they have in common.
_MINIMIZE = "@aws-cdk/aws-iam:minimizePolicies"
# Characters that CDK takes an ARN for whose region or account it does not know. Its default, 150,
# would leave room for some 400 streams. In the longest partition and region this is a stream's
# name of 63 characters; the sizes that come of longer ones are looked at in the end.
_ARN_ESTIMATE = "@aws-cdk/aws-iam.arnSizeEstimate"
_ARN = 120

# "IAM and AWS STS quotas", IAM User Guide.
_MANAGED_POLICIES_OF_A_ROLE = 10
_MANAGED_POLICY = 6_144
_INLINE_POLICIES = 10_240
# The longest that deployment fills in; anything else at most a stream's ARN.
_LONGEST = {"Partition": "aws-us-gov", "Region": "ap-northeast-1", "AccountId": "123456789012"}
_LONGEST_ARN = "x" * 185

_LOOK_AND_START = ["kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption"]
_DESCRIBE_KEY = "kms:DescribeKey"


class FunctionRights:
    """The role, made within ``scope`` or given, and the statements that it needs."""

    def __init__(
        self, scope: Construct, given: iam.IRole | None, description: str, *, remedy: str
    ) -> None:
        self._scope, self._stack, self._remedy = scope, Stack.of(scope), remedy
        scope.node.set_context(_MINIMIZE, True)
        if scope.node.try_get_context(_ARN_ESTIMATE) is None:
            scope.node.set_context(_ARN_ESTIMATE, _ARN)
        if given is not None:
            self.role = self._adopt(given)
        else:
            principal = iam.ServicePrincipal("lambda.amazonaws.com")
            self.role = iam.Role(scope, "Role", assumed_by=principal, description=description)
        self._any_key = self._stack.format_arn(service="kms", resource="key", resource_name="*")
        self._aliases: set[str] = set()
        self._statements: list[_Json] = []

    def _adopt(self, given: iam.IRole) -> iam.IRole:
        ours, theirs = stack_facts(self._stack).environment.account, known(given.env.account)
        if ours is not None and theirs is not None and ours != theirs:
            # No exception: it would stop the first pass of a context lookup.
            Annotations.of(self._scope).add_error(
                f"the role {given.node.path!r} belongs to account {theirs!r}, the provider to "
                f"{ours!r}: Lambda takes roles of the function's own account only"
            )
        if Stack.of(given) is self._stack:
            return given
        # Its own policy is in the other stack. Were a key of this one to be named there, each
        # stack would wait for the other.
        mutable, arn = self._takes_policies(given), given.role_arn
        return iam.Role.from_role_arn(self._scope, "ImportedRole", arn, mutable=mutable)

    def _takes_policies(self, role: iam.IRole) -> bool:
        """Find out by trying: a role that CDK is not to change looks like any other."""
        trial = iam.Policy(self._scope, "Trial")
        role.attach_inline_policy(trial)
        attached = self._stack.resolve(cast(iam.CfnPolicy, trial.node.default_child).roles)
        self._scope.node.try_remove_child("Trial")
        return bool(attached)

    def add(
        self,
        *actions: str,
        on: list[str],
        condition: object = None,
        operator: str = "ForAnyValue:StringEquals",
    ) -> IDependable:
        """Add a statement; what is returned exists once the role has its right."""
        needed = _allow(actions, *on)
        if condition is not None:
            needed["Condition"] = {operator: condition}
        self._statements.append(needed)
        added = self.role.add_to_principal_policy(iam.PolicyStatement.from_json(needed))
        dependable = added.policy_dependable
        if dependable is None:
            raise TypeError(f"the role {self.role.node.path!r} takes no policy statements")
        return dependable

    def add_encryption(self, stream: str, key: str | None, alias: str | None) -> IDependable:
        """Let the function encrypt a stream with a key that is known by ARN or by alias.

        "Actions, resources, and condition keys for Amazon Kinesis Data Streams" in the Service
        Authorization Reference has stream and key as required resources of StartStreamEncryption,
        and no condition by which the key behind an alias could be told.
        """
        if key is not None:
            return self.add(*_LOOK_AND_START, _DESCRIBE_KEY, on=[stream, key])
        if alias is not None and alias not in self._aliases:
            self._aliases.add(alias)
            # KMS authorizes by key and never by alias ARN ("Use aliases to control access to KMS
            # keys", KMS Developer Guide). The function waits for whichever policy holds this.
            self.add(_DESCRIBE_KEY, on=[self._any_key], condition={"kms:ResourceAliases": alias})
        return self.add(*_LOOK_AND_START, on=[stream, self._any_key])

    def check_function(self, function: lambda_.Function, *queues: sqs.Queue) -> None:
        """Check function, role and queues as they are deployed; EventBridge sends to the queues."""
        resource, *others = (
            cast(CfnElement, each.node.default_child) for each in (function, *queues)
        )
        check_final_template(self._scope, partial(self._check, resource, others))

    def _check(
        self, function: CfnElement, queues: list[CfnElement], final: Resources
    ) -> Iterator[str]:
        resources, resolve = final(self._stack), self._stack.resolve
        properties = final_resource(function, final).get("Properties", {})
        runtime = properties.get("Runtime")
        if isinstance(runtime, str) and SUPPORTED_RUNTIME.fullmatch(runtime) is None:
            yield f"runtime {runtime!r} cannot run the handler: it takes Python 3.11 or newer"
        needed = [*resolve(self._statements), *_needed_by(properties, resources)]
        for queue in queues:
            if key := final_resource(queue, final).get("Properties", {}).get("KmsMasterKeyId"):
                needed.append(_allow(_QUEUE_KEY_ACTIONS, key))
                yield from _check_queue_key(queue, key, resources)
        is_replaced = properties.get("Role") != resolve(self.role.role_arn)
        name = None if is_replaced else resolve(self.role.role_name)
        inline, managed, arns = _policies(name, resources)
        if missing := _missing(needed, [*inline, *managed], arns):
            Annotations.of(self._scope).add_warning_v2(
                "cdk-kinesis-stream-encryption:missingPermissions",
                f"the role of the function {function.node.path!r} lacks permissions. Add these "
                "statements to it before you deploy the stack:\n" + "\n".join(missing),
            )
        checks = (
            (len(managed) + len(arns), _MANAGED_POLICIES_OF_A_ROLE, "managed policies"),
            (max(map(_size, managed), default=0), _MANAGED_POLICY, "characters in one"),
            (sum(map(_size, inline)), _INLINE_POLICIES, "characters of inline policies"),
        )
        for number, limit, what in checks:
            if number > limit:
                yield (
                    f"the role {self.role.node.path!r} would have {number} {what}, and IAM takes "
                    f"{limit}: {self._remedy}; in a stack without env, setting the "
                    f"context {_ARN_ESTIMATE!r} to the length of the longest ARN can help, too"
                )


def _size(document: _Json) -> int:
    """Size of a policy as IAM counts it, without white space."""

    def longest(function: dict[str, object]) -> str:
        return _LONGEST.get(str(function.get("Ref")).removeprefix("AWS::"), _LONGEST_ARN)

    return len(json.dumps(read_out(document, longest), separators=(",", ":")))


def _allow(actions: Iterable[str], *resources: Any) -> _Json:
    return {"Effect": "Allow", "Action": [*actions], "Resource": [*resources]}


def _needed_by(function: _Json, resources: _Json) -> Iterator[_Json]:
    """Yield statements that the role needs for what Aspects can set on the function."""
    if function.get("VpcConfig", {}).get("SubnetIds"):
        yield _allow(NETWORK_ACTIONS, "*")
    if function.get("TracingConfig", {}).get("Mode") == "Active":
        yield _allow(TRACING_ACTIONS, "*")
    if target := function.get("DeadLetterConfig", {}).get("TargetArn"):
        is_topic = ":sns:" in _referenced(target, resources).get("Type", str(target)).lower()
        yield _allow(["sns:Publish" if is_topic else "sqs:SendMessage"], target)
    if key := function.get("KmsKeyArn"):
        yield _allow(["kms:Decrypt"], key)


def _policies(role_name: Any, resources: _Json) -> tuple[list[_Json], list[_Json], list[Any]]:
    """Return documents of a role's inline and managed policies, and ARNs of further ones."""
    role = _referenced(role_name, resources).get("Properties", {})
    inline = [each.get("PolicyDocument", {}) for each in _as_list(role.get("Policies", []))]
    arns = _as_list(role.get("ManagedPolicyArns", []))
    owned = [
        _referenced(arn, resources).get("Properties", {}).get("PolicyDocument") for arn in arns
    ]
    managed = [each for each in owned if each]
    for each in resources.values():
        if role_name in _as_list(each.get("Properties", {}).get("Roles", [])):
            kind = managed if each["Type"] == "AWS::IAM::ManagedPolicy" else inline
            kind.append(each["Properties"]["PolicyDocument"])
    return inline, managed, [arn for arn, document in zip(arns, owned, strict=True) if not document]


def _missing(needed: list[_Json], documents: list[_Json], arns: list[Any]) -> list[str]:
    """Return the needed statements, as JSON, that neither documents nor managed policies allow."""
    allowed = {pair for document in readable(documents) for pair in _pairs(document)}
    for arn in readable(arns):
        allowed |= {(each, "*") for each in _AWS_MANAGED_POLICIES.get(arn.rsplit("/", 1)[-1], ())}
    missing = {
        json.dumps(each): None
        for each in readable(needed)
        if not all(_is_allowed(pair, allowed) for pair in _pairs({"Statement": each}))
    }
    return list(missing)


def _check_queue_key(queue: CfnElement, key: Any, resources: _Json) -> Iterator[str]:
    """Yield an error if the key keeps EventBridge from sending; warn if that is unknown."""
    name, policy = readable(key), _referenced(key, resources).get("Properties", {}).get("KeyPolicy")
    message = (
        f"EventBridge cannot send to the queue {queue.node.path!r} unless the policy of the KMS "
        f"key {name!r} allows events.amazonaws.com {' and '.join(_QUEUE_KEY_ACTIONS)}: "
    )
    if "alias/aws/" in name:
        yield f"{message}use a key of your own, as that of an AWS managed key does not, or SSE-SQS"
    elif policy is None:
        Annotations.of(queue).add_warning_v2(
            "cdk-kinesis-stream-encryption:queueKey",
            f"{message}check it, as the key is not in the template of the queue",
        )
    elif not all(_is_allowed((each, "*"), _for_eventbridge(policy)) for each in _QUEUE_KEY_ACTIONS):
        yield f"{message}add a statement to the key policy"


def _for_eventbridge(key_policy: _Json) -> set[tuple[str, str]]:
    statements = [
        each
        for each in _as_list(key_policy.get("Statement", []))
        if any(who in json.dumps(each) for who in ('"events.amazonaws.com"', '"Principal": "*"'))
    ]
    # The resource of a key policy is the key, however it is written.
    return {(action, "*") for action, _ in _pairs({"Statement": statements})}


def _referenced(value: Any, resources: _Json) -> _Json:
    """Return the resource of the template that a value refers to; an empty one otherwise."""
    match value:
        case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), *_]}:
            return cast(_Json, resources.get(logical_id, {}))
    return {}


def _pairs(document: _Json) -> Iterator[tuple[str, str]]:
    """Yield each action that a policy document allows with each of its resources."""
    for each in _as_list(document.get("Statement", [])):
        if isinstance(each, dict) and each.get("Effect") == "Allow":
            yield from product(_as_list(each.get("Action", [])), _as_list(each.get("Resource", [])))


def _is_allowed(pair: tuple[str, str], allowed: set[tuple[str, str]]) -> bool:
    return pair in allowed or any(all(map(fnmatchcase, pair, each)) for each in allowed)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
