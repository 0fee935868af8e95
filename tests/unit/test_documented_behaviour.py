"""docs/behaviour.md says what the handler does: every row of its table is carried out."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from docs.generate_behaviour import PAGE, with_catalogue
from stream_encryption.failure import Cause, Failure
from tests.unit.world import (
    ACCOUNT,
    CREATED,
    KEY,
    MARKED,
    OTHER_KEY,
    REGION,
    STREAM,
    World,
    event,
)

ALIAS_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/orders"
DAILY = "You can apply a new key 25 times in a rolling 24-hour period"
DENIED = "not authorized to perform it with an explicit deny in an identity-based policy"


def rows() -> list[tuple[str, str, str, str]]:
    """Rows of the first table: request, found, calls, outcome."""
    table = PAGE.read_text().split("|---|---|---|---|\n", 1)[1].split("\n\n", 1)[0]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return [(request, found, calls, outcome) for request, found, calls, outcome in cells]


def missing(world: World) -> None:
    world.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")


def shows(*seen: tuple[str, str | None]) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        for status, key in seen:
            world.kinesis.shows(status, key)

    return prepare


def never_ready(world: World) -> None:
    world.kinesis.keeps_showing("UPDATING")


def other_incarnation(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY, created=CREATED + timedelta(hours=1))


def alias_in_use(world: World) -> None:
    world.kinesis.shows("ACTIVE", "alias/orders")
    world.kms.shows(asked=ALIAS_ARN)


FOUND: dict[str, Callable[[World], None]] = {
    "no such stream": missing,
    "anything": lambda world: None,
    "`DELETING`": shows(("DELETING", None)),
    "`CREATING`, then `ACTIVE` with the wanted key": shows(("CREATING", None), ("ACTIVE", KEY)),
    "`UPDATING`, then `ACTIVE` with the wanted key": shows(("UPDATING", None), ("ACTIVE", KEY)),
    "`UPDATING`, then `ACTIVE` in plaintext": shows(("UPDATING", KEY), ("ACTIVE", None)),
    "`UPDATING` until the deadline": never_ready,
    "`ACTIVE` with the wanted key": shows(("ACTIVE", KEY)),
    "`ACTIVE` with the wanted key, spelt in another form": alias_in_use,
    "`ACTIVE` in plaintext": shows(("ACTIVE", None)),
    "`ACTIVE` with another key": shows(("ACTIVE", OTHER_KEY)),
    "another stream of the same name": other_incarnation,
}

# What is the matter beside the stream's state: the key as KMS shows it, the start's refusal, and
# what the stream is seen as afterwards.
KEY_DEFECTS: dict[str, Callable[[World], None]] = {
    "the wanted key does not exist": lambda w: w.kms.fails("describe_key", "NotFoundException"),
    "the wanted key is disabled": lambda w: w.kms.shows(KeyState="Disabled"),
    "the wanted key is asymmetric": lambda w: w.kms.shows(KeySpec="RSA_2048"),
}
REFUSALS: dict[str, tuple[str, str]] = {
    "`ResourceInUseException` on the start": ("ResourceInUseException", ""),
    "25 changes of the day spent": ("LimitExceededException", DAILY),
    "the start is denied explicitly": ("AccessDeniedException", DENIED),
}
MISHAPS: dict[str, Callable[[World], None]] = {
    "deleted during the wait": missing,
    "given another key by others during the wait": lambda w: w.kinesis.keeps_showing(
        "ACTIVE", OTHER_KEY
    ),
}


def split(found: str) -> tuple[str, str]:
    """Split what is found into the stream's state and what else is the matter."""
    for extra in [*KEY_DEFECTS, *REFUSALS, *MISHAPS]:
        if found.endswith(extra):
            return found.removesuffix(extra).removesuffix(", "), extra
    return found, ""


def requests(request: str) -> list[dict[str, Any]]:
    match request:
        case "Create, Update":
            return [event(), event("Update", old={"KeyId": OTHER_KEY})]
        case "Delete, Retain":
            return [event("Delete", physical_id=MARKED)]
        case "Delete, Restore, not started here":
            return [event("Delete", physical_id=STREAM, OnDelete="Restore")]
        case "Delete, Restore, started here":
            return [event("Delete", physical_id=MARKED, OnDelete="Restore")]
    raise AssertionError(request)


CASES = [
    pytest.param(sent, found, calls, outcome, id=f"{sent['RequestType']}: {found}")
    for request, found, calls, outcome in rows()
    for sent in requests(request)
]


@pytest.mark.parametrize(("sent", "found", "calls", "outcome"), CASES)
def test_row_of_the_table(
    world: World, sent: dict[str, Any], found: str, calls: str, outcome: str
) -> None:
    state, extra = split(found)
    deleting = sent["RequestType"] == "Delete"
    if extra in KEY_DEFECTS:
        KEY_DEFECTS[extra](world)
    elif not deleting:
        world.kms.shows()
    FOUND[state](world)
    if calls == "start, refused":
        world.kinesis.fails("start_stream_encryption", *REFUSALS[extra])
    if calls == "start":
        world.kinesis.starts()
    if calls == "stop":
        world.kinesis.stops()
    if extra in MISHAPS:
        MISHAPS[extra](world)
    elif outcome == "SUCCESS" and found != "anything":
        settle(world, found, calls, deleting=deleting)
    answer = world.answer_to(sent)
    if outcome == "SUCCESS":
        assert answer["Status"] == "SUCCESS", answer["Reason"]
    else:
        cause = Cause[outcome.removeprefix("FAILED ").strip("`")]
        assert answer["Status"] == "FAILED"
        assert re.match(pattern_of(cause), answer["Reason"]), answer["Reason"]


def settle(world: World, found: str, calls: str, *, deleting: bool) -> None:
    """Show what is seen after the change, or after somebody else's."""
    if deleting:
        if calls == "stop":
            world.kinesis.shows("ACTIVE")
    elif calls == "start":
        world.kinesis.shows("ACTIVE", KEY, times=2)
    elif calls == "start, refused":
        world.kinesis.shows("UPDATING")
        world.kinesis.shows("ACTIVE", KEY, times=2)
    elif ", then " in found:
        world.kinesis.shows("ACTIVE", KEY)


def pattern_of(cause: Cause) -> str:
    """Pattern of the cause's first line, with anything in place of its fields."""
    return re.sub(r"\\\{\w+\\\}", ".+", re.escape(cause.summary))


def test_catalogue_of_failures_is_current() -> None:
    assert PAGE.read_text() == with_catalogue(PAGE.read_text()), "run make docs"


@pytest.mark.parametrize("cause", Cause)
def test_every_failure_can_be_told(cause: Cause) -> None:
    fields = {name: f"<{name}>" for name in cause.fields}
    told = str(Failure(cause, **fields))
    assert all(value in told for value in fields.values())
    assert "{" not in told
