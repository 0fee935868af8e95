"""The table: one item a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from stream_encryption.guard.finding import Finding, State
from stream_encryption.guard.item import Item
from stream_encryption.guard.messages import NotYet

KEPT = 90 * 24 * 3600
"""Seconds for which a stream is remembered that is not looked at any more."""

SOON = 2.0
"""Seconds after which who came second looks again."""


class Table:
    """The guard's table.

    Sources: DynamoDB API reference, GetItem, PutItem, Scan.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, arn: str) -> Item | None:
        """Read what is known of a stream."""
        key = {"arn": {"S": arn}}
        answer = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        return _read(answer["Item"]) if "Item" in answer else None

    def put(self, item: Item, now: float) -> Item:
        """Write an item in the place of the one that it was made from.

        Raises
        ------
        NotYet
            When another invocation has written it meanwhile.
        """
        written = item._replace(version=item.version + 1)
        try:
            self._client.put_item(
                TableName=self._name,
                Item=_attributes(written, now),
                ConditionExpression="attribute_not_exists(#arn) OR #version = :version",
                ExpressionAttributeNames={"#arn": "arn", "#version": "version"},
                ExpressionAttributeValues={":version": {"N": str(item.version)}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise NotYet("another invocation has looked at the stream", SOON) from error
            raise
        return written

    def scan(self) -> Iterator[Item]:
        """Read all items."""
        for page in self._client.get_paginator("scan").paginate(TableName=self._name):
            yield from map(_read, page["Items"])


def _attributes(item: Item, now: float) -> dict[str, dict[str, str]]:
    texts = item._asdict() | item.finding._asdict()
    del texts["finding"], texts["version"]
    attributes = {name: {"S": str(text)} for name, text in texts.items()}
    numbers = {"version": item.version, "expires": int(now + KEPT)}
    return attributes | {name: {"N": str(number)} for name, number in numbers.items()}


def _read(attributes: dict[str, dict[str, str]]) -> Item:
    texts = {name: value["S"] for name, value in attributes.items() if "S" in value}
    finding = Finding(State(texts.pop("state")), texts.pop("key"), texts.pop("created"))
    return Item(finding=finding, version=int(attributes["version"]["N"]), **texts)
