"""The table: one item for each stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from stream_encryption.guard.finding import Finding, State
from stream_encryption.guard.item import Item
from stream_encryption.guard.messages import RetryLater

FORMAT = "1"
"""Version of the items' format. Items of another format are ignored and overwritten."""

RETENTION = 90 * 24 * 3600
"""Seconds for which the item of a stream is kept that is no longer checked."""

CONFLICT_DELAY = 2.0
"""Seconds after which a check is retried that lost to a parallel one."""


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
        try:
            self._client.put_item(
                TableName=self._name,
                Item=_attributes(written, now),
                ConditionExpression=(
                    "attribute_not_exists(arn) OR format_version <> :format OR revision = :revision"
                ),
                ExpressionAttributeValues={
                    ":format": {"N": FORMAT},
                    ":revision": {"N": str(item.revision)},
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                reason = "another invocation has checked the stream"
                raise RetryLater(reason, CONFLICT_DELAY) from error
            raise
        return written

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


def _attributes(item: Item, now: float) -> dict[str, dict[str, str]]:
    texts = item._asdict() | item.finding._asdict()
    del texts["finding"], texts["revision"]
    attributes = {name: {"S": str(text)} for name, text in texts.items()}
    numbers = {
        "format_version": FORMAT,
        "revision": str(item.revision),
        "expires": str(int(now + RETENTION)),
    }
    return attributes | {name: {"N": number} for name, number in numbers.items()}


def _parse(items: list[dict[str, dict[str, str]]]) -> Iterator[Item]:
    for item in items:
        if item.get("format_version", {}).get("N") == FORMAT:
            texts = {name: value["S"] for name, value in item.items() if "S" in value}
            finding = Finding(State(texts.pop("state")), texts.pop("key"), texts.pop("created"))
            yield Item(finding=finding, revision=int(item["revision"]["N"]), **texts)
