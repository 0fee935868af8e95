"""The table: an item for each stream, and what is stored for remediation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from stream_encryption.guard.item import Item
from stream_encryption.guard.messages import RetryLater
from stream_encryption.guard.record import Breaker, Record

FORMATS = {Item: "2", Record: "101", Breaker: "102"}
"""Versions of the formats, each of one kind. Another format is ignored and overwritten."""

CONFLICT_DELAY = 2.0
"""Seconds after which a message is retried whose write lost to a parallel one."""

_Stored = TypeVar("_Stored", Item, Record, Breaker)


class Table:
    """The guard's table.

    Sources: DynamoDB API reference, GetItem, PutItem, Scan.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, kind: type[_Stored], arn: str) -> _Stored | None:
        """Read what is stored by this key."""
        key = {"arn": {"S": arn}}
        response = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        return next(_parse(kind, [response["Item"]]), None) if "Item" in response else None

    def put(self, new: _Stored) -> _Stored:
        """Replace what this one was derived from.

        Raises
        ------
        RetryLater
            If another invocation has replaced it in the meantime.
        """
        written = new._replace(revision=new.revision + 1)
        attributes = {
            name: {"S": value} if isinstance(value, str) else {"N": str(value)}
            for name, value in written._asdict().items()
        }
        format_version = {"N": FORMATS[type(new)]}
        try:
            self._client.put_item(
                TableName=self._name,
                Item=attributes | {"format_version": format_version},
                ConditionExpression=(
                    "attribute_not_exists(arn) OR format_version <> :format OR revision = :revision"
                ),
                ExpressionAttributeValues={
                    ":format": format_version,
                    ":revision": {"N": str(new.revision)},
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                reason = "another invocation has written to the table"
                raise RetryLater(reason, CONFLICT_DELAY) from error
            raise
        return written

    def scan(self) -> Iterator[Item]:
        """Read the items of all streams."""
        for page in self._client.get_paginator("scan").paginate(TableName=self._name):
            yield from _parse(Item, page["Items"])

    def noncompliant(self) -> Iterator[str]:
        """Read the ARNs of the streams whose noncompliance is confirmed."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._name,
            FilterExpression="confirmed <> :no AND format_version = :format",
            ProjectionExpression="arn",
            ExpressionAttributeValues={":no": {"S": ""}, ":format": {"N": FORMATS[Item]}},
        )
        return (item["arn"]["S"] for page in pages for item in page["Items"])


def _parse(kind: type[_Stored], items: list[dict[str, Any]]) -> Iterator[_Stored]:
    for item in items:
        if item.get("format_version", {}).get("N") == FORMATS[kind]:
            values = {
                name: value["S"] if "S" in value else json.loads(value["N"])
                for name, value in item.items()
                if name != "format_version"
            }
            yield kind(**values)
