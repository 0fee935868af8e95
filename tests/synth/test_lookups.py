"""Context lookups: synthesis succeeds on the first pass, and the real values are validated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm

from kinesis_stream_encryption import (
    GuardedStreams,
    KinesisStreamEncryption,
    KinesisStreamEncryptionProvider,
    StreamEncryptionGuard,
)
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    errors,
    properties,
    stream_arn,
    stream_by_name,
)

PARAMETER = "/streams/orders"
# The CDK CLI passes the value with this key.
CONTEXT_KEY = f"ssm:account={ACCOUNT}:parameterName={PARAMETER}:region={REGION}"

DEFAULT_ARN = stream_arn("default", region="us-east-1", account="123456789012")


def resolve_from_context(stack: Stack, default: str | None = None) -> str:
    return ssm.StringParameter.value_from_lookup(stack, PARAMETER, default)


def missing(app: App) -> list[str]:
    """Keys of the context that the CDK CLI must resolve, from the manifest."""
    manifest = json.loads(Path(app.synth().directory, "manifest.json").read_text())
    return [each["key"] for each in manifest.get("missing", [])]


def by_name(stack: Stack, name: str, id_: str = "Encryption", **options: Any) -> None:
    stream = stream_by_name(stack, name, f"{id_}Stream")
    KinesisStreamEncryption(stack, id_, stream=stream, **options)


def by_arn(stack: Stack, arn: str, id_: str = "Encryption") -> None:
    stream = kinesis.Stream.from_stream_arn(stack, f"{id_}Stream", arn)
    KinesisStreamEncryption(stack, id_, stream=stream)


def with_alias(stack: Stack, name: str) -> None:
    by_name(stack, "orders", encryption_key=kms.Alias.from_alias_name(stack, "Key", name))


def with_key_arn(stack: Stack, arn: str) -> None:
    by_name(stack, "orders", encryption_key=kms.Key.from_key_arn(stack, "Key", arn))


def with_role(stack: Stack, account: str) -> None:
    arn = f"arn:aws:iam::{account}:role/mine"
    role = iam.Role.from_role_arn(stack, "Role", arn)
    KinesisStreamEncryptionProvider(stack, "Provider", role=role)


def guarded(streams: Callable[[str], GuardedStreams]) -> Callable[[Stack, str], None]:
    def guard(stack: Stack, value: str) -> None:
        StreamEncryptionGuard(stack, "Guard", streams=streams(value))

    return guard


def guard_with_exempt_tag(stack: Stack, key: str) -> None:
    StreamEncryptionGuard(stack, "Guard", streams=GuardedStreams.all(), exempt_tag_key=key)


LOOKUPS: dict[str, Callable[[Stack, str], None]] = {
    "stream name": by_name,
    "account in a stream ARN": lambda stack, value: by_arn(
        stack, stream_arn("orders", account=value)
    ),
    "region in a stream ARN": lambda stack, value: by_arn(
        stack, stream_arn("orders", region=value)
    ),
    "key alias": with_alias,
    "region in a key ARN": lambda stack, value: with_key_arn(stack, KEY_ARN.replace(REGION, value)),
    "key ID": lambda stack, value: with_key_arn(stack, f"{KEY_ARN.rsplit('/', 1)[0]}/{value}"),
    "account of a role": with_role,
    "guarded name": guarded(GuardedStreams.named),
    "guarded prefix": guarded(GuardedStreams.prefixed),
    "guarded tag": guarded(lambda value: GuardedStreams.tagged(value * 8, value * 16)),
    "exempt tag": lambda stack, value: guard_with_exempt_tag(stack, value * 8),
}


@pytest.mark.parametrize("use", LOOKUPS.values(), ids=LOOKUPS)
def test_the_first_pass_succeeds_and_lists_what_is_missing(
    app: App, stack: Stack, use: Callable[[Stack, str], None]
) -> None:
    use(stack, resolve_from_context(stack))
    assert missing(app) == [CONTEXT_KEY]
    assert errors(stack) == []


def second_pass(value: str) -> Stack:
    return Stack(App(context={CONTEXT_KEY: value}), "Stack", env=HERE)


def test_the_real_value_is_used() -> None:
    stack = second_pass("orders")
    by_name(stack, resolve_from_context(stack))
    by_arn(stack, stream_arn("orders"), "Again")
    (error,) = errors(stack)
    assert "the stream 'orders' is already encrypted by 'Stack/Encryption'" in error


@pytest.mark.parametrize(
    ("use", "value"),
    [
        (by_name, "or:ders"),
        (with_alias, "alias/or ders"),
        (LOOKUPS["guarded name"], "or:ders"),
    ],
)
def test_the_real_value_is_validated(use: Callable[[Stack, str], None], value: str) -> None:
    stack = second_pass(value)
    with pytest.raises(ValueError, match=f"malformed .*{value}"):
        use(stack, resolve_from_context(stack))


class TestArn:
    """CDK parses ARNs, so that their lookups need a well-formed default value."""

    def test_cdk_rejects_a_dummy(self, stack: Stack) -> None:
        """docs/synthesis.md describes this behavior."""
        with pytest.raises(RuntimeError, match="ARNs must"):
            by_arn(stack, resolve_from_context(stack))

    def test_a_default_arn_of_another_account_passes_the_first_pass(
        self, app: App, stack: Stack
    ) -> None:
        by_arn(stack, resolve_from_context(stack, DEFAULT_ARN))
        by_arn(stack, resolve_from_context(stack, DEFAULT_ARN), "Again")
        assert missing(app) == [CONTEXT_KEY]

    def test_a_default_key_arn_of_another_region_passes_the_first_pass(
        self, app: App, stack: Stack
    ) -> None:
        with_key_arn(stack, resolve_from_context(stack, KEY_ARN.replace(REGION, "us-east-1")))
        assert missing(app) == [CONTEXT_KEY]

    def test_the_real_arn_is_used(self) -> None:
        stack = second_pass(stream_arn("orders"))
        by_arn(stack, resolve_from_context(stack, DEFAULT_ARN))
        assert errors(stack) == []


def test_dynamic_reference_is_known_only_at_deployment(stack: Stack) -> None:
    by_name(stack, "{{resolve:ssm:/orders/stream}}")
    assert "{{resolve:ssm:/orders/stream}}" in str(properties(stack)["StreamArn"])
    assert errors(stack) == []
