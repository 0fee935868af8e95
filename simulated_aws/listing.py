"""Simulated lists of streams and their tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulated_aws.service import Params, ServiceError, arn


@dataclass
class Lists:
    """ListStreams, ListTagsForStream and GetResources, of streams whose names and tags are given.

    ``indexed`` are the tags as the tagging API knows them, which is later.
    """

    names: Callable[[], list[str]]
    tags: Callable[[str], dict[str, str]]
    indexed: Callable[[str], dict[str, str]]

    def serve(self, operation: str, params: Params) -> dict[str, Any]:
        """Carry an operation out."""
        if operation == "ListStreams":
            after, limit = params.get("ExclusiveStartStreamName", ""), min(params["Limit"], 100)
            left = sorted(name for name in self.names() if name > after)
            return {"StreamNames": left[:limit], "HasMoreStreams": len(left) > limit}
        if operation == "ListTagsForStream":
            if params["StreamName"] not in self.names():
                raise ServiceError("ResourceNotFoundException", "Stream not found.")
            tags = self.tags(params["StreamName"])
            after, limit = params.get("ExclusiveStartTagKey", ""), params["Limit"]
            keys = [*tags]  # AWS documents no order
            rest = keys[keys.index(after) + 1 if after in keys else 0 :]
            shown = [{"Key": key, "Value": tags[key]} for key in rest[:limit]]
            return {"Tags": shown, "HasMoreTags": len(rest) > limit}
        assert operation == "GetResources"
        assert params["ResourceTypeFilters"] == ["kinesis:stream"]
        (tag_filter,) = params["TagFilters"]
        found = [
            name
            for name in sorted(self.names())
            if tag_filter["Key"] in (tags := self.indexed(name))
            and (not tag_filter["Values"] or tags[tag_filter["Key"]] in tag_filter["Values"])
        ]
        first = int(params.get("PaginationToken") or 0)
        resources = [
            {"ResourceARN": arn("kinesis", f"stream/{name}")} for name in found[first : first + 50]
        ]
        # Consumers have tags of their own, and the resource type in their ARN.
        resources += [
            {"ResourceARN": each["ResourceARN"] + "/consumer/one:1"} for each in resources
        ]
        token = str(first + 50) if len(found) > first + 50 else ""
        return {"ResourceTagMappingList": resources, "PaginationToken": token}
