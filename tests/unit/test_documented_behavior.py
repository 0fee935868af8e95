"""docs/behavior.md says what the handler does: every row of its table is carried out."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from string import Formatter
from typing import Any

import pytest

from docs.generate_behavior import PAGE, with_catalogue
from stream_encryption.encryption.failure import Failure, FailureCode
from tests.unit.stubs import (
    ACCOUNT,
    BEGIN,
    KEY,
    OTHER_KEY,
    OTHER_STREAM,
    REGION,
    STREAM,
    StubbedAws,
    event,
)

ALIAS_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/orders"
SPENT = f"Rate exceeded for stream orders under account {ACCOUNT}."
DENIED = "not authorized to perform it with an explicit deny in an identity-based policy"


def rows() -> list[tuple[str, str, str, str]]:
    """Rows of the first table: request, found, calls, outcome."""
    table = PAGE.read_text().split("|---|---|---|---|\n", 1)[1].split("\n\n", 1)[0]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return [(request, found, calls, outcome) for request, found, calls, outcome in cells]


def missing(aws: StubbedAws) -> None:
    aws.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")


def shows(*seen: tuple[str, str | None]) -> Callable[[StubbedAws], None]:
    def prepare(aws: StubbedAws) -> None:
        for status, key in seen:
            aws.kinesis.shows(status, key)

    return prepare


def alias_in_use(aws: StubbedAws) -> None:
    aws.kinesis.shows("ACTIVE", "alias/orders")
    aws.kms.shows(asked=ALIAS_ARN, times=2)  # for the attribute KeyArn, too


FOUND: dict[str, Callable[[StubbedAws], None]] = {
    "no such stream": missing,
    "anything": lambda aws: None,
    "`DELETING`": shows(("DELETING", None)),
    "`CREATING`, then `ACTIVE` with the wanted key": shows(("CREATING", None), ("ACTIVE", KEY)),
    "`UPDATING`, then `ACTIVE` with the wanted key": shows(("UPDATING", None), ("ACTIVE", KEY)),
    "`UPDATING`, then `ACTIVE` in plaintext": shows(("UPDATING", KEY), ("ACTIVE", None)),
    "`UPDATING` until the deadline": lambda aws: aws.kinesis.keeps_showing("UPDATING"),
    "`ACTIVE` with the wanted key": shows(("ACTIVE", KEY)),
    "`ACTIVE` with the wanted key, spelt in another form": alias_in_use,
    "`ACTIVE` in plaintext": shows(("ACTIVE", None)),
    "`ACTIVE` with another key": shows(("ACTIVE", OTHER_KEY)),
}

# What is the matter beside the stream's state: the key as KMS shows it, the request as its stack
# shows it, the start's refusal, and what the stream is seen as afterwards.
KEY_DEFECTS: dict[str, Callable[[StubbedAws], None]] = {
    "the wanted key does not exist": lambda w: w.kms.keeps_failing(
        "describe_key", "NotFoundException"
    ),
    "the wanted key is disabled": lambda w: w.kms.keeps(lambda: w.kms.shows(KeyState="Disabled")),
    "the wanted key is asymmetric": lambda w: w.kms.shows(KeySpec="RSA_2048"),
}
CANCELLED = "the request is cancelled meanwhile"
REFUSALS: dict[str, tuple[str, str]] = {
    "`ResourceInUseException` on the start": ("ResourceInUseException", ""),
    "the changes of the day are spent": ("LimitExceededException", SPENT),
    "the start is denied explicitly": ("AccessDeniedException", DENIED),
}
MISHAPS: dict[str, Callable[[StubbedAws], None]] = {
    "deleted during the wait": missing,
    "given another key by others during the wait": lambda w: w.kinesis.keeps_showing(
        "ACTIVE", OTHER_KEY
    ),
}


def split(found: str) -> tuple[str, str]:
    """Split what is found into the stream's state and what else is the matter."""
    for extra in [*KEY_DEFECTS, CANCELLED, *REFUSALS, *MISHAPS]:
        if found.endswith(extra):
            return found.removesuffix(extra).removesuffix(", "), extra
    return found, ""


