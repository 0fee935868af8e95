"""Any event is performed or rejected by name: no other exception, no call."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_encryption.aws.arn import Place
from stream_encryption.encryption.failure import Failure, FailureCode
from stream_encryption.protocol.request import Request, issue_time, parse
from tests.unit.stubs import ACCOUNT, BEGIN, KEY_ID, REGION, StubbedAws, event

HERE = Place("aws", REGION, ACCOUNT)
NOW = BEGIN.timestamp()
EVENT = event("Update", KeyId="alias/orders", Revision="1")
PROPERTIES = EVENT["ResourceProperties"]

# The same examples each time, however busy the machine is.
STEADY = settings(derandomize=True, deadline=None, max_examples=2 * settings().max_examples)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4)
    ),
    max_leaves=10,
)
key_ids = st.one_of(
    st.just(KEY_ID),
    st.just("mrk-0123456789abcdef0123456789abcdef"),
    st.just("alias/aws/kinesis"),
    st.from_regex(r"alias/[a-zA-Z0-9_-]{1,200}", fullmatch=True),
    st.just(f"arn:aws:kms:{REGION}:444455556666:key/{KEY_ID}"),
    st.just(f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/orders"),
)
stream_names = st.from_regex(r"[a-zA-Z0-9_.-]{1,128}", fullmatch=True)


class Called(BaseException):
    """The handler called AWS: the event was valid."""


def outcome_of(event: Any) -> list[dict[str, Any]]:
    """Handle an event without AWS; return the responses."""

    def client(service: str) -> Any:
        raise Called(service)

    aws = StubbedAws(client)
    aws.invoke(deepcopy(event))
    assert aws.clock.elapsed == 0
    return aws.puts


def parsed(properties: object, **fields: object) -> Request | Failure:
    """Parse an event with these properties; return the request or the failure."""
    try:
        return parse({**EVENT, "ResourceProperties": properties, **fields}, HERE, NOW)
    except Failure as failure:
        return failure


@STEADY
@given(json_values)
def test_an_event_without_a_response_url_is_reported_to_lambda(event: Any) -> None:
    with pytest.raises(Failure, match="INVALID_EVENT: "):
        outcome_of(event)


@STEADY
@given(st.sampled_from([name for name in EVENT if name != "ResponseURL"]), json_values)
def test_a_malformed_envelope_has_a_response(name: str, value: object) -> None:
    try:
        responses = outcome_of({**EVENT, name: value})
    except Called:
        assert name not in ("RequestType", "ResourceProperties")
    else:
        assert [response["Status"] for response in responses] == ["FAILED"]
        assert responses[0]["PhysicalResourceId"]


@STEADY
@given(
    st.dictionaries(st.text(max_size=40) | st.sampled_from([*EVENT, "Continuation"]), json_values)
)
def test_additional_fields_are_harmless(additions: dict[str, Any]) -> None:
    try:
        responses = outcome_of({**additions, **EVENT})
    except Called:
        return
    assert [response["Status"] for response in responses] == ["FAILED"]


@STEADY
@given(json_values)
def test_any_properties_make_a_request_or_a_failure(properties: object) -> None:
    assert isinstance(parsed(properties), Request | Failure)


@STEADY
@given(st.dictionaries(st.sampled_from([*PROPERTIES, "StreamName", "KeyID"]), json_values))
def test_any_values_make_a_request_or_a_failure(values: Mapping[str, Any]) -> None:
    outcome = parsed({**PROPERTIES, **values})
    assert isinstance(outcome, Request | Failure)
    if isinstance(outcome, Request):
        assert outcome.key_id == values.get("KeyId", PROPERTIES["KeyId"])
        assert 1 <= outcome.timeout <= 3600


@STEADY
@given(
    st.sampled_from(["StreamArn", "KeyId", "EncryptionType", "ServiceTimeout"]),
    json_values,
)
def test_a_bad_value_is_named_with_its_property(name: str, value: object) -> None:
    outcome = parsed({**PROPERTIES, name: value})
    if not isinstance(outcome, Failure):
        return
    text = str(outcome)
    assert name in text
    if value is not None and value != "NONE":
        assert ascii(value)[:100] in text
    assert text.isascii()


@STEADY
@given(st.text(max_size=60), json_values)
def test_an_unknown_property_is_named_with_its_value(name: str, value: object) -> None:
    known = {*PROPERTIES, "StreamName"}
    if name in known:
        return
    outcome = parsed({**PROPERTIES, name: value})
    assert isinstance(outcome, Failure)
    assert outcome.code is FailureCode.UNKNOWN_PROPERTY
    assert ascii(name)[:100] in str(outcome)
    assert ascii(value)[:100] in str(outcome)


@STEADY
@given(
    st.sampled_from(["StreamArn", "KeyId", "EncryptionType", "Revision", "ServiceTimeout", "x"]),
    json_values,
)
def test_rejection_precedes_any_call(name: str, value: object) -> None:
    properties = {**PROPERTIES, name: value}
    refused = parsed(properties)
    try:
        responses = outcome_of({**EVENT, "ResourceProperties": properties})
    except Called:
        assert isinstance(refused, Request)
    else:
        assert isinstance(refused, Failure)
        assert [response["Status"] for response in responses] == ["FAILED"]
        assert responses[0]["Reason"] == str(refused)


@STEADY
@given(stream_names, key_ids, st.integers(1, 3600), json_values)
def test_valid_properties_are_unchanged(
    name: str, key_id: str, timeout: int, revision: object
) -> None:
    others = {"KeyId": key_id, "ServiceTimeout": str(timeout), "Revision": revision}
    by_name = parsed({"StreamName": name, **others})
    by_arn = parsed({"StreamArn": HERE.arn("kinesis", f"stream/{name}"), **others})
    assert isinstance(by_name, Request)
    assert by_name == by_arn
    assert by_name.stream_arn.endswith(f":stream/{name}")
    assert by_name.key_id == key_id
    assert by_name.timeout == timeout
    assert NOW < by_name.deadline < NOW + timeout


@STEADY
@given(st.sampled_from(["X-Amz-Date", "Expires"]), st.text(max_size=80))
def test_any_date_in_the_url_is_accepted(name: str, date: str) -> None:
    assert issue_time({"ResponseURL": f"https://s3.example/response?{name}={date}"}, NOW) <= NOW
