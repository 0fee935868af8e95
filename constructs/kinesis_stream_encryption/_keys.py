"""The key of a stream: which form the handler is given, and what can be checked at synth."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple, cast

from aws_cdk import Annotations, CfnElement, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption._final_template import (
    Resources,
    check_final_template,
    final_resource,
)
from kinesis_stream_encryption._tokens import (
    check_partition,
    describe,
    known,
    referenced_element,
    stack_facts,
    text,
)

__all__ = ["AWS_MANAGED_ALIAS", "StreamKey", "require_lasting", "stream_key"]

AWS_MANAGED_ALIAS = "alias/aws/kinesis"

_KEY_ARN = re.compile(r"arn:[^:]+:kms:(?P<region>[^:]+):(?P<account>\d{12}):key/[\w-]+")
_ALIAS_ARN = re.compile(r"arn:[^:]+:kms:[^:]*:[^:]*:(?P<name>alias/.+)")
# https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
_ALIAS_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")


class StreamKey(NamedTuple):
    """A key as the custom resource and the policies name it.

    It has an ARN, or an alias if only KMS can resolve it; and a construct in the app, unless it is
    the AWS managed key by default. The element is the resource of the app that the ARN refers to.
    """

    arn: str | None
    alias: str | None
    construct: kms.IKey | None
    element: CfnElement | None = None

    @property
    def key_id(self) -> str:
        """``KeyId`` as StartStreamEncryption is given it."""
        return self.arn or self.alias or ""

    @property
    def is_aws_managed(self) -> bool:
        """Whether this is ``alias/aws/kinesis``, which every principal of the account may use."""
        return self.alias == AWS_MANAGED_ALIAS

    @property
    def owned(self) -> kms.IKey | None:
        """The key, if this app owns it and its policy, also as an L1 construct."""
        return self.construct if isinstance(self.element, kms.CfnKey) else None

    def is_in_other_stack(self, stack: Stack) -> bool:
        """Whether another stack of the app owns the key."""
        return self.element is not None and self.element.stack is not stack

    def identity(self, stack: Stack) -> str:
        """Text that another key does not have, the same in every synth."""
        where = self.owned.node.path if self.owned else ""
        return f"{where} {text(stack, self.key_id)}"


def stream_key(stack: Stack, key: kms.IKey | None) -> StreamKey:
    """Find out how to name a key, and refuse one that Kinesis cannot use.

    What a key must be: `StartStreamEncryption
    <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>`_
    and "How Do I Use Server-Side Encryption?" in the Kinesis Data Streams Developer Guide.
    """
    if key is None:
        return StreamKey(arn=None, alias=AWS_MANAGED_ALIAS, construct=None)
    alias_name = _alias_name(key)
    if alias_name is None:
        return _key(stack, key)
    target = _alias_target(key)
    if target is not None:
        # An alias can be pointed elsewhere without any change in the template that would make
        # CloudFormation send an update: the key it points to cannot.
        return stream_key(stack, target)
    _check_alias(alias_name)
    return StreamKey(arn=None, alias=alias_name, construct=key)


def _alias_name(key: kms.IKey) -> str | None:
    # Imported constructs reach Python as nameless proxies: what they offer tells what they are.
    name = getattr(key, "alias_name", None)
    return name if isinstance(name, str) else None


def _alias_target(key: kms.IKey) -> kms.IKey | None:
    # Alias.from_alias_name knows no target, and says so by raising.
    with suppress(RuntimeError):
        return cast("kms.IKey | None", getattr(key, "alias_target_key", None))
    return None


def _check_alias(name: str) -> None:
    if not known(name):
        return
    if _ALIAS_NAME.fullmatch(name) is None:
        remedy = (
            f"did you mean {f'alias/{name}'!r}?"
            if _ALIAS_NAME.fullmatch(f"alias/{name}")
            else "an alias is 'alias/' and 1 to 250 letters, digits, '/', '_' or '-'"
        )
        raise ValueError(f"malformed alias name {name!r}: {remedy}")
    if name.startswith("alias/aws/") and name != AWS_MANAGED_ALIAS:
        raise ValueError(
            f"{name!r} is the key of another AWS service, which Kinesis may not use: pass a key "
            f"of your own, or leave encryption_key out for {AWS_MANAGED_ALIAS!r}"
        )


def _key(stack: Stack, key: kms.IKey) -> StreamKey:
    arn = key.key_arn
    _check_arn(stack, arn, key.env.region)
    element = referenced_element(arn)
    if isinstance(element, kms.CfnKey):
        _check_owned(element, key.node.path)
    return StreamKey(arn=arn, alias=None, construct=key, element=element)


def _check_arn(stack: Stack, arn: str, region: str) -> None:
    if alias := _ALIAS_ARN.fullmatch(arn):
        raise ValueError(
            f"{arn!r} is the ARN of an alias, not of a key: use "
            f"kms.Alias.from_alias_name(scope, id, {alias['name']!r}), or for an alias of another "
            "account kms.Key.from_key_arn with the ARN of its key"
        )
    if known(arn) and _KEY_ARN.fullmatch(arn) is None:
        raise ValueError(
            f"{arn!r} is not the ARN of a KMS key: it should read "
            "'arn:<partition>:kms:<region>:<account>:key/<key id>'"
        )
    check_partition(stack, "key", stack, arn)
    own = stack_facts(stack).environment.region
    if own is not None and known(region) and region != own:
        # No exception: it would stop the first pass of a context lookup.
        Annotations.of(stack).add_error(
            f"the key {describe(arn)} is in region {region!r}, the stream in "
            f"{own!r}: Kinesis uses keys of the stream's own region only; pass a key "
            "of that region, for example a replica of a multi-Region key"
        )


def _check_owned(resource: kms.CfnKey, path: str) -> None:
    for name, found, needed in (
        ("key_spec", resource.key_spec, "SYMMETRIC_DEFAULT"),
        ("key_usage", resource.key_usage, "ENCRYPT_DECRYPT"),
    ):
        if known(found) and found != needed:
            raise ValueError(
                f"the key {path!r} has {name} {found!r}: Kinesis encrypts with symmetric "
                f"encryption keys only; leave {name} at its default, {needed!r}"
            )
    if resource.enabled is False:
        raise ValueError(
            f"the key {path!r} is declared with enabled=False: producers and consumers of the "
            "stream would fail; enable it first"
        )


def require_lasting(scope: Construct, *keys: StreamKey) -> None:
    """Have synth fail if a key of the app would be deleted while a stream's records need it."""
    owned = [key.element for key in keys if isinstance(key.element, kms.CfnKey)]

    def check(resources: Resources) -> list[str]:
        return [
            f"the key {key.node.path!r} would be deleted with its stack, or by the rollback of "
            "its first deployment, and the records that it encrypts would be lost: give it "
            "RemovalPolicy.RETAIN"
            for key in owned
            if final_resource(key, resources).get("DeletionPolicy") != "Retain"
        ]

    if owned:
        check_final_template(scope, check)
