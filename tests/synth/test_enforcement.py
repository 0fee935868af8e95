"""The Aspect that encrypts every stream in its scope."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Aspects, RemovalPolicy, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Annotations, Match

from kinesis_stream_encryption import EnforceStreamEncryption, KinesisStreamEncryption
from tests.synth.cloud import KEY_ARN, TYPE, only, properties, resources, stream_arn, stream_in

STREAM = "AWS::Kinesis::Stream"
KINESIS_KEY = {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
OWN_KEY = {"EncryptionType": "KMS", "KeyId": KEY_ARN}


@pytest.fixture
def key(stack: Stack) -> kms.IKey:
    return kms.Key.from_key_arn(stack, "Key", KEY_ARN)


def enforce(stack: Stack, **options: Any) -> None:
    Aspects.of(stack.node.root).add(EnforceStreamEncryption(**options))


def encryption(stack: Stack) -> Any:
    return properties(stack, STREAM).get("StreamEncryption")


def reported(stack: Stack) -> dict[str, str]:
    """Actions in the metadata of the synthesized app, by path."""
    app = stack.node.root
    assert isinstance(app, App)
    assembly = Path(app.synth().directory)
    manifest = json.loads((assembly / "manifest.json").read_text())
    artifact = manifest["artifacts"][stack.artifact_id]
    metadata = artifact.get("metadata") or json.loads(
        (assembly / artifact["additionalMetadataFile"]).read_text()
    )
    return {
        path: entry["data"]["action"]
        for path, entries in metadata.items()
        for entry in entries
        if entry["type"] == "cdk-kinesis-stream-encryption:enforced"
    }


class TestOwnedStreams:
    """Are encrypted by their own property."""

    def test_unencrypted(self, stack: Stack) -> None:
        kinesis.CfnStream(stack, "Owned", shard_count=1)
        enforce(stack)
        assert encryption(stack) == KINESIS_KEY
        assert resources(stack, TYPE) == {}
        assert reported(stack) == {"/Stack/Owned": "encrypted"}

    def test_unencrypted_on_purpose(self, stack: Stack) -> None:
        kinesis.Stream(stack, "Owned", encryption=kinesis.StreamEncryption.UNENCRYPTED)
        enforce(stack)
        assert encryption(stack) == KINESIS_KEY

    def test_unencrypted_with_a_key(self, stack: Stack, key: kms.IKey) -> None:
        kinesis.CfnStream(stack, "Owned", shard_count=1)
        enforce(stack, encryption_key=key)
        assert encryption(stack) == OWN_KEY

    def test_default_of_cdk_is_left_alone(self, stack: Stack) -> None:
        kinesis.Stream(stack, "Owned")
        enforce(stack)
        assert "Fn::If" in encryption(stack)
        assert reported(stack) == {"/Stack/Owned/Resource": "unchanged"}

    def test_any_key_is_left_alone_where_none_is_asked_for(
        self, stack: Stack, key: kms.IKey
    ) -> None:
        kinesis.Stream(stack, "Owned", encryption_key=key)
        enforce(stack)
        assert encryption(stack) == OWN_KEY
        assert reported(stack) == {"/Stack/Owned/Resource": "unchanged"}

    def test_the_wanted_key_is_left_alone(self, stack: Stack, key: kms.IKey) -> None:
        kinesis.Stream(stack, "Owned", encryption_key=key)
        enforce(stack, encryption_key=key)
        assert reported(stack) == {"/Stack/Owned/Resource": "unchanged"}

    @pytest.mark.parametrize(
        "mode", [kinesis.StreamEncryption.MANAGED, kinesis.StreamEncryption.KMS, None]
    )
    def test_another_key_is_replaced(
        self, stack: Stack, key: kms.IKey, mode: kinesis.StreamEncryption | None
    ) -> None:
        kinesis.Stream(stack, "Owned", encryption=mode)
        enforce(stack, encryption_key=key)
        assert encryption(stack) == OWN_KEY
        assert reported(stack) == {"/Stack/Owned/Resource": "encrypted"}

    def test_reference_to_an_owned_stream_adds_nothing(self, stack: Stack) -> None:
        owned = kinesis.CfnStream(stack, "Owned", shard_count=1)
        kinesis.Stream.from_stream_arn(stack, "Reference", owned.attr_arn)
        enforce(stack)
        assert resources(stack, TYPE) == {}


class TestReferencedStreams:
    """Get a custom resource."""

    def test_are_encrypted(self, stack: Stack, key: kms.IKey) -> None:
        stream_in(stack)
        enforce(stack, encryption_key=key)
        found = properties(stack)
        assert found["StreamArn"] == stream_arn("orders")
        assert found["KeyId"] == KEY_ARN
        assert found["OnDelete"] == "Retain"
        assert reported(stack) == {"/Stack/Stream-orders": "encrypted"}

    def test_removal_policy(self, stack: Stack) -> None:
        stream_in(stack)
        enforce(stack, removal_policy=RemovalPolicy.DESTROY)
        assert properties(stack)["OnDelete"] == "Restore"

    def test_are_encrypted_once_however_often_they_are_referred_to(self, stack: Stack) -> None:
        stream_in(stack)
        kinesis.Stream.from_stream_arn(stack, "Again", stream_arn("orders"))
        enforce(stack)
        assert len(resources(stack, TYPE)) == 1
        assert reported(stack) == {"/Stack/Stream-orders": "encrypted", "/Stack/Again": "unchanged"}

    def test_with_a_resource_of_their_own_are_left_alone(self, stack: Stack, key: kms.IKey) -> None:
        KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)
        enforce(stack, encryption_key=key)
        assert only(stack, TYPE)["Properties"]["KeyId"] == KEY_ARN
        assert reported(stack) == {"/Stack/Stream-orders": "unchanged"}
        Annotations.from_stack(stack).has_no_warning("*", Match.any_value())

    def test_with_a_resource_of_their_own_and_another_key_are_warned_of(
        self, stack: Stack, key: kms.IKey
    ) -> None:
        KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
        enforce(stack, encryption_key=key)
        assert properties(stack)["KeyId"] == "alias/aws/kinesis"
        Annotations.from_stack(stack).has_warning(
            "/Stack/Stream-orders", Match.string_like_regexp("keeps the key that 'Stack/Encryption")
        )

    def test_of_another_region_are_skipped_with_a_warning(self, stack: Stack) -> None:
        stream_in(stack, region="us-east-1")
        enforce(stack)
        assert resources(stack, TYPE) == {}
        assert reported(stack) == {"/Stack/Stream-orders": "skipped"}
        Annotations.from_stack(stack).has_warning(
            "/Stack/Stream-orders", Match.string_like_regexp("another region or account")
        )


def test_streams_outside_the_scope_are_left_alone(app: App, stack: Stack) -> None:
    other = Stack(app, "Other")
    kinesis.CfnStream(other, "Owned", shard_count=1)
    Aspects.of(stack).add(EnforceStreamEncryption())
    assert encryption(other) is None


def test_scope_without_streams_gets_nothing(stack: Stack) -> None:
    kms.Key(stack, "Key")
    enforce(stack)
    assert [each["Type"] for each in resources(stack).values()] == ["AWS::KMS::Key"]
