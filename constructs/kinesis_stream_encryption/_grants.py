"""Permissions of producers and consumers to use the keys of an encrypted stream.

Each permission is a separate policy whose logical ID derives from the key. If the key changes,
CloudFormation creates the new policy before it switches the stream and removes the previous one
after everything else has succeeded, in a rollback too. A statement in a policy that stays would
change before the switch and deny access until the switch is complete.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, cast
from weakref import WeakSet

import jsii
from aws_cdk import Annotations, Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct, IValidation

from kinesis_stream_encryption._arguments import check_argument
from kinesis_stream_encryption._final_template import Resources, check_final_template
from kinesis_stream_encryption._keys import AWS_MANAGED_ALIAS, StreamKey
from kinesis_stream_encryption._policies import (
    MAX_INLINE_POLICY_SIZE,
    alternatives,
    is_attached,
    policies_of_role,
    policy_size,
    statements_of,
)
from kinesis_stream_encryption._streams import TargetStream
from kinesis_stream_encryption._tokens import (
    describe,
    message_text,
    resolved_or_none,
    stack_lineage,
    stack_properties,
)

__all__ = ["DECRYPT", "GENERATE_DATA_KEY", "KeyGrants", "check_grantee", "key_actions"]

# "Permissions to use user-generated KMS keys", Kinesis Data Streams Developer Guide.
DECRYPT = "kms:Decrypt"
GENERATE_DATA_KEY = "kms:GenerateDataKey"
_RECORD_ACTIONS = {
    "kinesis:getrecords": DECRYPT,
    "kinesis:subscribetoshard": DECRYPT,
    "kinesis:putrecord": GENERATE_DATA_KEY,
    "kinesis:putrecords": GENERATE_DATA_KEY,
}

# Roles whose policy size is checked; once, whatever the number of streams.
_CHECKED_ROLES: WeakSet[iam.Role] = WeakSet()

_CONTEXT = "kms:EncryptionContext:aws:kinesis:arn"
_ACCOUNT_OF_ARN = re.compile(r"arn:[^:]+:(?:iam|sts)::(\d{12}):.*")
# "Sharing access using resource-based policies", Kinesis Data Streams Developer Guide: these work
# in identity-based policies only.
_NOT_IN_RESOURCE_POLICIES = {
    "kinesis:DescribeStreamConsumer",
    "kinesis:ListStreams",
    "kinesis:SubscribeToShard",
}


def key_actions(actions: Iterable[str]) -> list[str]:
    """Return the key actions that Kinesis actions need, wildcards included.

    Action names are case-insensitive: "IAM JSON policy elements: Action", IAM User Guide.
    """
    patterns = [action.lower() for action in actions]
    needed = {
        key_action
        for action, key_action in _RECORD_ACTIONS.items()
        if any(fnmatchcase(action, pattern) for pattern in patterns)
    }
    return sorted(needed)


@jsii.implements(IValidation)
class KeyGrants:
    """Grants on the keys of one stream.

    The policies belong to ``scope``, and the custom resource waits for them.
    """

    def __init__(self, scope: Construct, resource: IConstruct, stream: TargetStream) -> None:
        self._scope, self._resource, self._stream = scope, resource, stream
        self._stack = Stack.of(scope)
        self._principals: dict[str, IConstruct] = {}
        self.waiting: list[IConstruct] = []
        self._by_identity: dict[tuple[str, str], tuple[kms.CfnKey, str]] = {}

    def allow(self, grantee: iam.IGrantable, key: StreamKey, action: str) -> iam.Grant:
        """Allow an action on a key; ``alias/aws/kinesis`` needs no permission."""
        if key.is_aws_managed:
            self._check_account(grantee)
            return iam.Grant.drop(grantee, f"{AWS_MANAGED_ALIAS} needs no permission")
        grant = self._by_identity_policy(grantee, key, action)
        if key.owned is None:
            self._inform_of_key_policy(grantee, key.key_id, action)
        elif not grant.success or _is_other_account(grantee, key.owned):
            self._by_key_policy(grantee, key.owned, action)
        else:
            element = cast(kms.CfnKey, key.element)
            self._by_identity[element.node.path, action] = element, _name(grantee)
        return grant

    def keep(self, grantee: iam.IGrantable, key: StreamKey, action: str) -> None:
        """Continue to allow an action on a previous key.

        Consumers need it for the records that are encrypted with that key. Producers need it until
        the switch, which only matters in the key policy: it changes in place, before the switch.
        """
        if key.is_aws_managed:
            return
        if action == DECRYPT:
            self.allow(grantee, key, action)
        elif key.owned and (not _has_policies(grantee) or _is_other_account(grantee, key.owned)):
            self._by_key_policy(grantee, key.owned, action)

    def check_stream_policy(self, grantee: iam.IGrantable, grant: iam.Grant) -> iam.Grant:
        """Return a grant on the stream, or a failed one if it needs the stream's resource policy.

        The resource policy of a stream that this app does not own belongs to the stream's owner.
        """
        statement = grant.resource_statement
        if statement is None or self._stream.owner is not None:
            return grant
        if _has_policies(grantee) and not self._is_known_other_account(grantee):
            return grant
        allowed = [each for each in statement.actions if each not in _NOT_IN_RESOURCE_POLICIES]
        needed = statement.copy(actions=allowed).to_statement_json()
        self._warn(
            "streamPolicy",
            f"{_name(grantee)!r} has no access to the stream {describe(self._stream.name)}, which "
            "this app does not own: the owner of the stream must add this statement to its resource"
            f" policy: {message_text(self._stack, needed)}",
        )
        return iam.Grant.drop(grantee, "the stream's resource policy is not part of this app")

    def validate(self) -> list[str]:
        """Report circular dependencies, and warn about grants without effect."""
        for (_, action), (key, name) in self._by_identity.items():
            self._check_delegation(key, action, name)
        return [
            f"{scope.node.path!r} depends on {self._scope.node.path!r} and contains the principal "
            f"{principal.node.path!r}, which needs access to the key first: replace "
            "node.add_dependency(encryption) with encryption.apply_before(...)"
            for principal in self._principals.values()
            for scope in principal.node.scopes
            if any(self._includes_resource(each) for each in scope.node.dependencies)
        ] + [*self._circular_nested_stacks()]

    def _circular_nested_stacks(self) -> Iterator[str]:
        """Yield an error for each nested stack in which only a part waits for the encryption."""
        ours = stack_lineage(self._stack)
        for principal in self._principals.values() if self.waiting else ():
            nested = [each for each in stack_lineage(Stack.of(principal)) if each not in ours][-1:]
            for construct in self.waiting:
                parents = [*construct.node.scopes, *stack_lineage(Stack.of(construct))]
                if any(each in parents or construct in each.node.scopes for each in nested):
                    yield (
                        f"{construct.node.path!r} waits for {self._scope.node.path!r}, which waits "
                        f"for the nested stack {nested[0].node.path!r}, because its principal "
                        f"{principal.node.path!r} needs access to the key first: declare one of "
                        "them outside of the nested stack"
                    )

    def _includes_resource(self, dependency: IConstruct) -> bool:
        resource = self._resource.node.default_child or self._resource
        return any(each is dependency for each in resource.node.scopes)

    def _check_delegation(self, key: kms.CfnKey, action: str, name: str) -> None:
        # Without a policy, KMS sets one that lets the account use IAM policies.
        document = self._stack.resolve(key.key_policy)
        if document is None or any(
            _delegates(self._stack, each, action) for each in statements_of(document)
        ):
            return
        account = {"AWS": f"arn:{self._stack.partition}:iam::{self._stack.account}:root"}
        statement = {"Effect": "Allow", "Principal": account, "Action": action, "Resource": "*"}
        path = str(key.node.path).removesuffix("/Resource")
        self._warn(
            "keyPolicy",
            f"the key policy of {path!r} does not let the account use IAM policies, so the grant "
            f"of {action} to {name!r} has no effect: add this statement to the key policy: "
            f"{message_text(self._stack, statement)}",
        )

    def _by_identity_policy(
        self, grantee: iam.IGrantable, key: StreamKey, action: str
    ) -> iam.Grant:
        if not _has_policies(grantee):
            grant = self._add_statement(grantee, key, action)
            if grant.success:
                grant.apply_before(self._resource)
            return grant
        principal = cast(iam.IRole, grantee.grant_principal)
        _ = getattr(principal, "role_arn", None)  # creates the role of an iam.LazyRole
        home = Stack.of(principal)
        scope, identity = self._scope, f"{principal.node.path} {key.identity(self._stack)}"
        id_ = f"{action.split(':')[1]}{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
        if home is not self._stack:
            scope, id_ = home, f"{Names.unique_id(self._scope)}{id_}"
        policy = cast("iam.Policy | None", scope.node.try_find_child(id_))
        if policy is not None:
            return self._add_statement(policy, key, action)
        policy = iam.Policy(scope, id_)
        grant = self._add_statement(policy, key, action)
        # Only now: a role replaced by iam.Role.customize_roles reads the statements on attachment.
        principal.attach_inline_policy(policy)
        if not (isinstance(principal, iam.Role) or is_attached(policy)):
            scope.node.try_remove_child(id_)
            return self._unchangeable(principal, grant)
        self._order(policy, principal, key)
        return grant

    def _order(self, policy: iam.Policy, principal: iam.IRole, key: StreamKey) -> None:
        """Order a policy before the encryption and before the principal's other policies."""
        if isinstance(principal, iam.Role) and principal not in _CHECKED_ROLES:
            _CHECKED_ROLES.add(principal)
            check_final_template(self._scope, partial(_check_size, principal))
        for child in principal.node.children:
            if isinstance(child, iam.Policy):
                child.node.add_dependency(policy)
        home = Stack.of(policy)
        if home is self._stack or self._can_wait_for(home, key):
            self._resource.node.add_dependency(policy)
            self._principals.setdefault(principal.node.path, principal)
        elif home not in self._stack.dependencies:
            # Not a dependency, which would be circular if the other stack refers to this one.
            remedy = f"let {self._stack.node.path!r} depend on it, with add_dependency"
            if key.element is not None and key.element.stack is self._stack:
                remedy = f"create the key in a third stack, and {remedy}"
            self._warn(
                "grantElsewhere",
                f"{principal.node.path!r} is in the stack {home.node.path!r}, so the stream may be "
                f"encrypted before it has access to the key: {remedy}",
            )

    def _unchangeable(self, principal: iam.IPrincipal, grant: iam.Grant) -> iam.Grant:
        """Handle a role that CDK must not change: its owner adds the permissions."""
        statement = grant.principal_statement
        needed = message_text(self._stack, statement and statement.to_statement_json())
        Annotations.of(self._scope).add_info(
            f"The role {_name(principal)!r} is not changed. Unless it already has access, add this "
            f"statement to it, and one for the stream: {needed}"
        )
        return iam.Grant.drop(principal, "the role is managed elsewhere")

    def _can_wait_for(self, home: Stack, key: StreamKey) -> bool:
        """Return whether this stack can wait for another one of the same nested family."""
        ours, theirs = stack_lineage(self._stack), stack_lineage(home)
        if ours[-1] is not theirs[-1]:
            return False
        inside = [each for each in ours if each not in theirs]
        used = [key.element, self._stream.owner]
        return not any(
            stack in inside
            for each in used
            if each is not None
            for stack in stack_lineage(each.stack)
        )

    def _add_statement(self, grantee: iam.IGrantable, key: StreamKey, action: str) -> iam.Grant:
        conditions: dict[str, dict[str, Any]] = {"StringEquals": {_CONTEXT: self._stream.arn}}
        if key.alias is not None:
            conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": key.alias}
        any_key = self._stack.format_arn(service="kms", resource="key", resource_name="*")
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[action],
            resource_arns=[key.arn or any_key],
            conditions=conditions,
        )

    def _by_key_policy(self, grantee: iam.IGrantable, key: kms.IKey, action: str) -> None:
        principal = grantee.grant_principal
        account = resolved_or_none(_account(grantee))
        if isinstance(principal, iam.Role) and account and Stack.of(principal) is not Stack.of(key):
            # KMS rejects a key policy that names a role that does not exist yet.
            principal = iam.AccountPrincipal(account)
        # Grant.add_to_principal_or_resource would leave the condition out.
        added = key.add_to_resource_policy(
            iam.PolicyStatement(
                actions=[action],
                principals=[principal],
                resources=["*"],
                conditions={"StringEquals": {_CONTEXT: self._stream.arn}},
            )
        )
        if not added.statement_added:
            self._inform_of_key_policy(grantee, key.key_arn, action)

    def _inform_of_key_policy(self, grantee: iam.IGrantable, key: str, action: str) -> None:
        Annotations.of(self._scope).add_info(
            f"The key policy of the imported key {describe(key)} is not changed. If it does not "
            f"let the account use IAM policies, add a statement that allows {action} for "
            f"{_name(grantee)!r} if {_CONTEXT} is {describe(self._stream.arn)}"
        )

    def _is_known_other_account(self, grantee: iam.IGrantable) -> bool:
        ours = stack_properties(self._stack).environment.account
        theirs = resolved_or_none(_account(grantee))
        return ours is not None and theirs is not None and ours != theirs

    def _check_account(self, grantee: iam.IGrantable) -> None:
        if self._is_known_other_account(grantee):
            self._warn(
                "managedKeyElsewhere",
                f"{_name(grantee)!r} belongs to account {_account(grantee)!r} and cannot use "
                f"{AWS_MANAGED_ALIAS!r}, whose key policy cannot be changed: pass a customer "
                "managed key, encryption_key=kms.Key(…)",
            )

    def _warn(self, id_: str, message: str) -> None:
        Annotations.of(self._scope).add_warning_v2(f"cdk-kinesis-stream-encryption:{id_}", message)


