"""The role of a function, and its permissions."""

from __future__ import annotations

from aws_cdk import Annotations, PhysicalName, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IDependable

from kinesis_stream_encryption._policies import Json, allow, is_attached
from kinesis_stream_encryption._tokens import resolved_or_none, stack_properties

__all__ = ["ARN_SIZE_CONTEXT", "FunctionPermissions"]

# Feature flag of CDK that merges statements, so that the statements of many streams are smaller.
_MINIMIZE_POLICIES = "@aws-cdk/aws-iam:minimizePolicies"
# Context with the number of characters that CDK assumes for an ARN with tokens. With its default,
# 150, the policies hold some 400 streams. 120 characters hold a stream name of 63 characters in the
# longest partition and Region. The final policies are validated, in case names are longer.
ARN_SIZE_CONTEXT = "@aws-cdk/aws-iam.arnSizeEstimate"
_ARN_SIZE = 120

_STREAM_ACTIONS = ["kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption"]
_DESCRIBE_KEY = "kms:DescribeKey"


class FunctionPermissions:
    """The role of a function, created in ``scope`` or passed, with the statements that it needs."""

    def __init__(self, scope: Construct, role: iam.IRole | None, description: str) -> None:
        self.scope, self._stack = scope, Stack.of(scope)
        scope.node.set_context(_MINIMIZE_POLICIES, True)
        if scope.node.try_get_context(ARN_SIZE_CONTEXT) is None:
            scope.node.set_context(ARN_SIZE_CONTEXT, _ARN_SIZE)
        if role is not None:
            self.role = self._role_for_stack(role)
        else:
            principal = iam.ServicePrincipal("lambda.amazonaws.com")
            self.role = iam.Role(
                scope,
                "Role",
                assumed_by=principal,
                description=description,
                # Only if another account or Region refers to the role, as a topic policy may.
                role_name=PhysicalName.GENERATE_IF_NEEDED,
            )
        self._any_key = self._stack.format_arn(service="kms", resource="key", resource_name="*")
        self._aliases: set[str] = set()
        self.statements: list[Json] = []

    def _role_for_stack(self, role: iam.IRole) -> iam.IRole:
        own = stack_properties(self._stack).environment.account
        account = resolved_or_none(role.env.account)
        if own is not None and account is not None and own != account:
            # No exception: it would stop the first pass of a context lookup.
            Annotations.of(self.scope).add_error(
                f"the role {role.node.path!r} belongs to account {account!r}, but the function to "
                f"{own!r}: pass a role in the account of the function"
            )
        if Stack.of(role) is self._stack:
            return role
        # The policy of the role is in the other stack. If it referred to a key of this stack, the
        # stacks would depend on each other.
        mutable, arn = self._is_mutable(role), role.role_arn
        return iam.Role.from_role_arn(self.scope, "ImportedRole", arn, mutable=mutable)

    def _is_mutable(self, role: iam.IRole) -> bool:
        """Return whether a policy can be attached to a role, which has no property for that."""
        trial = iam.Policy(self.scope, "Trial")
        role.attach_inline_policy(trial)
        attached = is_attached(trial)
        self.scope.node.try_remove_child("Trial")
        return attached

    def add(
        self,
        *actions: str,
        on: list[str],
        condition: object = None,
        operator: str = "ForAnyValue:StringEquals",
    ) -> IDependable:
        """Add a statement, and return the dependency on the policy that contains it."""
        statement = allow(actions, *on)
        if condition is not None:
            statement["Condition"] = {operator: condition}
        self.statements.append(statement)
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
