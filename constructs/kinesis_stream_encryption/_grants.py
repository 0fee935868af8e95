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
from kinesis_stream_encryption._tokens import describe, known, stack_facts

__all__ = ["CONSUME", "PRODUCE", "KeyGrant"]

# "Permissions to use user-generated KMS keys", Kinesis Data Streams Developer Guide.
CONSUME = "kms:Decrypt"
PRODUCE = "kms:GenerateDataKey"

_CONTEXT = "kms:EncryptionContext:aws:kinesis:arn"
_ACCOUNT_OF_AN_ARN = re.compile(r"arn:[^:]+:(?:iam|sts)::(\d{12}):.*")


@dataclass(frozen=True)
class KeyGrant:
    """Rights of one grantee to keys, for the records of one stream.

    Policies and warnings belong to the scope, and the custom resource waits for the policies.
    """

    scope: Construct
    resource: IConstruct
    stream_arn: str
    grantee: iam.IGrantable

    def give(self, key: StreamKey, action: str) -> iam.Grant:
        """Allow ``CONSUME`` or ``PRODUCE`` with a key; the AWS managed one needs no rights."""
        if key.is_aws_managed:
            self._warn_of_other_account()
            return iam.Grant.drop(self.grantee, f"{AWS_MANAGED_ALIAS} needs no rights")
        grant = self._by_policy_of_principal(key, action)
        if key.owned is None:
            self._warn_of_key_policy(key, action)
        elif not grant.success or self._is_elsewhere(key.owned):
            self._by_policy_of_key(key.owned, action)
        return grant

    def keep(self, key: StreamKey, action: str) -> None:
        """Go on allowing an action with a previous key.

        Consumers need it for the records that are encrypted with it. Producers need it until the
        stream is switched, and a key's own policy changes before that; a policy of the producer's
        lasts by itself.
        """
        if key.is_aws_managed:
            return
        if action == CONSUME:
            self.give(key, action)
        elif key.owned and (not self._has_policies or self._is_elsewhere(key.owned)):
            self._by_policy_of_key(key.owned, action)

    @property
    def _principal(self) -> iam.IPrincipal:
        return self.grantee.grant_principal

    @property
    def _has_policies(self) -> bool:
        return hasattr(self._principal, "attach_inline_policy")

    def _by_policy_of_principal(self, key: StreamKey, action: str) -> iam.Grant:
        if not self._has_policies:
            grant = self._allow(self.grantee, key, action)
            if grant.success:
                grant.apply_before(self.resource)
            return grant
        principal = cast(iam.IRole, self._principal)
        stack, theirs = Stack.of(self.scope), Stack.of(principal)
        whose = f"{principal.node.path} {key.identity(stack)}"
        id_ = f"{action.split(':')[1]}{hashlib.sha256(whose.encode()).hexdigest()[:8]}"
        scope = self.scope
        if theirs is not stack:
            scope, id_ = theirs, f"{Names.unique_id(self.scope)}{id_}"
        policy = cast("iam.Policy | None", scope.node.try_find_child(id_))
        if policy is not None:
            return self._allow(policy, key, action)
        policy = iam.Policy(scope, id_)
        grant = self._allow(policy, key, action)
        # Only now, as a pre-created role takes note of the statements that are there already.
        principal.attach_inline_policy(policy)
        if scope is self.scope:
            self.resource.node.add_dependency(policy)
        else:
            # The other stack may well refer to this one: waiting for it would be circular.
            self._warn(
                "grantElsewhere",
                f"{principal.node.path!r} is in another stack, so the stream may be encrypted "
                f"before it has its rights to the key: deploy {theirs.stack_name!r} first",
            )
        return grant

    def _allow(self, grantee: iam.IGrantable, key: StreamKey, action: str) -> iam.Grant:
        conditions: dict[str, dict[str, Any]] = {"StringEquals": {_CONTEXT: self.stream_arn}}
        if key.alias is not None:
            conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": key.alias}
        any_key = Stack.of(self.scope).format_arn(service="kms", resource="key", resource_name="*")
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[action],
            resource_arns=[key.arn or any_key],
            conditions=conditions,
        )

    def _by_policy_of_key(self, key: kms.Key, action: str) -> None:
        # Grant.add_to_principal_or_resource would leave the condition out.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                actions=[action],
                principals=[self._principal],
                resources=["*"],
                conditions={"StringEquals": {_CONTEXT: self.stream_arn}},
            )
        )

    def _is_elsewhere(self, key: kms.Key) -> bool:
        # Two unknown accounts are both that of the deployment; a known one may be another.
        return self._account is not None and known(self._account) != known(key.env.account)

    @property
    def _account(self) -> str | None:
        principal = self._principal
        if isinstance(principal, iam.ArnPrincipal):
            found = _ACCOUNT_OF_AN_ARN.fullmatch(principal.arn)
            return found[1] if found else principal.principal_account
        return principal.principal_account

    @property
    def _name(self) -> str:
        return getattr(getattr(self.grantee, "node", None), "path", None) or str(self.grantee)

    def _warn(self, id_: str, message: str) -> None:
        Annotations.of(self.scope).add_warning_v2(f"cdk-kinesis-stream-encryption:{id_}", message)

    def _warn_of_key_policy(self, key: StreamKey, action: str) -> None:
        self._warn(
            "keyPolicy",
            f"the policy of the imported key {describe(key.key_id)} is not changed: unless it lets "
            f"the IAM policies of the account decide, add {action} for {self._name!r} on "
            f"condition that {_CONTEXT} is {describe(self.stream_arn)}",
        )

    def _warn_of_other_account(self) -> None:
        ours, theirs = stack_facts(Stack.of(self.scope)).environment.account, known(self._account)
        if ours is not None and theirs is not None and ours != theirs:
            self._warn(
                "managedKeyElsewhere",
                f"{self._name!r} is of account {theirs!r} and cannot use {AWS_MANAGED_ALIAS!r}, "
                f"the AWS managed key of account {ours!r}, to which nobody can grant a right: give "
                "the stream a key of your own, encryption_key=kms.Key(…)",
            )
