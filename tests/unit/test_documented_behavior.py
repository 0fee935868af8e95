"""Each row of the table in docs/behavior.md is executed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from string import Formatter
from typing import Any

import pytest

from docs.generate_behavior import PAGE, with_catalog
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
    """Rows of the first table: request, described state, calls, result."""
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


def creating(aws: StubbedAws) -> None:
    aws.kinesis.keeps_showing("ACTIVE")
    aws.kms.keeps(lambda: aws.kms.shows(KeyState="Creating"))


FOUND: dict[str, Callable[[StubbedAws], None]] = {
    "no such stream": missing,
    "anything": lambda aws: None,
    "`DELETING`": shows(("DELETING", None)),
    "`CREATING`, then `ACTIVE` with the desired key": shows(("CREATING", None), ("ACTIVE", KEY)),
    "`UPDATING`, then `ACTIVE` with the desired key": shows(("UPDATING", None), ("ACTIVE", KEY)),
    "`UPDATING`, then `ACTIVE`, unencrypted": shows(("UPDATING", KEY), ("ACTIVE", None)),
    "`UPDATING` until the deadline": lambda aws: aws.kinesis.keeps_showing("UPDATING"),
    "`ACTIVE` with the desired key": shows(("ACTIVE", KEY)),
    "`ACTIVE` with the desired key in another format": alias_in_use,
    "`ACTIVE`, unencrypted": shows(("ACTIVE", None)),
    "`ACTIVE` with another key": shows(("ACTIVE", OTHER_KEY)),
}

# Conditions besides the state of the stream: the key, the request, the response to the start, and
# what happens to the stream afterwards.
KEY_DEFECTS: dict[str, Callable[[StubbedAws], None]] = {
    "the desired key does not exist": lambda w: w.kms.keeps_failing(
        "describe_key", "NotFoundException"
    ),
    "the desired key is disabled": lambda w: w.kms.keeps(lambda: w.kms.shows(KeyState="Disabled")),
    "the desired key is `Creating` until the deadline": creating,
    "the desired key is asymmetric": lambda w: w.kms.shows(KeySpec="RSA_2048"),
}
CANCELED = "the request is canceled in the meantime"
REJECTIONS: dict[str, tuple[str, str]] = {
    "`ResourceInUseException` on the start": ("ResourceInUseException", ""),
    "the daily key changes are used up": ("LimitExceededException", SPENT),
    "the start is denied explicitly": ("AccessDeniedException", DENIED),
}
EVENTS_AFTER: dict[str, Callable[[StubbedAws], None]] = {
    "deleted during the wait": missing,
    "changed to another key by another caller during the wait": lambda w: w.kinesis.keeps_showing(
        "ACTIVE", OTHER_KEY
    ),
}


def split(found: str) -> tuple[str, str]:
    """Split a described state into the state of the stream and the additional condition."""
    for extra in [*KEY_DEFECTS, CANCELED, *REJECTIONS, *EVENTS_AFTER]:
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
    elif extra == CANCELED:
        aws.kms.shows()
        aws.cloudformation.shows("DELETE_IN_PROGRESS", BEGIN + timedelta(seconds=10))
    elif calls == "start":
        aws.changes(kind)
        EVENTS_AFTER.get(extra, becomes_compliant)(aws)
    elif calls == "start, rejected":
        aws.allows_a_change(kind)
        refuse(aws, extra, kind)
    elif ", then " in found:
        aws.kinesis.shows("ACTIVE", KEY)  # again after the propagation wait
    response = aws.response_to(sent)
    if outcome.startswith("SUCCESS"):
        assert response["Status"] == "SUCCESS", response["Reason"]
    else:
        code = FailureCode[outcome.removeprefix("FAILED ").strip("`")]
        assert response["Status"] == "FAILED"
        assert re.match(pattern_of(code), response["Reason"]), response["Reason"]
    if outcome == "SUCCESS, a new physical ID":
        assert response["PhysicalResourceId"] == STREAM
    elif kind != "Create":
        assert response["PhysicalResourceId"] == sent["PhysicalResourceId"]


def becomes_compliant(aws: StubbedAws) -> None:
    aws.kinesis.shows("UPDATING", KEY)
    aws.kinesis.shows("ACTIVE", KEY, times=2)


def refuse(aws: StubbedAws, extra: str, kind: str) -> None:
    code, message = REJECTIONS[extra]
    aws.kinesis.fails("start_stream_encryption", code, message)
    if code == "ResourceInUseException":
        becomes_compliant(aws)
    if code == "LimitExceededException":
        aws.kms.keeps(aws.kms.shows)
        aws.cloudformation.keeps(lambda: aws.cloudformation.shows(f"{kind.upper()}_IN_PROGRESS"))

        def again() -> None:
            aws.kinesis.shows("ACTIVE")
            aws.kinesis.fails("start_stream_encryption", code, message)

        aws.kinesis.keeps(again)


def pattern_of(code: FailureCode) -> str:
    """Pattern of a cause with any values of its fields."""
    return re.sub(r"\\\{\w+\\\}", ".+", f"{code.name}: " + re.escape(code.cause))


def test_catalog_of_failures_is_current() -> None:
    assert PAGE.read_text() == with_catalog(PAGE.read_text()), "run make docs"


@pytest.mark.parametrize("code", FailureCode)
def test_every_failure_has_all_fields(code: FailureCode) -> None:
    texts = Formatter().parse(code.cause + code.remedy)
    fields = {name: f"<{name}>" for _, name, _, _ in texts if name}
    text = str(Failure(code, **fields))
    assert all(value in text for value in fields.values())
    assert "{" not in text
