"""A response keeps CloudFormation's limits and the essential parts of its reason for any input."""

from __future__ import annotations

import json
from string import Formatter

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_encryption.encryption.failure import MAX_REASON, Failure, FailureCode, cut
from stream_encryption.protocol.response import MAX_BODY, MAX_PHYSICAL_ID, compose

# The same examples each time, however busy the machine is.
STEADY = settings(derandomize=True, deadline=None, max_examples=2 * settings().max_examples)

# As long as AWS makes them: a stack's name has 128 characters, a logical id 255.
PLACE = "ap-northeast-1:111122223333"
IDS = {
    "StackId": f"arn:aws-us-gov:cloudformation:{PLACE}:stack/{'n' * 128}/{'g' * 36}",
    "RequestId": "r" * 36,
    "LogicalResourceId": "L" * 255,
}
# The longest stream ARN, and attributes with the longest names and ARNs.
PHYSICAL_ID = f"arn:aws-us-gov:kinesis:{PLACE}:stream/{'s' * 128}"
DATA = {
    "StreamName": "s" * 128,
    "StreamArn": PHYSICAL_ID,
    "EncryptionType": "KMS",
    "KeyId": f"arn:aws-us-gov:kms:{PLACE}:alias/{'k' * 250}",
    "KeyArn": f"arn:aws-us-gov:kms:{PLACE}:key/{'k' * 36}",
}
KEPT = 300
"""Characters at the beginning of a reason that are never truncated."""

texts = st.text(max_size=3000) | st.text(st.characters(max_codepoint=127), max_size=3000)
# Escaped by JSON: the control characters, quotes and backslashes that cost most.
costly = st.text(st.sampled_from('"\\\x00\x1f\n\u20ac\U0001f600'), max_size=5000)


def composed(status: str, reason: str, physical_id: str = PHYSICAL_ID) -> dict[str, object]:
    """Compose a response, check its format, and parse it."""
    data = DATA if status == "SUCCESS" else {}
    body = compose(IDS, status=status, reason=reason, physical_id=physical_id, data=data)
    assert len(body) <= MAX_BODY
    response: dict[str, object] = json.loads(body)
    assert response["Status"] == status
    assert {name: response[name] for name in IDS} == IDS
    assert response["Data"] == data
    assert response["NoEcho"] is False
    return response


def ascii_of(text: str) -> str:
    """A text as it is sent."""
    return text.encode("ascii", "replace").decode()


@STEADY
@given(st.sampled_from(["SUCCESS", "FAILED"]), texts | costly)
def test_a_response_is_within_the_limits(status: str, reason: str) -> None:
    text = composed(status, reason)["Reason"]
    assert isinstance(text, str)
    assert len(text) <= MAX_REASON
    assert text[:KEPT] == ascii_of(reason)[:KEPT]
    assert len(reason) > KEPT or text == ascii_of(reason)


@STEADY
@given(st.text(min_size=1, max_size=3000))
def test_a_physical_id_is_never_empty_and_never_too_long(physical_id: str) -> None:
    text = composed("FAILED", "reason", physical_id)["PhysicalResourceId"]
    assert isinstance(text, str)
    assert 1 <= len(text.encode()) <= MAX_PHYSICAL_ID


@STEADY
@given(texts | costly, st.integers(0, 2000))
def test_a_truncated_text_keeps_its_beginning_and_ends_with_a_mark(text: str, limit: int) -> None:
    truncated = cut(text, limit)
    assert len(truncated) <= limit
    assert truncated.isascii()
    if len(text) <= limit:
        assert truncated == ascii_of(text)
    else:
        assert truncated.endswith(" ..."[:limit])
        assert ascii_of(text).startswith(truncated.removesuffix(" ..."[:limit]))


def fields_of(code: FailureCode) -> set[str]:
    """Names of the fields of a catalog entry."""
    texts = Formatter().parse(code.cause + code.remedy)
    return {name for _, name, _, _ in texts if name}


@STEADY
@given(st.sampled_from(FailureCode), texts | costly)
def test_a_failure_keeps_its_beginning_and_its_remedy(code: FailureCode, words: str) -> None:
    """However long its fields are."""
    remedy = {"known", "expected", "remedy", "fix", "region", "account"}
    fields = {name: "short" if name in remedy else words for name in fields_of(code)}
    text = str(Failure(code, **fields))
    literal = f"{code.name}: " + code.cause.split("{", 1)[0]
    assert text.startswith(literal)
    assert text.endswith(code.remedy.format(**fields))
    assert len(text) <= MAX_REASON
    response = composed("FAILED", text)
    assert str(response["Reason"]).startswith(literal)