def check_grantee(grantee: iam.IGrantable) -> None:
    """Raise ValueError for a resource that was imported without its role."""
    remedy = "an IGrantable, for example a function, or iam.Role.from_role_arn(scope, id, arn)"
    check_argument("the grantee", grantee, "grant_principal", remedy)
    if isinstance(grantee.grant_principal, iam.UnknownPrincipal):
        raise ValueError(
            f"{_name(grantee)!r} was imported without a role, so it cannot get permissions: "
            "import it with its role, for example lambda_.Function.from_function_attributes("
            "scope, id, function_arn=..., role=iam.Role.from_role_arn(...))"
        )


def _check_size(role: iam.Role, final: Resources) -> Iterator[str]:
    """Yield an error if the inline policies of a role exceed IAM's limit."""
    stack = Stack.of(role)
    inline, *_ = policies_of_role(stack.resolve(role.role_name), final(stack))
    # Most references are key ARNs. A larger estimate would reject policies that IAM accepts.
    size = sum(policy_size(document, reference="x" * 75) for document in inline)
    if size > MAX_INLINE_POLICY_SIZE:
        yield (
            f"the inline policies of the role {role.node.path!r} would have {size} characters, and "
            f"IAM allows {MAX_INLINE_POLICY_SIZE}: each grant on a key takes some 330; distribute "
            "the streams over several roles"
        )


