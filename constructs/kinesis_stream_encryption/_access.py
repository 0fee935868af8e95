"""What the function may do to streams and keys, within the size limits of IAM.

Sizes: "IAM and AWS STS quotas" in the IAM User Guide. The inline policies of a role hold 10,240
characters together, a managed policy 6,144, and ten managed policies go on a role.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jsii
from aws_cdk import IStableAnyProducer, Lazy, Names, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct, IDependable

from kinesis_stream_encryption._keys import StreamKey
from kinesis_stream_encryption._nag import accept, accept_wildcard
from kinesis_stream_encryption._placement import Placement, Right
from kinesis_stream_encryption._streams import TargetStream
from kinesis_stream_encryption._template_text import longest
from kinesis_stream_encryption._tokens import resolve

__all__ = ["StreamAccess", "StreamPolicies"]

_INLINE_POLICIES = 10_240
_MANAGED_POLICY = 6_144
_MANAGED_POLICIES_OF_A_ROLE = 10

# What a shared policy takes before it lists the first ARN.
_STATEMENTS = 500

_LOOK_AND_START = ["kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption"]
_STOP = "kinesis:StopStreamEncryption"
_LOOK_AT_KEY = "kms:DescribeKey"


@dataclass(frozen=True)
class StreamAccess:
    """The rights that one custom resource needs.

    Attributes
    ----------
    path
        Path of the construct that needs them.
    stream
        Stream to look at and to encrypt.
    key
        Key to look at before it is applied.
    may_stop
        Whether encryption may be stopped again.
    """

    path: str
    stream: TargetStream
    key: StreamKey
    may_stop: bool


class StreamPolicies(Construct):
    """The policies of one role that name streams and keys.

    A stream with ``may_stop`` gets an inline policy of its own: CloudFormation deletes resources
    only after it has updated all others, so a policy shared with other streams would have lost
    the right to stop encryption when the resource's deletion asks for it. All others share
    managed policies, since their deletion calls nothing.
    """

    def __init__(self, scope: Construct, id_: str, *, role: iam.IRole) -> None:
        super().__init__(scope, id_)
        self._role = role
        self._stack = Stack.of(self)
        self._shared: dict[str, StreamAccess] = {}
        self._placement = Placement(
            policies=_MANAGED_POLICIES_OF_A_ROLE, room=_MANAGED_POLICY - _STATEMENTS
        )
        self._made: set[int] = set()
        self._inline_size = 0
        self._accepted = False

    def add(self, scope: Construct, access: StreamAccess, *, taken: int) -> IDependable | None:
        """Grant the rights, unless the role has no room for them.

        Parameters
        ----------
        scope
            Where the stream's own policy goes, if it needs one.
        access
            Rights to grant.
        taken
            Characters that the role's other inline policies take.

        Returns
        -------
        constructs.IDependable or None
            What the user of the rights depends on; None if nothing was granted for want of room.
        """
        room = _INLINE_POLICIES - self._inline_size - taken
        if access.may_stop:
            return self._add_own(scope, access, room)
        return self._add_shared(access) if room >= 0 else None

    def _add_own(self, scope: Construct, access: StreamAccess, room: int) -> IDependable | None:
        stack = access.stream.stack
        document = _document(stack, [access])
        resolved = stack.resolve(document)
        size = longest(resolved)
        if size > room:
            return None
        self._inline_size += size
        # Another stream or key means another policy: the old one has to last through a rollback
        # and until the deletion that follows a replacement.
        digest = hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()[:8]
        policy = iam.CfnPolicy(
            scope,
            f"Policy{digest}",
            policy_document=document,
            policy_name=Names.unique_resource_name(scope, max_length=100) + digest,
            roles=[self._role.role_name],
        )
        accept(policy, "IAMNoInlinePolicy", "lives and dies with the one resource it is for")
        if access.key.alias is not None:
            _accept_any_key(policy)
        return policy

    def _add_shared(self, access: StreamAccess) -> IDependable | None:
        stream, key = access.stream, resolve(self._stack, access.key.key_id)
        arns = {stream.identity: stream.resolved_arn, json.dumps(key): key}
        sizes = tuple((name, longest(arn) + len(",")) for name, arn in arns.items())
        if not self._placement.add(Right(access.path, sizes)):
            return None
        self._shared[access.path] = access
        self._make_policies(set(self._placement.used()))
        if access.key.alias is not None and not self._accepted:
            self._accepted = True
            _accept_any_key(self)
        return self

    def _make_policies(self, used: set[int]) -> None:
        """Have a policy for each number, and none without rights, which IAM refuses."""
        for number in self._made - used:
            self.node.try_remove_child(_policy_id(number))
        for number in sorted(used - self._made):
            self._make_policy(number)
        self._made = used

    def _make_policy(self, number: int) -> None:
        iam.CfnManagedPolicy(
            self,
            _policy_id(number),
            policy_document=Lazy.any(_SharedDocument(self, number)),
            roles=[self._role.role_name],
        )

    def document(self, number: int) -> dict[str, Any]:
        """Statements of a shared policy once all streams are known."""
        rights = self._placement.rights(number)
        return _document(self._stack, [self._shared[right.name] for right in rights])


@jsii.implements(IStableAnyProducer)
class _SharedDocument:
    def __init__(self, policies: StreamPolicies, number: int) -> None:
        self._policies = policies
        self._number = number

    def produce(self) -> dict[str, Any]:
        return self._policies.document(self._number)


def _policy_id(number: int) -> str:
    return f"Policy{number}"


def _document(stack: Stack, accesses: list[StreamAccess]) -> dict[str, Any]:
    statements = [
        *_stream_statements(accesses),
        *_key_statements([access.key.arn for access in accesses if access.key.arn]),
        *_alias_statements(stack, [access.key.alias for access in accesses if access.key.alias]),
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _stream_statements(accesses: list[StreamAccess]) -> list[dict[str, Any]]:
    may_stop = any(access.may_stop for access in accesses)
    return [
        {
            "Action": [*_LOOK_AND_START, _STOP] if may_stop else _LOOK_AND_START,
            "Effect": "Allow",
            "Resource": _unique(access.stream.arn for access in accesses),
        }
    ]


def _key_statements(arns: list[str]) -> list[dict[str, Any]]:
    if not arns:
        return []
    return [{"Action": _LOOK_AT_KEY, "Effect": "Allow", "Resource": _unique(arns)}]


def _alias_statements(stack: Stack, aliases: list[str]) -> list[dict[str, Any]]:
    if not aliases:
        return []
    # KMS authorizes by key and never by alias ARN ("Use aliases to control access to KMS keys",
    # KMS Developer Guide), and which key the alias stands for is known only to KMS.
    return [
        {
            "Action": _LOOK_AT_KEY,
            "Effect": "Allow",
            "Resource": _any_key(stack),
            "Condition": {
                "ForAnyValue:StringEquals": {"kms:ResourceAliases": _unique(aliases)},
            },
        }
    ]


def _accept_any_key(holder: IConstruct) -> None:
    accept_wildcard(
        holder,
        _any_key(Stack.of(holder)),
        "limited by condition to the key behind an alias, whose ARN only KMS knows",
    )


def _any_key(stack: Stack) -> str:
    return stack.format_arn(service="kms", resource="key", resource_name="*")


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
