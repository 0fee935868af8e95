"""The function's role and its rights, and what IAM and CDK do to its policies.

CDK itself splits the policy of a role that outgrows IAM, and only warns where more policies come
of it than a role can have.
"""

from __future__ import annotations

import json
from typing import cast

import jsii
from aws_cdk import Annotations, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IDependable, IValidation

from kinesis_stream_encryption._tokens import known, read_out, stack_facts

__all__ = ["FunctionRights"]

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


@jsii.implements(IValidation)
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
        self._statements: list[iam.PolicyStatement] = []
        scope.node.add_validation(self)

    def _adopt(self, given: iam.IRole) -> iam.IRole:
        ours, theirs = stack_facts(self._stack).environment.account, known(given.env.account)
        if ours is not None and theirs is not None and ours != theirs:
            raise ValueError(
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

    def add(self, *actions: str, on: list[str], condition: object = None) -> IDependable:
        """Add a statement; what is returned exists once the role has its right."""
        statement = iam.PolicyStatement(actions=[*actions], resources=on)
        if condition is not None:
            statement.add_conditions({"ForAnyValue:StringEquals": condition})
        self._statements.append(statement)
        dependable = self.role.add_to_principal_policy(statement).policy_dependable
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

    def validate(self) -> list[str]:
        """Tell which limits of IAM the policies exceed; CDK asks this after all Aspects."""
        found = self.role.node.find_all()
        managed = [each for each in found if isinstance(each, iam.ManagedPolicy)]
        inline = [each for each in found if isinstance(each, iam.Policy)]
        if not inline:
            # Adding a statement succeeds for roles that CDK is not to change, too.
            self._warn_of_missing_rights()
            return []
        resource = self.role.node.default_child
        named = resource.managed_policy_arns if isinstance(resource, iam.CfnRole) else None
        attached = len(managed) + len(self._stack.resolve(named) or [])
        checks = (
            (attached, _MANAGED_POLICIES_OF_A_ROLE, "managed policies"),
            (max(map(self._size, managed), default=0), _MANAGED_POLICY, "characters in one"),
            (sum(map(self._size, inline)), _INLINE_POLICIES, "characters of inline policies"),
        )
        return [
            f"the role {self.role.node.path!r} would have {number} {what}, and IAM takes {limit}: "
            f"{self._remedy}; in a stack without env, setting the "
            f"context {_ARN_ESTIMATE!r} to the length of the longest ARN can help, too"
            for number, limit, what in checks
            if number > limit
        ]

    def _size(self, policy: iam.Policy | iam.ManagedPolicy) -> int:
        """Size as IAM counts it, without white space."""

        def longest(function: dict[str, object]) -> str:
            return _LONGEST.get(str(function.get("Ref")).removeprefix("AWS::"), _LONGEST_ARN)

        document = read_out(self._stack.resolve(policy.document), longest)
        return len(json.dumps(document, separators=(",", ":")))

    def _warn_of_missing_rights(self) -> None:
        def name(function: dict[str, object]) -> str:
            (value,) = function.values()
            return f"${{{'.'.join(map(str, value)) if isinstance(value, list) else value}}}"

        statements = dict.fromkeys(
            json.dumps(read_out(self._stack.resolve(each.to_statement_json()), name))
            for each in self._statements
        )
        Annotations.of(self._scope).add_warning_v2(
            "cdk-kinesis-stream-encryption:immutableRole",
            f"the role {self.role.node.path!r} cannot be changed from here, so it gets no policy: "
            "see that it has all of these rights before the stack is deployed:\n"
            + "\n".join(statements),
        )