def _delegates(stack: Stack, statement: dict[str, Any], action: str) -> bool:
    """Return whether a key policy statement may let the account's IAM policies allow an action.

    Conditions count as met, because they depend on the call.
    """
    patterns = [str(each).lower() for each in alternatives(statement.get("Action", []))]
    principal = statement.get("Principal", {})
    accounts = principal.get("AWS", []) if isinstance(principal, dict) else principal
    return (
        statement["Effect"] == "Allow"
        and any(fnmatchcase(action.lower(), pattern) for pattern in patterns)
        and any(
            re.search(r"(:root|^\*|^\d{12}|^\$\{AWS::AccountId\})$", message_text(stack, each))
            for each in alternatives(accounts)
        )
    )


def _has_policies(grantee: iam.IGrantable) -> bool:
    return hasattr(grantee.grant_principal, "attach_inline_policy")


def _account(grantee: iam.IGrantable) -> str | None:
    principal = grantee.grant_principal
    if isinstance(principal, iam.ArnPrincipal):
        found = _ACCOUNT_OF_ARN.fullmatch(principal.arn)
        return found[1] if found else principal.principal_account
    return principal.principal_account


def _is_other_account(grantee: iam.IGrantable, key: kms.IKey) -> bool:
    # Two unknown accounts are both the account of the deployment. A known one can differ from it.
    account = _account(grantee)
    return account is not None and resolved_or_none(account) != resolved_or_none(key.env.account)


def _name(grantee: iam.IGrantable) -> str:
    path = getattr(getattr(grantee, "node", None), "path", None)
    return path or str(grantee.grant_principal.policy_fragment.principal_json)
