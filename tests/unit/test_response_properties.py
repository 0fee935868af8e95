"""An answer keeps CloudFormation's limits, and what matters of its reason, whatever goes in."""

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
"""Characters of a reason's beginning that are kept however much else there is to tell."""

texts = st.text(max_size=3000) | st.text(st.characters(max_codepoint=127), max_size=3000)
# Escaped by JSON: the control characters, quotes and backslashes that cost most.
costly = st.text(st.sampled_from('"\\\x00\x1f\n\u20ac\U0001f600'), max_size=5000)


def composed(status: str, reason: str, physical_id: str = PHYSICAL_ID) -> dict[str, object]:
    """Compose an answer, check its form, and read it back."""
    data = DATA if status == "SUCCESS" else {}
    body = compose(IDS, status=status, reason=reason, physical_id=physical_id, data=data)
    assert len(body) <= MAX_BODY
    answer: dict[str, object] = json.loads(body)
    assert answer["Status"] == status
    assert {name: answer[name] for name in IDS} == IDS
    assert answer["Data"] == data
    assert answer["NoEcho"] is False
    return answer


def ascii_of(text: str) -> str:
    """A text as it is told."""
    return text.encode("ascii", "replace").decode()


@STEADY
@given(st.sampled_from(["SUCCESS", "FAILED"]), texts | costly)
def test_an_answer_is_within_the_limits(status: str, reason: str) -> None:
    told = composed(status, reason)["Reason"]
    assert isinstance(told, str)
    assert len(told) <= MAX_REASON
    kept = min(len(reason), KEPT)
    assert told[:kept] == ascii_of(reason)[:kept]


@STEADY
@given(texts)
def test_a_reason_that_fits_is_told_in_full(reason: str) -> None:
    if len(reason) <= KEPT:
        assert composed("FAILED", reason)["Reason"] == ascii_of(reason)


@STEADY
@given(st.text(min_size=1, max_size=3000))
def test_a_physical_id_is_never_empty_and_never_too_long(physical_id: str) -> None:
    told = composed("FAILED", "reason", physical_id)["PhysicalResourceId"]
    assert isinstance(told, str)
    assert 1 <= len(told.encode()) <= MAX_PHYSICAL_ID


@STEADY
@given(texts | costly, st.integers(0, 2000))
def test_what_is_cut_keeps_its_beginning_and_shows_the_cut(text: str, limit: int) -> None:
    told = cut(text, limit)
    assert len(told) <= limit
    assert told.isascii()
    if len(text) <= limit:
        assert told == ascii_of(text)
    else:
        assert told.endswith(" ..."[:limit])
        assert ascii_of(text).startswith(told.removesuffix(" ..."[:limit]))


def fields_of(cause: FailureCode) -> set[str]:
    """Names that an entry of the catalogue needs."""
    texts = Formatter().parse(cause.summary + cause.remedy)
    return {name for _, name, _, _ in texts if name}


@STEADY
@given(st.sampled_from(FailureCode), texts | costly)
def test_a_failure_tells_its_beginning_and_its_remedy(cause: FailureCode, words: str) -> None:
    """However long the words are that somebody else has put into it."""
    remedy = {"known", "expected", "remedy", "region", "account"}
    fields = {name: "short" if name in remedy else words for name in fields_of(cause)}
    told = str(Failure(cause, **fields))
    literal = cause.summary.split("{", 1)[0]
    assert told.startswith(literal)
    assert told.endswith(cause.remedy.format(**fields))
    assert len(told) <= MAX_REASON
    answer = composed("FAILED", told)
    assert str(answer["Reason"]).startswith(literal)
