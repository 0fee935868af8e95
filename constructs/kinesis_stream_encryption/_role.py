"""The execution role of the provider's function, and what IAM and CDK do to its policies.

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

from kinesis_stream_encryption._tokens import known_account, read_out, stack_environment

__all__ = ["FunctionRole", "set_context"]

# "IAM and AWS STS quotas", IAM User Guide.
_INLINE_POLICIES = 10_240
_MANAGED_POLICY = 6_144
_MANAGED_POLICIES_OF_A_ROLE = 10

# Statements of many streams share what they have in common.
_MINIMIZE = "@aws-cdk/aws-iam:minimizePolicies"
# Characters that CDK takes an ARN for whose region or account it does not know. Its default, 150,
# would leave room for some 400 streams. In the longest partition and region this is a stream's
# name of 63 characters; the sizes that come of longer ones are looked at in the end.
_ARN_ESTIMATE = "@aws-cdk/aws-iam.arnSizeEstimate"
_ARN = 120

# The longest values of what only deployment knows: those of AWS GovCloud (US), and a stream's ARN.
_LONGEST = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-northeast-1",
    "AWS::AccountId": "123456789012",
}
_LONGEST_ARN = "x" * 185

_SECOND_PROVIDER = (
    "give some streams a further provider, provider=KinesisStreamEncryptionProvider(scope, id)"
)


def set_context(scope: Construct) -> None:
    """Have CDK keep the policies of a role within a scope small; to be called before it is made."""
    scope.node.set_context(_MINIMIZE, True)
    if scope.node.try_get_context(_ARN_ESTIMATE) is None:
        scope.node.set_context(_ARN_ESTIMATE, _ARN)


class FunctionRole:
    """The role, made or given, and the statements that it needs.

    Parameters
    ----------
    scope
        The provider.
    given
        Role to use; None makes one.
    description
        Description of the role that is made.

    Raises
    ------
    ValueError
        If the role given belongs to another account.
    """

    def __init__(self, scope: Construct, given: iam.IRole | None, description: str) -> None:
        self._scope = scope
        self._stack = Stack.of(scope)
        if given is None:
            self.role: iam.IRole = iam.Role(
                scope,
                "Role",
                assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
                description=description,
            )
        else:
            self.role = self._adopt(given)
        self._statements: list[iam.PolicyStatement] = []
        scope.node.add_validation(_Policies(self))

    def _adopt(self, given: iam.IRole) -> iam.IRole:
        ours, theirs = stack_environment(self._stack).account, known_account(given.env.account)
        if ours is not None and theirs is not None and ours != theirs:
            raise ValueError(
                f"the role {given.node.path!r} belongs to account {theirs!r}, the provider to "
                f"{ours!r}: Lambda takes roles of the function's own account only"
            )
        if Stack.of(given) is self._stack:
            return given
        # Its own policy is in the other stack. Were a key of this one to be named there, each
        # stack would wait for the other.
        return iam.Role.from_role_arn(
            self._scope,
            "ImportedRole",
            given.role_arn,
            mutable=self._takes_policies(given),
        )

    def _takes_policies(self, role: iam.IRole) -> bool:
        """Find out by trying: a role that CDK is not to change looks like any other."""
        trial = iam.Policy(self._scope, "Trial")
        role.attach_inline_policy(trial)
        resource = cast(iam.CfnPolicy, trial.node.default_child)
        attached = bool(self._stack.resolve(resource.roles))
        self._scope.node.try_remove_child("Trial")
        return attached

    def add(self, statement: iam.PolicyStatement) -> IDependable:
        """Add a statement; what is returned exists once the role has its right."""
        self._statements.append(statement)
        dependable = self.role.add_to_principal_policy(statement).policy_dependable
        if dependable is None:
            raise TypeError(f"the role {self.role.node.path!r} takes no policy statements")
        return dependable

    def problems(self) -> list[str]:
        """Tell which limits of IAM the role's policies exceed."""
        policies = [
            each
            for each in self.role.node.find_all()
            if isinstance(each, iam.Policy | iam.ManagedPolicy)
        ]
        if not policies:
            # Adding a statement succeeds for roles that CDK is not to change, too.
            self._warn_of_missing_rights()
            return []
        path = self.role.node.path
        managed = [each for each in policies if isinstance(each, iam.ManagedPolicy)]
        attached = len(managed) + self._named_managed_policies()
        found = []
        if attached > _MANAGED_POLICIES_OF_A_ROLE:
            found.append(
                f"the role {path!r} would need {attached} managed policies, and IAM lets a role "
                f"have {_MANAGED_POLICIES_OF_A_ROLE}: {_SECOND_PROVIDER}"
            )
        inline = sum(self._size(each) for each in policies if isinstance(each, iam.Policy))
        if inline > _INLINE_POLICIES:
            found.append(
                f"the policies of the role {path!r} would have {inline} characters, and IAM takes "
                f"{_INLINE_POLICIES}: {_SECOND_PROVIDER}"
            )
        largest = max(map(self._size, managed), default=0)
        if largest > _MANAGED_POLICY:
            found.append(
                f"a managed policy of the role {path!r} may get {largest} characters, and IAM "
                f"takes {_MANAGED_POLICY}: give the stack an env, so that the lengths of ARNs are "
                f"known, or the context {_ARN_ESTIMATE!r}, how long they are"
            )
        return found

    def _named_managed_policies(self) -> int:
        resource = self.role.node.default_child
        if not isinstance(resource, iam.CfnRole):
            return 0
        return len(self._stack.resolve(resource.managed_policy_arns) or [])

    def _size(self, policy: iam.Policy | iam.ManagedPolicy) -> int:
        """Size as IAM counts it, without white space, whatever deployment fills in."""

        def longest(name: str, _value: object) -> str:
            return _LONGEST.get(name, _LONGEST_ARN)

        document = read_out(self._stack.resolve(policy.document), longest)
        return len(json.dumps(document, separators=(",", ":")))

    def _warn_of_missing_rights(self) -> None:
        def name(name: str, value: object) -> str:
            match value:
                case {"Fn::GetAtt": [str(resource), str(attribute)]}:
                    return f"${{{resource}.{attribute}}}"
                case {"Ref": str(resource)}:
                    return f"${{{resource}}}"
            return f"${{{name}}}"

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


@jsii.implements(IValidation)
class _Policies:
    def __init__(self, role: FunctionRole) -> None:
        self._role = role

    def validate(self) -> list[str]:
        return self._role.problems()
