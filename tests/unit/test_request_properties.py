"""Whatever an event holds, it is carried out or refused by name: no other exception, no call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_encryption.aws.arn import Place
from stream_encryption.encryption.failure import Failure, FailureCode
from stream_encryption.protocol.request import Request, check_envelope, issue_time, parse
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
    """The handler wanted to call AWS: the event was good enough to be carried out."""


def outcome_of(event: Any) -> list[dict[str, Any]]:
    """Let the handler handle an event without AWS; give the answers it has sent."""

    def client(service: str) -> Any:
        raise Called(service)

    aws = StubbedAws(client)
    aws.invoke(deepcopy(event))
    assert aws.clock.elapsed == 0
    return aws.puts


def parsed(properties: object, **fields: object) -> Request | Failure:
    """Parse an event with these properties: a request, or the failure that says why not."""
    try:
        return parse({**EVENT, "ResourceProperties": properties, **fields}, HERE, NOW)
    except Failure as failure:
        return failure


def cause_of(action: Callable[[], object]) -> FailureCode | None:
    """Tell why an action fails; None when it does not."""
    try:
        action()
    except Failure as failure:
        return failure.cause
    return None


@STEADY
@given(json_values)
def test_any_event_has_a_sound_envelope_or_is_refused(event: Any) -> None:
    assert cause_of(lambda: check_envelope(event)) in {None, FailureCode.INVALID_EVENT}


@STEADY
@given(json_values)
def test_an_event_that_cannot_be_answered_is_reported_to_lambda(event: Any) -> None:
    assert cause_of(lambda: outcome_of(event)) is FailureCode.INVALID_EVENT


@STEADY
@given(st.sampled_from([name for name in EVENT if name != "ResponseURL"]), json_values)
def test_a_malformed_envelope_is_answered(name: str, value: object) -> None:
    try:
        answers = outcome_of({**EVENT, name: value})
    except Called:
        assert name not in ("RequestType", "ResourceProperties")
    else:
        assert [answer["Status"] for answer in answers] == ["FAILED"]
        assert answers[0]["PhysicalResourceId"]


@STEADY
@given(
    st.dictionaries(st.text(max_size=40) | st.sampled_from([*EVENT, "Continuation"]), json_values)
)
def test_additions_to_an_event_do_no_harm(additions: dict[str, Any]) -> None:
    try:
        answers = outcome_of({**additions, **EVENT})
    except Called:
        return
    assert [answer["Status"] for answer in answers] == ["FAILED"]


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
    told = str(outcome)
    assert name in told
    if value is not None and value != "NONE":
        assert ascii(value)[:100] in told
    assert told.isascii()


@STEADY
@given(st.text(max_size=60), json_values)
def test_an_unknown_property_is_named_with_its_value(name: str, value: object) -> None:
    known = {*PROPERTIES, "StreamName"}
    if name in known:
        return
    outcome = parsed({**PROPERTIES, name: value})
    assert isinstance(outcome, Failure)
    assert outcome.cause is FailureCode.UNKNOWN_PROPERTY
    assert ascii(name)[:100] in str(outcome)
    assert ascii(value)[:100] in str(outcome)


@STEADY
@given(
    st.sampled_from(["StreamArn", "KeyId", "EncryptionType", "Revision", "ServiceTimeout", "x"]),
    json_values,
)
def test_what_is_refused_is_refused_before_any_call(name: str, value: object) -> None:
    properties = {**PROPERTIES, name: value}
    refused = parsed(properties)
    try:
        answers = outcome_of({**EVENT, "ResourceProperties": properties})
    except Called:
        assert isinstance(refused, Request)
    else:
        assert isinstance(refused, Failure)
        assert [answer["Status"] for answer in answers] == ["FAILED"]
        assert answers[0]["Reason"] == str(refused)


@STEADY
@given(stream_names, key_ids, st.integers(1, 3600), json_values)
def test_sound_properties_are_read_as_they_are(
    name: str, key_id: str, timeout: int, revision: object
) -> None:
    told = {"KeyId": key_id, "ServiceTimeout": str(timeout), "Revision": revision}
    by_name = parsed({"StreamName": name, **told})
    by_arn = parsed({"StreamArn": HERE.arn("kinesis", f"stream/{name}"), **told})
    assert isinstance(by_name, Request)
    assert by_name == by_arn
    assert by_name.stream_arn.endswith(f":stream/{name}")
    assert by_name.key_id == key_id
    assert by_name.timeout == timeout
    assert NOW < by_name.deadline < NOW + timeout


@STEADY
@given(st.sampled_from(["X-Amz-Date", "Expires"]), st.text(max_size=80))
def test_any_date_in_the_url_is_borne(name: str, date: str) -> None:
    assert issue_time({"ResponseURL": f"https://s3.example/answer?{name}={date}"}, NOW) <= NOW
