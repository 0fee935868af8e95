"""Malformed events and properties are rejected by name before any call."""

from __future__ import annotations

from typing import Any

import pytest

from stream_encryption.encryption.failure import Failure
from tests.unit.stubs import KEY, KEY_ID, STREAM, StubbedAws, event

ELSEWHERE = "arn:aws:kinesis:us-east-1:111122223333:stream/orders"
OTHER_ACCOUNT = "arn:aws:kinesis:eu-central-1:444455556666:stream/orders"
OTHER_PARTITION = "arn:aws-cn:kinesis:eu-central-1:111122223333:stream/orders"

REJECTED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown property": ({"StreamARN": STREAM}, "StreamARN", "Known properties"),
    "no stream": ({"StreamArn": None}, "StreamArn is missing", "stream ARN"),
    "two streams": ({"StreamName": "orders"}, "Both StreamArn", "exactly one"),
    "stream ARN of another service": (
        {"StreamArn": "arn:aws:sqs:eu-central-1:111122223333:stream/orders"},
        "arn:aws:sqs",
        "stream ARN",
    ),
    "consumer ARN": ({"StreamArn": f"{STREAM}/consumer/c:1"}, "consumer", "stream ARN"),
    "stream in another region": (
        {"StreamArn": ELSEWHERE},
        "is in aws/us-east-1/111122223333, and this function is in aws/eu-central-1/111122223333",
        "Region",
    ),
    "stream in another account": ({"StreamArn": OTHER_ACCOUNT}, "444455556666", "account"),
    "stream in another partition": ({"StreamArn": OTHER_PARTITION}, "aws-cn", "partition"),
    "stream ARN as a list": ({"StreamArn": [STREAM]}, "StreamArn", "stream ARN"),
    "empty stream name": ({"StreamArn": None, "StreamName": ""}, "StreamName", "1 to 128"),
    "long stream name": ({"StreamArn": None, "StreamName": "x" * 129}, "xxx", "1 to 128"),
    "stream name with a space": ({"StreamArn": None, "StreamName": "a b"}, "'a b'", "letters"),
    "stream name beyond ASCII": ({"StreamArn": None, "StreamName": "größe"}, "gr\\xf6", "letters"),
    "stream name with a line end": ({"StreamArn": None, "StreamName": "a\n"}, "a\\n", "letters"),
    "account in other digits": (
        {"StreamArn": STREAM.replace("1", "\u0661")},
        "\\u0661",
        "stream ARN",
    ),
    "no key": ({"KeyId": None}, "KeyId is missing", "alias/aws/kinesis"),
    "empty key": ({"KeyId": ""}, "KeyId", "alias/aws/kinesis"),
    "key as a map": ({"KeyId": {"Ref": "Key"}}, "Ref", "key ARN"),
    "alias without its prefix": (
        {"KeyId": "aws/kinesis"},
        "'aws/kinesis'",
        "with the prefix alias/",
    ),
    "bare alias name": ({"KeyId": "orders"}, "'orders'", "begins with alias/"),
    "another service's key": (
        {"KeyId": "alias/aws/s3"},
        "alias/aws/s3",
        "a customer managed key",
    ),
    "key in another region": (
        {"KeyId": KEY.replace("eu-central-1", "us-east-1")},
        "us-east-1",
        "Region and partition of the stream",
    ),
    "overlong key": ({"KeyId": "alias/" + "k" * 3000}, "3008 characters", "alias/"),
    "ARN of no key": ({"KeyId": "arn:aws:kms:eu-central-1:111122223333:grant/1"}, "grant", "key"),
    "no encryption": ({"EncryptionType": "NONE"}, "NONE", "call StopStreamEncryption yourself"),
    "unknown encryption": ({"EncryptionType": "AES"}, "'AES'", "KMS"),
    "OnDelete": ({"OnDelete": "Retain"}, "'OnDelete' (value 'Retain')", "Known properties"),
    "timeout of zero": ({"ServiceTimeout": "0"}, "'0'", "1 to 3600"),
    "timeout over an hour": ({"ServiceTimeout": "3601"}, "'3601'", "1 to 3600"),
    "timeout in words": ({"ServiceTimeout": "ten"}, "'ten'", "1 to 3600"),
    "timeout as a map": ({"ServiceTimeout": {}}, "{}", "1 to 3600"),
}


