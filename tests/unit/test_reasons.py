"""Reasons word by word: they are what a user has when a deployment fails."""

from __future__ import annotations

from typing import Any

import pytest

from stream_encryption.custom_resource import failure_of
from stream_encryption.failure import Cause, Failure
from stream_encryption.handler import on_event
from tests.unit.world import KEY, OTHER_STREAM, STREAM, World, event

_SEND = "Send the event as CloudFormation does; see the custom resource request reference."
_STREAM = "a stream ARN such as arn:aws:kinesis:eu-central-1:111122223333:stream/orders."
_KEY = (
    "a key id, a key ARN, an alias ARN, an alias name that begins with alias/, or"
    " alias/aws/kinesis."
)

REASONS: list[tuple[dict[str, Any], str]] = [
    (
        {**event(), "RequestType": "Replace"},
        f"Malformed custom resource event: RequestType is 'Replace'. {_SEND}",
    ),
    (
        {**event(), "LogicalResourceId": 7},
        f"Malformed custom resource event: LogicalResourceId is 7. {_SEND}",
    ),
    (
        {**event(), "ResourceProperties": ["x"]},
        f"Malformed custom resource event: ResourceProperties is ['x']. {_SEND}",
    ),
    (
        event(StreamARN="orders"),
        "Unknown property 'StreamARN' (value 'orders'). Remove it. Known properties:"
        " EncryptionType, KeyId, OnDelete, StreamArn, StreamName.",
    ),
    (event(StreamArn=None), f"Property StreamArn is missing. Set it: {_STREAM}"),
    (
        event(StreamArn="orders"),
        f"Property StreamArn has the invalid value 'orders'. Give {_STREAM}",
    ),
    (
        event(StreamArn=None, StreamName="a b"),
        "Property StreamName has the invalid value 'a b'. Give a stream name of 1 to 128 letters,"
        " digits, '_', '.' and '-'.",
    ),
    (
        event(StreamName="orders"),
        f"Both StreamArn '{STREAM}' and StreamName 'orders' are given. Give exactly one of them,"
        " preferably StreamArn.",
    ),
    (event(KeyId=None), f"Property KeyId is missing. Set it: {_KEY}"),
    (event(KeyId="orders"), f"Property KeyId has the invalid value 'orders'. Give {_KEY}"),
    (event(KeyId=[7]), f"Property KeyId has the invalid value [7]. Give {_KEY}"),
    (
        event(StreamArn=STREAM.replace("eu-central-1", "us-east-1")),
        f"Stream {STREAM.replace('eu-central-1', 'us-east-1')} is in aws/us-east-1/111122223333,"
        " this function in aws/eu-central-1/111122223333. Declare the resource in a stack of the"
        " stream's own partition, region and account.",
    ),
    (
        event(KeyId="aws/kinesis"),
        "Property KeyId has the invalid value 'aws/kinesis'. Give alias/aws/kinesis, with its"
        " alias/.",
    ),
    (
        event(KeyId="alias/aws/s3"),
        "Property KeyId has the invalid value 'alias/aws/s3'. Give a key of your own or"
        " alias/aws/kinesis: keys that AWS owns for other services refuse Kinesis.",
    ),
    (
        event(KeyId=KEY.replace("eu-central-1", "us-east-1")),
        f"Key {KEY.replace('eu-central-1', 'us-east-1')} is in aws/us-east-1/111122223333, stream"
        f" {STREAM} in aws/eu-central-1/111122223333. Give a KMS key of the stream's own region"
        " and partition.",
    ),
    (
        event(EncryptionType="NONE"),
        f"EncryptionType NONE is refused: this resource encrypts stream {STREAM}, it does not"
        " decrypt it. Remove the property or set KMS. To end encryption, delete the resource with"
        " OnDelete Restore, or call StopStreamEncryption.",
    ),
    (
        event(EncryptionType="AES"),
        "Property EncryptionType has the invalid value 'AES'. Give KMS, the only type that Kinesis"
        " has.",
    ),
    (
        event(OnDelete="Destroy"),
        "Property OnDelete has the invalid value 'Destroy'. Give Retain or Restore.",
    ),
    (
        event(ServiceTimeout="0"),
        "Property ServiceTimeout has the invalid value '0'. Give a whole number of seconds from 1"
        " to 3600.",
    ),
    (
        event(OnDelete="x" * 98),
        f"Property OnDelete has the invalid value '{'x' * 98}'. Give Retain or Restore.",
    ),
    (
        event(OnDelete="x" * 99),
        f"Property OnDelete has the invalid value '{'x' * 99}... (101 characters). Give Retain or"
        " Restore.",
    ),
]


@pytest.mark.parametrize(("sent", "reason"), REASONS, ids=[reason[:60] for _, reason in REASONS])
def test_malformed_request_is_refused_in_these_words(
    world: World, sent: dict[str, Any], reason: str
) -> None:
    assert world.fails(sent) == reason


def test_event_that_is_no_map_is_refused_in_these_words(world: World) -> None:
    with pytest.raises(Failure) as raised:
        world.invoke([7])
    assert str(raised.value) == f"Malformed custom resource event: it is [7]. {_SEND}"


def test_function_refuses_what_is_no_event(capsys: pytest.CaptureFixture[str]) -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 1000

    with pytest.raises(Failure, match="Malformed"):
        on_event({}, Context())
    assert "malformed event" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("named", "stream"), [({}, STREAM), ({"StreamArn": None, "StreamName": "orders"}, "orders")]
)
def test_unexpected_error_is_told_with_stream_and_key(
    world: World, monkeypatch: pytest.MonkeyPatch, named: dict[str, Any], stream: str
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(world.kinesis.client, "describe_stream_summary", fail)
    assert world.fails(event("Update", **named)) == (
        f"Unexpected error for stream {stream}, key {KEY} (RuntimeError: out of luck). See the"
        " function's log; deploying again is safe."
    )


def test_properties_that_are_no_map_name_no_stream() -> None:
    failure = failure_of({"ResourceProperties": ["x"]}, Cause.UNEXPECTED, "why")
    assert str(failure).startswith("Unexpected error for stream None, key None (why).")


class TestMadeUpId:
    """A Create that names no stream still needs an id, the same at each delivery."""

    def test_id_is_the_resource_in_its_stack(self, world: World) -> None:
        bad = event(OnDelete="Destroy")
        first = world.answer_to(bad)["PhysicalResourceId"]
        assert first.startswith("Encryption-")
        assert first == world.answer_to(bad)["PhysicalResourceId"]
        other = world.answer_to({**bad, "StackId": bad["StackId"] + "x"})
        assert other["PhysicalResourceId"] not in ("", first)
        assert other["PhysicalResourceId"].startswith("Encryption-")

    def test_id_that_cloudformation_holds_stays(self, world: World) -> None:
        answer = world.answer_to(event("Update", physical_id=OTHER_STREAM, OnDelete="Destroy"))
        assert answer["PhysicalResourceId"] == OTHER_STREAM
