"""Invalid values and conflicts, and their error messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from kinesis_stream_encryption import GuardedStreams, KinesisStreamEncryptionProvider
from tests.synth.templates import (
    ACCOUNT,
    KEY_ARN,
    REGION,
    encrypt,
    errors,
    guard,
    stream_arn,
    stream_by_name,
    stream_in,
)

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/app"
NOT_A_STREAM = {
    "not a stream": "arn:aws:s3:eu-central-1:111122223333:stream/orders",
    "a consumer": stream_arn("orders/consumer/c:1"),
    "a placeholder that is not a token": stream_arn("${name}"),
}


def encrypt_arn(stack: Stack, arn: str) -> None:
    encrypt(stack, stream=kinesis.Stream.from_stream_arn(stack, "Stream", arn))


def with_key_arn(stack: Stack, arn: str) -> None:
    encrypt(stack, encryption_key=kms.Key.from_key_arn(stack, "Key", arn))


def with_alias(stack: Stack, name: str) -> None:
    encrypt(stack, encryption_key=kms.Alias.from_alias_name(stack, "Alias", name))


def with_key(stack: Stack, **options: Any) -> None:
    encrypt(stack, encryption_key=kms.Key(stack, "Key", **options))


def grant_read(stack: Stack, grantee: Any) -> None:
    encrypt(stack).grant_read(grantee)


def named(*streams: Any) -> GuardedStreams:
    return GuardedStreams.named(*streams)


def with_provider(stack: Stack, **options: Any) -> None:
    KinesisStreamEncryptionProvider(stack, "Provider", **options)


def twice(stack: Stack) -> None:
    encrypt(stack, "First")
    again = kinesis.Stream.from_stream_arn(stack, "Again", stream_arn("orders"))
    encrypt(stack, "Second", stream=again)


def twice_by_name_and_arn(stack: Stack) -> None:
    encrypt(stack, "First")
    encrypt(stack, "Second", stream=stream_by_name(stack, "orders", "Again"))


def with_timeout_parameter(stack: Stack) -> None:
    minutes = CfnParameter(stack, "Minutes", type="Number").value_as_number
    encrypt(stack, timeout=Duration.minutes(minutes))


def with_another_construct_under_the_provider_id(stack: Stack) -> None:
    Construct(stack, "KinesisStreamEncryptionProvider")
    encrypt(stack)


MISUSES: list[tuple[str, Callable[[Stack], object], str]] = [
    (
        "timeout too short",
        lambda stack: encrypt(stack, timeout=Duration.seconds(30)),
        "timeout 30 seconds is out of range: pass 1 to 59 minutes, because CloudFormation waits at "
        "most one hour",
    ),
    (
        "timeout too long",
        lambda stack: encrypt(stack, timeout=Duration.hours(2)),
        "timeout 2 hours is out of range: pass 1 to 59 minutes, because CloudFormation waits at "
        "most one hour",
    ),
    (
        "timeout known only at deployment",
        with_timeout_parameter,
        "timeout is known only at deployment, but the permissions of the function depend on it: "
        "pass a fixed Duration",
    ),
    *(
        (
            name,
            partial(encrypt_arn, arn=arn),
            f"{arn!r} is not the ARN of a Kinesis data stream: use "
            "'arn:<partition>:kinesis:<region>:<account>:stream/<name>'",
        )
        for name, arn in NOT_A_STREAM.items()
    ),
    (
        "stream name, with tokens in the ARN",
        lambda stack: encrypt(stack, stream=stream_by_name(stack, "or:ders")),
        "malformed stream name 'or:ders': use 1 to 128 letters, digits, '_', '.', or '-'",
    ),
    (
        "ARN of an alias as that of a key",
        lambda stack: with_key_arn(stack, "arn:aws:kms:eu-central-1:111122223333:alias/orders"),
        "'arn:aws:kms:eu-central-1:111122223333:alias/orders' is the ARN of an alias, not of a "
        "key: use kms.Alias.from_alias_name(scope, id, 'alias/orders'), or, for an alias of "
        "another account, kms.Key.from_key_arn with the ARN of its key",
    ),
    (
        "ARN of an alias as its name",
        lambda stack: with_alias(stack, "arn:aws:kms:eu-central-1:444455556666:alias/shared"),
        "'arn:aws:kms:eu-central-1:444455556666:alias/shared' is the ARN of an alias, not of a "
        "key: use kms.Alias.from_alias_name(scope, id, 'alias/shared'), or, for an alias of "
        "another account, kms.Key.from_key_arn with the ARN of its key",
    ),
    (
        "not a key",
        lambda stack: with_key_arn(stack, "arn:aws:kms:eu-central-1:111122223333:key/a key"),
        "'arn:aws:kms:eu-central-1:111122223333:key/a key' is not the ARN of a KMS key: use "
        "'arn:<partition>:kms:<region>:<account>:key/<key ID>'",
    ),
    (
        "asymmetric key",
        lambda stack: with_key(stack, key_spec=kms.KeySpec.RSA_2048),
        "the key 'Stack/Key' has key_spec 'RSA_2048', but Kinesis requires a symmetric encryption "
        "key: remove key_spec, or set it to 'SYMMETRIC_DEFAULT'",
    ),
    (
        "HMAC key",
        lambda stack: with_key(
            stack, key_spec=kms.KeySpec.HMAC_256, key_usage=kms.KeyUsage.GENERATE_VERIFY_MAC
        ),
        "the key 'Stack/Key' has key_spec 'HMAC_256', but Kinesis requires a symmetric encryption "
        "key: remove key_spec, or set it to 'SYMMETRIC_DEFAULT'",
    ),
    (
        "disabled key",
        lambda stack: with_key(stack, enabled=False),
        "the key 'Stack/Key' is declared with enabled=False, so producers and consumers of the "
        "stream would fail: enable the key",
    ),
    (
        "alias without alias/",
        lambda stack: with_alias(stack, "aws/kinesis"),
        "malformed alias name 'aws/kinesis': use 'alias/aws/kinesis'",
    ),
    (
        "malformed alias",
        lambda stack: with_alias(stack, "alias/or ders"),
        "malformed alias name 'alias/or ders': use 'alias/' and 1 to 250 letters, digits, '/', "
        "'_', or '-'",
    ),
    (
        "key of another service",
        lambda stack: with_alias(stack, "alias/aws/s3"),
        "'alias/aws/s3' is the AWS managed key of another AWS service, so Kinesis cannot use it: "
        "pass a customer managed key, or omit the key to use 'alias/aws/kinesis'",
    ),
    (
        "runtime too old",
        lambda stack: with_provider(stack, runtime=lambda_.Runtime.PYTHON_3_10),
        "runtime 'python3.10' cannot run the handler: use Python 3.11 or newer",
    ),
    (
        "runtime of another language",
        lambda stack: with_provider(stack, runtime=lambda_.Runtime.NODEJS_22_X),
        "runtime 'nodejs22.x' cannot run the handler: use Python 3.11 or newer",
    ),
    (
        "another construct with the ID of the provider",
        with_another_construct_under_the_provider_id,
        "another construct in 'Stack' has the ID 'KinesisStreamEncryptionProvider': rename it, or "
        "first create a KinesisStreamEncryptionProvider with another ID",
    ),
]

# Python does not check types, and jsii does not know these constructs.
OF_ANOTHER_TYPE: list[tuple[str, Callable[[Stack], object], str]] = [
    ("stream name", lambda stack: encrypt(stack, stream="orders"), "stream is 'orders'"),
    (
        "L1 stream",
        lambda stack: encrypt(stack, stream=kinesis.CfnStream(stack, "Stream")),
        "pass an IStream, for example kinesis.Stream.from_stream_arn(scope, id, arn)",
    ),
    ("key", lambda stack: encrypt(stack, encryption_key="alias/a"), "the key is 'alias/a': pass"),
    ("timeout", lambda stack: encrypt(stack, timeout=600), "timeout is 600: pass a Duration"),
    ("grantee", lambda stack: grant_read(stack, ROLE_ARN), f"the grantee is '{ROLE_ARN}': pass an"),
    ("names in a list", lambda _: named(["a", "b"]), "a stream is ['a', 'b']: pass names"),
    ("selection", lambda stack: guard(stack, streams="orders"), "streams is 'orders': pass"),
    ("interval", lambda stack: guard(stack, check_interval=6), "check_interval is 6: pass a"),
    (
        "topic",
        lambda stack: guard(stack, notification_topic="alerts"),
        "notification_topic is 'alerts': pass an ITopic",
    ),
    ("remediation", lambda stack: guard(stack, remediation=True), "remediation is True: pass its"),
    ("provider", lambda stack: encrypt(stack, provider="shared"), "provider is 'shared': pass a"),
    ("role", lambda stack: with_provider(stack, role=ROLE_ARN), f"role is '{ROLE_ARN}': pass an"),
    ("log group", lambda stack: with_provider(stack, log_group="a"), "log_group is 'a': pass an"),
    (
        "runtime",
        lambda stack: with_provider(stack, runtime="python3.13"),
        "runtime is 'python3.13'",
    ),
]


@pytest.mark.parametrize(
    ("misuse", "message"), [pytest.param(*rest, id=name) for name, *rest in OF_ANOTHER_TYPE]
)
def test_argument_of_another_type_is_rejected(
    stack: Stack, misuse: Callable[[Stack], object], message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        misuse(stack)


# No exceptions, because the dummy values of a context lookup can cause the same conflicts.
CONFLICTS: list[tuple[str, Callable[[Stack], object], str]] = [
    (
        "stream in another Region",
        lambda stack: encrypt(stack, stream=stream_in(stack, region="us-east-1")),
        "the stream 'orders' is in Region 'us-east-1', but the stack 'Stack' is in 'eu-central-1': "
        "encrypt the stream in a stack with env=Environment(region='us-east-1')",
    ),
    (
        "stream in another account",
        lambda stack: encrypt(stack, stream=stream_in(stack, account="444455556666")),
        "the stream 'orders' is in account '444455556666', but the stack 'Stack' is in "
        "'111122223333': encrypt the stream in a stack with "
        "env=Environment(account='444455556666')",
    ),
    (
        "one stream twice",
        twice,
        "the stream 'orders' is already encrypted by 'Stack/First': two resources would switch "
        "its key back and forth; keep one of them",
    ),
    (
        "one stream twice, by ARN and by name",
        twice_by_name_and_arn,
        "the stream 'orders' is already encrypted by 'Stack/First': two resources would switch "
        "its key back and forth; keep one of them",
    ),
    (
        "key in another Region",
        lambda stack: with_key_arn(stack, KEY_ARN.replace("eu-central-1", "us-east-1")),
        "the key 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab' is "
        "in Region 'us-east-1', but the stream is in 'eu-central-1': pass a key in the Region of "
        "the stream, for example a replica of a multi-Region key",
    ),
    (
        "role of another account",
        lambda stack: with_provider(
            stack,
            role=iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::444455556666:role/mine"),
        ),
        "the role 'Stack/Role' belongs to account '444455556666', but the function to "
        "'111122223333': pass a role in the account of the function",
    ),
]


@pytest.mark.parametrize(
    ("misuse", "message"), [pytest.param(*rest, id=name) for name, *rest in MISUSES]
)
def test_invalid_value_is_rejected(
    stack: Stack, misuse: Callable[[Stack], object], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        misuse(stack)


@pytest.mark.parametrize(
    ("conflict", "message"), [pytest.param(*rest, id=name) for name, *rest in CONFLICTS]
)
def test_conflict_is_an_error_annotation(
    stack: Stack, conflict: Callable[[Stack], object], message: str
) -> None:
    conflict(stack)
    assert errors(stack) == [message]


def test_values_known_only_at_deployment_are_not_validated(env_agnostic_stack: Stack) -> None:
    stream = CfnParameter(env_agnostic_stack, "StreamArn").value_as_string
    key = CfnParameter(env_agnostic_stack, "KeyArn").value_as_string
    encrypt(
        env_agnostic_stack,
        stream=kinesis.Stream.from_stream_arn(env_agnostic_stack, "Stream", stream),
        encryption_key=kms.Key.from_key_arn(env_agnostic_stack, "Key", key),
    )


CHINA = Environment(account=ACCOUNT, region="cn-north-1")


@pytest.mark.parametrize("what", ["stream", "key"])
def test_arn_of_another_partition_is_an_error(app: App, what: str) -> None:
    stack = Stack(app, "China", env=CHINA)
    partition = {"stream": "aws-cn", "key": "aws-cn"} | {what: "aws"}
    stream = f"arn:{partition['stream']}:kinesis:cn-north-1:{ACCOUNT}:stream/orders"
    key = KEY_ARN.replace(REGION, "cn-north-1").replace("arn:aws:", f"arn:{partition['key']}:")
    encrypt(
        stack,
        stream=kinesis.Stream.from_stream_arn(stack, "Stream", stream),
        encryption_key=kms.Key.from_key_arn(stack, "Key", key),
    )
    (error,) = errors(stack)
    assert f"the ARN of the {what}, 'arn:aws:k" in error
    assert "has partition 'aws', but the Region of the stack is in partition 'aws-cn'" in error


def test_l1_key_is_validated(stack: Stack) -> None:
    resource = kms.CfnKey(stack, "Key", key_spec="RSA_2048", key_usage="ENCRYPT_DECRYPT")
    with pytest.raises(ValueError, match="has key_spec 'RSA_2048'"):
        encrypt(stack, encryption_key=kms.Key.from_key_arn(stack, "Imported", resource.attr_arn))
