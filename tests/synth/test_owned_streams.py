"""Streams of the app: the construct encrypts them and adds a warning."""

from __future__ import annotations

import pytest
from aws_cdk import Annotations as Acknowledgeable
from aws_cdk import App, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk.assertions import Annotations, Match

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.templates import HERE, encrypt, errors

WARNING = Match.string_like_regexp("the stream 'Stack/.*' belongs to this app")


def l2(stack: Stack) -> kinesis.IStream:
    return kinesis.Stream(stack, "Owned")


def l1(stack: Stack) -> kinesis.IStream:
    owned = kinesis.CfnStream(stack, "Owned", shard_count=1)
    return kinesis.Stream.from_stream_arn(stack, "Stream", owned.attr_arn)


@pytest.mark.parametrize("make", [l2, l1])
def test_owned_stream_causes_a_warning(stack: Stack, make: type) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=make(stack))
    Annotations.from_stack(stack).has_warning("/Stack/Encryption", WARNING)


def test_stream_of_another_stack_causes_a_warning(app: App, stack: Stack) -> None:
    other = Stack(app, "Other", env=HERE)
    KinesisStreamEncryption(other, "Encryption", stream=l2(stack))
    Annotations.from_stack(other).has_warning("/Other/Encryption", WARNING)


def test_imported_stream_causes_no_warning(stack: Stack) -> None:
    encrypt(stack)
    Annotations.from_stack(stack).has_no_warning("*", Match.any_value())


def test_warning_can_be_acknowledged(stack: Stack) -> None:
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=l2(stack))
    Acknowledgeable.of(encryption).acknowledge_warning(
        "cdk-kinesis-stream-encryption:ownedStream", "on purpose"
    )
    Annotations.from_stack(stack).has_no_warning("*", Match.any_value())


def test_owned_stream_that_is_encrypted_twice_is_an_error(stack: Stack) -> None:
    owned = kinesis.Stream(stack, "Owned")
    again = kinesis.Stream.from_stream_arn(stack, "Again", owned.stream_arn)
    KinesisStreamEncryption(stack, "First", stream=owned)
    KinesisStreamEncryption(stack, "Second", stream=again)
    (error,) = errors(stack)
    assert "is already encrypted by 'Stack/First'" in error