@pytest.mark.parametrize("kind", ["Create", "Update"])
@pytest.mark.parametrize("case", REJECTED)
def test_property_is_rejected_by_name_with_value_and_remedy(
    aws: StubbedAws, kind: str, case: str
) -> None:
    properties, value, remedy = REJECTED[case]
    reason = aws.fails(event(kind, **properties))
    assert value in reason
    assert remedy in reason
    assert aws.clients_made == []


@pytest.mark.parametrize(
    "properties",
    [
        {"StreamArn": None, "StreamName": "orders"},
        {"KeyId": KEY_ID},
        {"KeyId": "ABCDEF78-90AB-CDEF-1234-567890ABCDEF"},
        {"KeyId": "mrk-1234abcd12ab34cd56ef1234567890ab"},
        {"KeyId": "alias/team/orders_1-2"},
        {"KeyId": "alias/aws/kinesis"},
        {"KeyId": "arn:aws:kms:eu-central-1:444455556666:alias/theirs"},
        {"KeyId": "arn:aws:kms:eu-central-1:444455556666:key/" + KEY_ID},
        {"EncryptionType": None, "ServiceTimeout": None},
        {"Revision": "7", "ServiceTimeout": 3600},
        {"Revision": ["any", {"thing": "at all"}]},
    ],
    ids=str,
)
def test_every_format_of_the_api_is_accepted(aws: StubbedAws, properties: dict[str, Any]) -> None:
    key = properties.get("KeyId", KEY)
    if "alias" in key:
        aws.kms.fails("describe_key", "DisabledException")
    aws.kinesis.shows("ACTIVE", key)
    aws.succeeds(event("Update", **properties))


@pytest.mark.parametrize("value", [None, 7, [], "", "Replace"])
@pytest.mark.parametrize("name", ["RequestType", "StackId", "RequestId", "LogicalResourceId"])
def test_response_to_a_malformed_envelope_with_a_response_url(
    aws: StubbedAws, name: str, value: object
) -> None:
    if name != "RequestType" and value == "Replace":
        value = {}
    reason = aws.fails({**event(), name: value})
    assert name in reason
    assert aws.clients_made == []


def test_update_without_a_physical_id_is_rejected(aws: StubbedAws) -> None:
    assert "PhysicalResourceId" in aws.fails({**event("Update"), "PhysicalResourceId": ""})


@pytest.mark.parametrize("properties", [None, [], "text", 1])
def test_properties_that_are_no_map_are_rejected(aws: StubbedAws, properties: object) -> None:
    assert "ResourceProperties" in aws.fails({**event(), "ResourceProperties": properties})


@pytest.mark.parametrize("sent", [None, [], "text", {}, {"ResponseURL": 3}])
def test_event_without_a_response_url_raises(aws: StubbedAws, sent: object) -> None:
    with pytest.raises(Failure, match="INVALID_EVENT: The custom resource event is malformed"):
        aws.invoke(sent)
    assert aws.puts == []


@pytest.mark.parametrize("url", ["...", "", "ftp://bucket.s3.example/response", "https:///", "//x"])
@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_response_url_that_is_no_http_url_is_rejected_before_any_call(
    aws: StubbedAws, kind: str, url: str
) -> None:
    """The framework of CDK's Provider sends "..." to the function that it calls."""
    with pytest.raises(Failure) as raised:
        aws.invoke({**event(kind), "ResponseURL": url})
    assert str(raised.value) == (
        f"INVALID_EVENT: The custom resource event is malformed: ResponseURL is '{url}', not an"
        " HTTP URL. Send events as CloudFormation does. ServiceToken must be the ARN of the"
        " function itself, not of a custom_resources.Provider."
    )
    assert aws.clients_made == []
    assert aws.attempts == []


def test_malformed_event_sends_no_response_to_a_previous_url(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", KEY)
    aws.succeeds(event("Update"))
    with pytest.raises(Failure):
        aws.invoke({**event(), "ResponseURL": None})
    assert len(aws.puts) == 1


def test_long_value_is_truncated(aws: StubbedAws) -> None:
    reason = aws.fails(event(EncryptionType="x" * 99))
    assert f"invalid value '{'x' * 99}... (101 characters). Specify KMS" in reason
