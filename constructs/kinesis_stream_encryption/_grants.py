"""Rights of producers and consumers to a stream's key.

Each is a policy of its own whose logical id follows from the key. When another key is given,
CloudFormation makes the new policy before it switches the stream, and removes the former one after
everything else has succeeded; in a rollback likewise. A statement in a policy that stays would be
changed before the switch, and those who use the stream denied until it is over.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, cast

from aws_cdk import Annotations, Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct

from kinesis_stream_encryption._keys import AWS_MANAGED_ALIAS, StreamKey
from kinesis_stream_encryption._tokens import (
    describe,
    is_unresolved,
    known_account,
    stack_environment,
)

__all__ = ["CONSUME", "PRODUCE", "KeyGrant"]

# "Permissions to use user-generated KMS keys", Kinesis Data Streams Developer Guide.
CONSUME = "kms:Decrypt"
PRODUCE = "kms:GenerateDataKey"

_CONTEXT = "kms:EncryptionContext:aws:kinesis:arn"
_ACCOUNT_OF_AN_ARN = re.compile(r"arn:[^:]+:(?:iam|sts)::(\d{12}):.*")


@dataclass(frozen=True)
class KeyGrant:
    """A right to use keys for the records of one stream.

    Attributes
    ----------
    scope
        Construct that the policies and warnings belong to.
    resource
        The custom resource, which waits for the policies.
    stream_arn
        Kinesis uses it as encryption context with every call to KMS.
    grantee
        Who is to use the keys.
    """

    scope: Construct
    resource: IConstruct
    stream_arn: str
    grantee: iam.IGrantable

    @property
    def _principal(self) -> iam.IPrincipal:
        return self.grantee.grant_principal

    def give(self, key: StreamKey, action: str) -> iam.Grant:
        """Allow an action, ``CONSUME`` or ``PRODUCE``, with the key of the stream.

        Parameters
        ----------
        key
            Key of the stream.
        action
            What for.

        Returns
        -------
        aws_cdk.aws_iam.Grant
            Nothing for the AWS managed key, which needs no rights, and to which nobody of another
            account can have any.
        """
        if key.is_aws_managed:
            self._warn_of_other_account()
            return iam.Grant.drop(self.grantee, f"{AWS_MANAGED_ALIAS} needs no rights")
        if key.owned is None:
            self._warn_of_key_policy(key, action)
        grant = self._by_policy_of_principal(key, action)
        if key.owned is not None and self._takes_key_policy(grant, key.owned):
            self._by_policy_of_key(key.owned, action)
        return grant

    def keep(self, key: StreamKey, action: str) -> None:
        """Go on allowing an action with a previous key.

        Consumers need it for the records that are encrypted with it. Producers need it until the
        stream is switched, which is after the key's own policy has changed; a right in a policy of
        the producer's lasts until then by itself.

        Parameters
        ----------
        key
            Previous key.
        action
            What for.
        """
        if key.is_aws_managed:
            return
        if action == CONSUME:
            self.give(key, action)
        elif key.owned is not None and self._takes_key_policy(None, key.owned):
            self._by_policy_of_key(key.owned, action)

    def _by_policy_of_principal(self, key: StreamKey, action: str) -> iam.Grant:
        stack = Stack.of(self.scope)
        conditions: dict[str, dict[str, Any]] = {"StringEquals": {_CONTEXT: self.stream_arn}}
        if key.alias is not None:
            conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": key.alias}
        any_key = stack.format_arn(service="kms", resource="key", resource_name="*")
        statement = {
            "actions": [action],
            "resource_arns": [key.arn or any_key],
            "conditions": conditions,
        }
        if not self._takes_policies:
            grant = iam.Grant.add_to_principal(grantee=self.grantee, **statement)
            if grant.success:
                grant.apply_before(self.resource)
            return grant
        principal = cast(iam.IRole, self._principal)
        elsewhere = Stack.of(principal) is not stack
        whose = f"{principal.node.path} {key.identity(stack)}"
        id_ = f"{action.split(':')[1]}{hashlib.sha256(whose.encode()).hexdigest()[:8]}"
        scope = Stack.of(principal) if elsewhere else self.scope
        id_ = f"{Names.unique_id(self.scope)}{id_}" if elsewhere else id_
        if (made := scope.node.try_find_child(id_)) is not None:
            policy = cast(iam.Policy, made)
            return iam.Grant.add_to_principal(grantee=policy, **statement)
        policy = iam.Policy(scope, id_)
        grant = iam.Grant.add_to_principal(grantee=policy, **statement)
        # Only now, as a pre-created role takes note of the statements that are there already.
        principal.attach_inline_policy(policy)
        if elsewhere:
            self._warn_of_other_stack(principal)
        else:
            self.resource.node.add_dependency(policy)
        return grant

    @property
    def _takes_policies(self) -> bool:
        return hasattr(self._principal, "attach_inline_policy")

    def _takes_key_policy(self, grant: iam.Grant | None, key: kms.Key) -> bool:
        """Whether the principal's own policies cannot be enough."""
        if grant is not None and not grant.success:
            return True
        if not self._takes_policies and grant is None:
            return not isinstance(self._principal, iam.Group | iam.User)
        return self._is_elsewhere(key.env.account)

    def _by_policy_of_key(self, key: kms.Key, action: str) -> None:
        # Grant.add_to_principal_or_resource would leave the conditions out.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                actions=[action],
                principals=[self._principal],
                resources=["*"],
                conditions={"StringEquals": {_CONTEXT: self.stream_arn}},
            )
        )

    def _is_elsewhere(self, ours: str) -> bool:
        theirs = self._account
        if theirs is None:
            return False
        # Two unknown accounts are both that of the deployment; a known one may be another.
        if is_unresolved(ours) and is_unresolved(theirs):
            return False
        return ours != theirs

    @property
    def _account(self) -> str | None:
        account = self._principal.principal_account
        if account is None and isinstance(self._principal, iam.ArnPrincipal):
            found = _ACCOUNT_OF_AN_ARN.fullmatch(self._principal.arn)
            return found[1] if found else None
        return account

    @property
    def _name(self) -> str:
        return getattr(getattr(self.grantee, "node", None), "path", None) or str(self.grantee)

    def _warn_of_key_policy(self, key: StreamKey, action: str) -> None:
        Annotations.of(self.scope).add_warning_v2(
            "cdk-kinesis-stream-encryption:keyPolicy",
            f"the policy of the imported key {describe(key.key_id)} is not changed: unless it lets "
            f"the IAM policies of the account decide, add {action} for {self._name!r} on "
            f"condition that {_CONTEXT} is {describe(self.stream_arn)}",
        )

    def _warn_of_other_account(self) -> None:
        ours = stack_environment(Stack.of(self.scope)).account
        theirs = known_account(self._account)
        if ours is None or theirs is None or ours == theirs:
            return
        Annotations.of(self.scope).add_warning_v2(
            "cdk-kinesis-stream-encryption:managedKeyElsewhere",
            f"{self._name!r} is of account {theirs!r} and cannot use {AWS_MANAGED_ALIAS!r}, the "
            f"AWS managed key of account {ours!r}, to which nobody can grant a right: give the "
            "stream a key of your own, encryption_key=kms.Key(…)",
        )

    def _warn_of_other_stack(self, principal: IConstruct) -> None:
        # The other stack may well refer to this one: waiting for it would be circular.
        Annotations.of(self.scope).add_warning_v2(
            "cdk-kinesis-stream-encryption:grantElsewhere",
            f"{principal.node.path!r} is in another stack, so the stream may be encrypted before "
            f"it has its rights to the key: deploy {Stack.of(principal).stack_name!r} first",
        )
