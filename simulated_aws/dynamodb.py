"""Simulated DynamoDB: the guard's table, with the expressions that the guard uses."""

from __future__ import annotations

from typing import Any

from simulated_aws.service import Params, ServiceError, arn

TABLE = "guard"
SCANNED = 250
"""Items in a page of a Scan."""


class DynamoDb:
    """The guard's table."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.reads = self.writes = 0

    def serve(self, operation: str, params: Params) -> dict[str, Any]:
        """Carry an operation out."""
        assert params["TableName"] == TABLE
        return {
            "GetItem": self._get,
            "PutItem": self._put,
            "Scan": self._scan,
        }[operation](params)

    def row(self, name: str) -> dict[str, str]:
        """The item of a stream, without DynamoDB's types; empty when there is none."""
        item = self.items.get(arn("kinesis", f"stream/{name}"), {})
        return {key: next(iter(value.values())) for key, value in item.items()}

    def _get(self, params: Params) -> dict[str, Any]:
        self.reads += 1
        assert params["ConsistentRead"]
        item = self.items.get(params["Key"]["arn"]["S"])
        return {"Item": dict(item)} if item else {}

    def _put(self, params: Params) -> dict[str, Any]:
        self.writes += 1
        item = params["Item"]
        assert params["ConditionExpression"] == (
            "attribute_not_exists(arn) OR format_version <> :format OR revision = :revision"
        )
        present, values = self.items.get(item["arn"]["S"]), params["ExpressionAttributeValues"]
        if (
            present
            and present["format_version"] == values[":format"]
            and present["revision"] != values[":revision"]
        ):
            raise ServiceError("ConditionalCheckFailedException", "The conditional request failed")
        self.items[item["arn"]["S"]] = dict(item)
        return {}

    def _scan(self, params: Params) -> dict[str, Any]:
        start = params.get("ExclusiveStartKey", {"arn": {"S": ""}})["arn"]["S"]
        keys = sorted(key for key in self.items if key > start)
        self.reads += 1 + len(keys[:SCANNED]) // 10
        items = [self.items[key] for key in keys[:SCANNED]]
        if "FilterExpression" in params:
            assert params["FilterExpression"] == "confirmed <> :no AND format_version = :format"
            assert params["ProjectionExpression"] == "arn"
            values = params["ExpressionAttributeValues"]
            items = [
                {"arn": item["arn"]}
                for item in items
                if item.get("confirmed") != values[":no"]  # as <> of an attribute that is missing
                and item["format_version"] == values[":format"]
            ]
        page: dict[str, Any] = {"Items": items}
        if len(keys) > SCANNED:
            page["LastEvaluatedKey"] = {"arn": {"S": keys[SCANNED - 1]}}
        return page
