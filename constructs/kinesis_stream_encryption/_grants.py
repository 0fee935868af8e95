"""Rights of producers and consumers to a stream's key."""

from __future__ import annotations

from typing import Any

from aws_cdk import Annotations, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption._keys import StreamKey
from kinesis_stream_encryption._template_text import describe
from kinesis_stream_encryption._tokens import is_unresolved

__all__ = ["CONSUMER_ACTIONS", "PRODUCER_ACTIONS", "grant_key"]

# "Permissions to use user-generated KMS keys", Kinesis Data Streams Developer Guide.
CONSUMER_ACTIONS = ["kms:Decrypt"]
PRODUCER_ACTIONS = ["kms:GenerateDataKey"]

_CONTEXT = "kms:EncryptionContext:aws:kinesis:arn"


def grant_key(
    scope: Construct,
    key: StreamKey,
    grantee: iam.IGrantable,
    *,
    actions: list[str],
    stream_arn: str,
) -> iam.Grant:
    """Allow the use of a key for the records of one stream.

    Parameters
    ----------
    scope
        Construct that a warning is for.
    key
        Key of the stream.
    grantee
        Who is to use it.
    actions
        What for: ``CONSUMER_ACTIONS``, ``PRODUCER_ACTIONS`` or both.
    stream_arn
        Kinesis uses it as encryption context with every call to KMS.

    Returns
    -------
    aws_cdk.aws_iam.Grant
        Nothing for the key that Kinesis owns, which needs no rights.
    """
    if key.owned_by_kinesis:
        return iam.Grant.drop(grantee, "the key that Kinesis owns needs no rights")
    conditions: dict[str, dict[str, Any]] = {"StringEquals": {_CONTEXT: stream_arn}}
    if isinstance(key.construct, kms.Key):
        return _grant_owned(key.construct, grantee, actions, conditions)
    _warn_of_key_policy(scope, key, grantee, actions, stream_arn)
    if key.alias is not None:
        conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": [key.alias]}
    arn = key.arn or Stack.of(scope).format_arn(service="kms", resource="key", resource_name="*")
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=actions, resource_arns=[arn], conditions=conditions
    )


def _grant_owned(
    key: kms.Key,
    grantee: iam.IGrantable,
    actions: list[str],
    conditions: dict[str, dict[str, Any]],
) -> iam.Grant:
    """Grant by the principal's policies, and by the key's where those cannot be enough.

    Grant.add_to_principal_or_resource would leave the conditions out of the key's policy.
    """
    grant = iam.Grant.add_to_principal(
        grantee=grantee, actions=actions, resource_arns=[key.key_arn], conditions=conditions
    )
    principal = grantee.grant_principal
    if not grant.success or _is_elsewhere(principal, key):
        key.add_to_resource_policy(
            iam.PolicyStatement(
                actions=actions, principals=[principal], resources=["*"], conditions=conditions
            )
        )
    return grant


def _is_elsewhere(principal: iam.IPrincipal, key: kms.Key) -> bool:
    ours, theirs = key.env.account, principal.principal_account
    if theirs is None:
        return False
    unresolved = is_unresolved(ours), is_unresolved(theirs)
    # Two unknown accounts are both that of the deployment; a known one may be another.
    return unresolved[0] != unresolved[1] if any(unresolved) else ours != theirs


def _warn_of_key_policy(
    scope: Construct,
    key: StreamKey,
    grantee: iam.IGrantable,
    actions: list[str],
    stream_arn: str,
) -> None:
    who = getattr(getattr(grantee, "node", None), "path", None) or str(grantee)
    Annotations.of(scope).add_warning_v2(
        "cdk-kinesis-stream-encryption:keyPolicy",
        f"the policy of the imported key {describe(key.key_id)} is not changed: unless it lets "
        f"the IAM policies of the account decide, add {' and '.join(actions)} for {who!r} on "
        f"condition that {_CONTEXT} is {describe(stream_arn)}",
    )
