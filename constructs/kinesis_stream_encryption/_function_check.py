"""Validation of a function and its role in the final template.

CDK splits a policy that exceeds IAM's size limit into managed policies. It only warns if their
number exceeds IAM's limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aws_cdk import Annotations, CfnElement

from kinesis_stream_encryption._final_template import Resources, final_resource
from kinesis_stream_encryption._permissions import ARN_SIZE_CONTEXT, FunctionPermissions
from kinesis_stream_encryption._policies import (
    LOG_ACTIONS,
    MAX_INLINE_POLICY_SIZE,
    MAX_MANAGED_POLICIES,
    MAX_MANAGED_POLICY_SIZE,
    NETWORK_ACTIONS,
    TRACING_ACTIONS,
    Json,
    allow,
    missing_statements,
    policies_of_role,
    policy_size,
    referenced,
)
from kinesis_stream_encryption._service_keys import SEND_ACTIONS
from kinesis_stream_encryption._tokens import readable

__all__ = ["SUPPORTED_RUNTIME", "FunctionCheck"]

SUPPORTED_RUNTIME = re.compile(r"python3\.1[1-9]")


class FunctionCheck(NamedTuple):
    """What a function, its role, and the queues and topics that it uses must be like."""

    permissions: FunctionPermissions
    function: CfnElement
    timeout: int
    log_group_name: str
    remedy: str
    source: CfnElement | None
    """Queue that Lambda receives from."""
    queues: Sequence[CfnElement]
    """Queues that the function sends to or receives from."""
    topics: Sequence[CfnElement]
    """Topics that the function publishes to."""

    def run(self, final: Resources) -> Iterator[str]:
        """Yield the errors; add warnings for what may be intended."""
        properties = final_resource(self.function, final).get("Properties", {})
        yield from self._check_properties(properties)
        yield from self._check_source(properties.get("Timeout"), final)
        resources, resolve = final(self.function.stack), self.function.stack.resolve
        needed = resolve(self.permissions.statements)
        needed += _statements_needed_by(properties, resources, resolve(self.log_group_name))
        needed += _statements_for_keys([*self.queues, *self.topics], final)
        role = self.permissions.role
        is_replaced = properties.get("Role") != resolve(role.role_arn)
        name = None if is_replaced else resolve(role.role_name)
        inline, managed, arns = policies_of_role(name, resources)
        if missing := missing_statements(needed, [*inline, *managed], arns):
            self._warn(
                "missingPermissions",
                f"the role of the function {self.function.node.path!r} lacks permissions. Add these"
                " statements to it before you deploy the stack:\n" + "\n".join(missing),
            )
        sizes, inline_size = [*map(policy_size, managed)], sum(map(policy_size, inline))
        for number, limit, what in (
            (len(managed) + len(arns), MAX_MANAGED_POLICIES, "managed policies"),
            (max(sizes, default=0), MAX_MANAGED_POLICY_SIZE, "characters in a managed policy"),
            (inline_size, MAX_INLINE_POLICY_SIZE, "characters of inline policies"),
        ):
            if number > limit:
                yield (
                    f"the role {role.node.path!r} would have {number} {what}, and IAM allows "
                    f"{limit}: {self.remedy}. If the ARNs are longer than CDK assumes, you can "
                    f"instead set the context {ARN_SIZE_CONTEXT!r} to the length of the longest one"
                )

    def _check_properties(self, properties: Json) -> Iterator[str]:
        """Check what Aspects and overrides can set."""
        runtime, timeout = properties.get("Runtime"), properties.get("Timeout")
        if isinstance(runtime, str) and SUPPORTED_RUNTIME.fullmatch(runtime) is None:
            yield f"runtime {runtime!r} cannot run the handler: use Python 3.11 or newer"
        if timeout != self.timeout:
            self._warn(
                "functionTimeout",
                f"the timeout of the function is {timeout!r} instead of {self.timeout} seconds, so "
                "it may end before its work: exclude the function from the Aspect or override",
            )
        if properties.get("ReservedConcurrentExecutions") == 0:
            yield "the function has a reserved concurrency of 0 and cannot run: remove the setting"
        if "CodeSigningConfigArn" in properties:
            self._warn(
                "codeSigning",
                "the function has a code signing configuration, but CDK does not sign its code, so "
                "the deployment fails if the configuration enforces signatures: exclude the "
                "function from the Aspect",
            )

    def _check_source(self, timeout: Any, final: Resources) -> Iterator[str]:
        """Check that Lambda accepts the queue ("Configuring a queue", Lambda Developer Guide)."""
        source = final_resource(self.source, final).get("Properties", {}) if self.source else {}
        visibility = source.get("VisibilityTimeout", timeout)
        if isinstance(visibility, int) and isinstance(timeout, int) and visibility < timeout:
            yield (
                f"the visibility timeout of the function's queue is {visibility} seconds, and "
                f"Lambda requires at least the timeout of the function, {timeout} seconds: exclude "
                "both from the Aspect or override"
            )

    def _warn(self, id_: str, message: str) -> None:
        Annotations.of(self.permissions.scope).add_warning_v2(
            f"cdk-kinesis-stream-encryption:{id_}", message
        )


def _statements_needed_by(function: Json, resources: Json, log_group: Any) -> Iterator[Json]:
    """Yield the statements that the role needs for properties that Aspects can set."""
    used = function.get("LoggingConfig", {}).get("LogGroup")
    if used != log_group:
        yield allow(LOG_ACTIONS, _log_group_arn(used))
    if function.get("VpcConfig", {}).get("SubnetIds"):
        yield allow(NETWORK_ACTIONS, "*")
    if function.get("TracingConfig", {}).get("Mode") == "Active":
        yield allow(TRACING_ACTIONS, "*")
    if target := function.get("DeadLetterConfig", {}).get("TargetArn"):
        is_topic = ":sns:" in referenced(target, resources).get("Type", str(target)).lower()
        yield allow(["sns:Publish" if is_topic else "sqs:SendMessage"], target)
    if key := function.get("KmsKeyArn"):
        yield allow(["kms:Decrypt"], key)


def _statements_for_keys(targets: Sequence[CfnElement], final: Resources) -> Iterator[Json]:
    """Yield the statements that the role needs for encrypted queues and topics."""
    for target in targets:
        key = final_resource(target, final).get("Properties", {}).get("KmsMasterKeyId")
        # The permission on an alias is one on all keys, under a condition.
        if key and "alias/" not in readable(key):
            yield allow(SEND_ACTIONS, key)


def _log_group_arn(name: Any) -> Json:
    match name:
        case {"Ref": str(logical_id)}:
            return {"Fn::GetAtt": [logical_id, "Arn"]}
    # Without a log group, Lambda uses one that has the name of the function.
    place = "${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
    return {"Fn::Sub": f"arn:{place}:log-group:{readable(name) or '/aws/lambda/*'}:*"}
