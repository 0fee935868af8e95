"""The key of a stream: its identifier in the custom resource, and its validation at synth."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple, cast

from aws_cdk import Annotations, CfnElement, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption._arguments import check_argument
from kinesis_stream_encryption._final_template import (
    Resources,
    check_final_template,
    final_resource,
)
from kinesis_stream_encryption._tokens import (
    canonical_text,
    check_partition,
    describe,
    referenced_element,
    resolved_or_none,
    stack_properties,
)

__all__ = ["AWS_MANAGED_ALIAS", "StreamKey", "key_of_alias", "require_retained_keys", "stream_key"]

AWS_MANAGED_ALIAS = "alias/aws/kinesis"

_KEY_ARN = re.compile(r"arn:[^:]+:kms:(?P<region>[^:]+):(?P<account>\d{12}):key/[\w-]+")
_ALIAS_ARN = re.compile(r"arn:[^:]+:kms:[^:]*:[^:]*:(?P<name>alias/.+)")
# https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
_ALIAS_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")


class StreamKey(NamedTuple):
    """A key as the custom resource and the policies identify it.

    It has an ARN, or an alias if only KMS can resolve the alias. The construct is None for the AWS
    managed key by default. The element is the resource of the app that the ARN refers to.
    """

    arn: str | None
    alias: str | None
    construct: kms.IKey | None
    element: CfnElement | None = None

    @property
    def key_id(self) -> str:
        """``KeyId`` of StartStreamEncryption."""
        return self.arn or self.alias or ""

    @property
    def is_aws_managed(self) -> bool:
        """Whether the key is ``alias/aws/kinesis``, which needs no permission in the account."""
        return self.alias == AWS_MANAGED_ALIAS

    @property
    def owned(self) -> kms.IKey | None:
        """The key, if this app declares it, as an L1 construct too; None otherwise."""
        return self.construct if isinstance(self.element, kms.CfnKey) else None

    def is_in_other_stack(self, stack: Stack) -> bool:
        """Whether another stack of the app owns the key."""
        return self.element is not None and self.element.stack is not stack

    def identity(self, stack: Stack) -> str:
        """A text that is unique to the key and the same in every synthesis."""
        path = self.owned.node.path if self.owned else ""
        return f"{path} {canonical_text(stack, self.key_id)}"


def stream_key(stack: Stack, key: kms.IKey | None) -> StreamKey:
    """Return the identifier of a key; raise ValueError if Kinesis cannot use the key.

    Source of the rules: `StartStreamEncryption
    <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>`_
    and "How Do I Use Server-Side Encryption?" in the Kinesis Data Streams Developer Guide.
    """
    if key is None:
        return StreamKey(arn=None, alias=AWS_MANAGED_ALIAS, construct=None)
    alias_name = _alias_name(key)
    if alias_name is None:
        return _key(stack, key)
    target = key_of_alias(key)
    if target is not key:
        # If an alias changes its target, the alias in the template stays the same, so that
        # CloudFormation would not send an update. The ARN of the target changes.
        return stream_key(stack, target)
    _check_alias(alias_name)
    return StreamKey(arn=None, alias=alias_name, construct=key)


def _alias_name(key: kms.IKey) -> str | None:
    # jsii returns imported constructs as proxies of interfaces, so that isinstance cannot be used.
    name = getattr(key, "alias_name", None)
    return name if isinstance(name, str) else None


def key_of_alias(key: kms.IKey) -> kms.IKey:
    """Return the key of an alias of the app; any other key as it is."""
    # The property raises an error for an alias from Alias.from_alias_name, which has no target.
    with suppress(RuntimeError):
        return cast("kms.IKey | None", getattr(key, "alias_target_key", None)) or key
    return key


def _check_alias(name: str) -> None:
    if not resolved_or_none(name):
        return
    _reject_alias_arn(name)
    if _ALIAS_NAME.fullmatch(name) is None:
        remedy = (
            f"use {f'alias/{name}'!r}"
            if _ALIAS_NAME.fullmatch(f"alias/{name}")
            else "use 'alias/' and 1 to 250 letters, digits, '/', '_', or '-'"
        )
        raise ValueError(f"malformed alias name {name!r}: {remedy}")
    if name.startswith("alias/aws/") and name != AWS_MANAGED_ALIAS:
        raise ValueError(
            f"{name!r} is the AWS managed key of another AWS service, so Kinesis cannot use it: "
            f"pass a customer managed key, or omit the key to use {AWS_MANAGED_ALIAS!r}"
        )


def _reject_alias_arn(arn: str) -> None:
    if alias := _ALIAS_ARN.fullmatch(arn):
        raise ValueError(
            f"{arn!r} is the ARN of an alias, not of a key: use "
            f"kms.Alias.from_alias_name(scope, id, {alias['name']!r}), or, for an alias of another "
            "account, kms.Key.from_key_arn with the ARN of its key"
        )


def _key(stack: Stack, key: kms.IKey) -> StreamKey:
    remedy = (
        "an IKey, for example kms.Key.from_key_arn(scope, id, arn) or kms.Alias.from_alias_name"
    )
    check_argument("the key", key, "key_arn", remedy)
    arn = key.key_arn
    _check_arn(stack, arn, key.env.region)
    element = referenced_element(arn)
    if isinstance(element, kms.CfnKey):
        _check_key_resource(element, key.node.path)
    return StreamKey(arn=arn, alias=None, construct=key, element=element)


def _check_arn(stack: Stack, arn: str, region: str) -> None:
    _reject_alias_arn(arn)
    if resolved_or_none(arn) and _KEY_ARN.fullmatch(arn) is None:
        raise ValueError(
            f"{arn!r} is not the ARN of a KMS key: use "
            "'arn:<partition>:kms:<region>:<account>:key/<key ID>'"
        )
    check_partition(stack, "key", stack, arn)
    own = stack_properties(stack).environment.region
    if own is not None and resolved_or_none(region) and region != own:
        # No exception: it would stop the first pass of a context lookup.
        Annotations.of(stack).add_error(
            f"the key {describe(arn)} is in Region {region!r}, but the stream is in {own!r}: pass "
            "a key in the Region of the stream, for example a replica of a multi-Region key"
        )


def _check_key_resource(resource: kms.CfnKey, path: str) -> None:
    for name, found, needed in (
        ("key_spec", resource.key_spec, "SYMMETRIC_DEFAULT"),
        ("key_usage", resource.key_usage, "ENCRYPT_DECRYPT"),
    ):
        if resolved_or_none(found) and found != needed:
            raise ValueError(
                f"the key {path!r} has {name} {found!r}, but Kinesis requires a symmetric "
                f"encryption key: remove {name}, or set it to {needed!r}"
            )
    if resource.enabled is False:
        raise ValueError(
            f"the key {path!r} is declared with enabled=False, so producers and consumers of the "
            "stream would fail: enable the key"
        )


def require_retained_keys(scope: Construct, *keys: StreamKey) -> None:
    """Reject a key of the app that would be deleted with its stack, when synthesis ends."""
    owned = [key.element for key in keys if isinstance(key.element, kms.CfnKey | kms.CfnReplicaKey)]

    def check(resources: Resources) -> list[str]:
        return [
            f"the key {key.node.path!r} would be deleted with its stack, or when its first "
            "deployment is rolled back, and the records that it encrypts would be lost: set "
            "removal_policy=RemovalPolicy.RETAIN"
            for key in owned
            if final_resource(key, resources).get("DeletionPolicy") != "Retain"
        ]

    if owned:
        check_final_template(scope, check)
