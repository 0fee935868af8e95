"""The table: one item for each stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from stream_encryption.guard.finding import Finding, State
from stream_encryption.guard.item import Item
from stream_encryption.guard.messages import RetryLater

FORMAT = "2"
"""Version of the items' format. Items of another format are ignored and overwritten."""

RECORD_FORMAT = "101"
"""Version of the format of the records of remediation, which are not items of streams."""

RETENTION = 90 * 24 * 3600
"""Seconds for which the item of a stream is kept that is no longer checked."""

CONFLICT_DELAY = 2.0
"""Seconds after which a check is retried that lost to a parallel one."""


class Record(NamedTuple):
    """Remediations of one stream; times in seconds, or texts as in the stream's item.

    ``remediations`` is their number since the stream was last compliant without one, the last of
    them for ``drift``, in which the stream was or may have been ``changed``; drifts before
    ``acted`` were ended by the guard. ``changes`` are their times in the last 24 hours.
    ``claimed_until`` is set while an invocation works on the stream, ``report`` while the
    ``outcome`` has yet to be reported.
    """

    arn: str
    stream: str = ""
    created: str = ""
    drift: str = ""
    changed: int = 0
    acted: str = ""
    changes: str = "[]"
    remediations: int = 0
    attempts: int = 0
    next_attempt: float = 0
    claimed_until: float = 0
    caller: str = ""
    outcome: str = ""
    reason: str = ""
    time: str = ""
    report: str = ""
    yielded: int = 0
    revision: int = 0


class Breaker(NamedTuple):
    """Circuit breaker: the streams that were ``due`` within an hour, with their times."""

    arn: str
    due: str = "{}"
    open: int = 0
    report: str = ""
    revision: int = 0


_Record = TypeVar("_Record", Record, Breaker)


class Table:
    """The guard's table.

    Sources: DynamoDB API reference, GetItem, PutItem, Scan.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, arn: str) -> Item | None:
        """Read the item of a stream."""
        key = {"arn": {"S": arn}}
        response = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        return next(_parse([response["Item"]]), None) if "Item" in response else None

    def put(self, item: Item, now: float) -> Item:
        """Replace the item from which this one was derived.

        Raises
        ------
        RetryLater
            If another invocation has replaced it in the meantime.
        """
        written = item._replace(revision=item.revision + 1)
        self._write(_attributes(written, now), item.revision)
        return written

    def record(self, kind: type[_Record], arn: str) -> _Record:
        """Read a record of remediation; a new one if there is none."""
        key = {"arn": {"S": arn}}
        response = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        values = {
            name: value["S"] if "S" in value else json.loads(value["N"])
            for name, value in response.get("Item", {}).items()
        }
        return (
            kind(**values) if values.pop("format_version", "") == int(RECORD_FORMAT) else kind(arn)
        )

    def put_record(self, record: _Record) -> _Record:
        """Replace the record from which this one was derived; it is kept until then.

        Raises
        ------
        RetryLater
            If another invocation has replaced it in the meantime.
        """
        written = record._replace(revision=record.revision + 1)
        attributes = {
            name: {"S": value} if isinstance(value, str) else {"N": str(value)}
            for name, value in written._asdict().items()
        }
        self._write(attributes | {"format_version": {"N": RECORD_FORMAT}}, record.revision)
        return written

    def _write(self, attributes: dict[str, Any], revision: int) -> None:
        try:
            self._client.put_item(
                TableName=self._name,
                Item=attributes,
                ConditionExpression=(
                    "attribute_not_exists(arn) OR format_version <> :format OR revision = :revision"
                ),
                ExpressionAttributeValues={
                    ":format": attributes["format_version"],
                    ":revision": {"N": str(revision)},
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                reason = "another invocation has checked the stream"
                raise RetryLater(reason, CONFLICT_DELAY) from error
            raise

    def scan(self) -> Iterator[Item]:
        """Read all items."""
        for page in self._client.get_paginator("scan").paginate(TableName=self._name):
            yield from _parse(page["Items"])

    def noncompliant(self) -> Iterator[str]:
        """Read the ARNs of the streams whose noncompliance is confirmed."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._name,
            FilterExpression="confirmed <> :no AND format_version = :format",
            ProjectionExpression="arn",
            ExpressionAttributeValues={":no": {"S": ""}, ":format": {"N": FORMAT}},
        )
        return (item["arn"]["S"] for page in pages for item in page["Items"])


def _attributes(item: Item, now: float) -> dict[str, Any]:
    texts = item._asdict() | item.finding._asdict()
    del texts["finding"], texts["revision"]
    attributes: dict[str, Any] = {name: {"S": str(text)} for name, text in texts.items()}
    numbers = {
        "format_version": FORMAT,
        "revision": str(item.revision),
        "expires": str(int(now + RETENTION)),
    }
    return attributes | {name: {"N": number} for name, number in numbers.items()}


def _parse(items: list[dict[str, Any]]) -> Iterator[Item]:
    for item in items:
        if item.get("format_version", {}).get("N") == FORMAT:
            texts = {name: value["S"] for name, value in item.items() if "S" in value}
            finding = Finding(State(texts.pop("state")), texts.pop("key"), texts.pop("created"))
            yield Item(finding=finding, revision=int(item["revision"]["N"]), **texts)