def requests(request: str) -> list[dict[str, Any]]:
    match request:
        case "Create, Update":
            return [event(), event("Update", old={"KeyId": OTHER_KEY})]
        case "Update to another stream":
            return [event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})]
        case "Delete":
            return [event("Delete"), event("Delete", physical_id="app-Encryption-1A2B3C4D")]
    raise AssertionError(request)


CASES = [
    pytest.param(sent, found, calls, outcome, id=f"{request} ({number}): {found}")
    for request, found, calls, outcome in rows()
    for number, sent in enumerate(requests(request))
]


@pytest.mark.parametrize(("sent", "found", "calls", "outcome"), CASES)
def test_row_of_the_table(
    aws: StubbedAws, sent: dict[str, Any], found: str, calls: str, outcome: str
) -> None:
    state, extra = split(found)
    kind = sent["RequestType"]
    FOUND[state](aws)
    if extra in KEY_DEFECTS:
        KEY_DEFECTS[extra](aws)
    elif extra == CANCELLED:
        aws.kms.shows()
        aws.cloudformation.shows("DELETE_IN_PROGRESS", BEGIN + timedelta(seconds=10))
    elif calls == "start":
        aws.changes(kind)
        MISHAPS.get(extra, becomes_as_wanted)(aws)
    elif calls == "start, refused":
        aws.allows_a_change(kind)
        refuse(aws, extra, kind)
    elif ", then " in found:
        aws.kinesis.shows("ACTIVE", KEY)  # still so once it has settled
    answer = aws.answer_to(sent)
    if outcome.startswith("SUCCESS"):
        assert answer["Status"] == "SUCCESS", answer["Reason"]
    else:
        cause = FailureCode[outcome.removeprefix("FAILED ").strip("`")]
        assert answer["Status"] == "FAILED"
        assert re.match(pattern_of(cause), answer["Reason"]), answer["Reason"]
    if outcome == "SUCCESS, a new physical id":
        assert answer["PhysicalResourceId"] == STREAM
    elif kind != "Create":
        assert answer["PhysicalResourceId"] == sent["PhysicalResourceId"]


def becomes_as_wanted(aws: StubbedAws) -> None:
    aws.kinesis.shows("UPDATING", KEY)
    aws.kinesis.shows("ACTIVE", KEY, times=2)


def refuse(aws: StubbedAws, extra: str, kind: str) -> None:
    code, message = REFUSALS[extra]
    aws.kinesis.fails("start_stream_encryption", code, message)
    if code == "ResourceInUseException":
        becomes_as_wanted(aws)
    if code == "LimitExceededException":
        aws.kms.keeps(aws.kms.shows)
        aws.cloudformation.keeps(lambda: aws.cloudformation.shows(f"{kind.upper()}_IN_PROGRESS"))

        def again() -> None:
            aws.kinesis.shows("ACTIVE")
            aws.kinesis.fails("start_stream_encryption", code, message)

        aws.kinesis.keeps(again)


def pattern_of(cause: FailureCode) -> str:
    """Pattern of the cause's first line, with anything in place of its fields."""
    return re.sub(r"\\\{\w+\\\}", ".+", re.escape(cause.summary))


def test_catalogue_of_failures_is_current() -> None:
    assert PAGE.read_text() == with_catalogue(PAGE.read_text()), "run make docs"


@pytest.mark.parametrize("cause", FailureCode)
def test_every_failure_can_be_told(cause: FailureCode) -> None:
    texts = Formatter().parse(cause.summary + cause.remedy)
    fields = {name: f"<{name}>" for _, name, _, _ in texts if name}
    told = str(Failure(cause, **fields))
    assert all(value in told for value in fields.values())
    assert "{" not in told
