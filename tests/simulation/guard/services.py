"""Simulated services that only the guard uses: as far as it uses them, and as AWS describes them.

Unit tests use them too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.paginate import Paginator, PaginatorModel
from botocore.validate import ParamValidator

from tests.simulation.api import operation_model
from tests.simulation.service import ACCOUNT, REGION, Params, ServiceError, arn

QUEUE = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/guard"
DEAD_LETTERS = f"{QUEUE}-dead-letters"
REMEDIATION = f"{QUEUE}-remediation"
TABLE = "guard"
TOPIC = arn("sns", "guard")
STACK = arn("cloudformation", "stack/guard/3b1f2c10-0000-1111-2222-333344445555")
LONGEST_DELAY = 900
LONGEST_VISIBILITY = 12 * 3600
BATCH, BATCH_BYTES = 10, 1024 * 1024
SCANNED = 250

Serve = Callable[[str, OperationModel, Params], dict[str, Any]]


class Client:
    """A client of boto3, for the guard: it accepts only the parameters that AWS accepts."""

    def __init__(self, service: str, serve: Serve, *, validate: bool = True) -> None:
        self._service = service
        self._serve = serve
        self._validate = validate

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        model = operation_model(self._service, method)
        return lambda **params: self._call(model, params)

    def get_paginator(self, method: str) -> Paginator:
        """Make botocore's own paginator."""
        model = operation_model(self._service, method)
        config = _paginators(self._service).get_paginator(model.name)
        return Paginator(lambda **params: self._call(model, params), config, model)

    def _call(self, model: OperationModel, params: Params) -> dict[str, Any]:
        if self._validate:
            report = ParamValidator().validate(params, model.input_shape)
            assert not report.has_errors(), report.generate_report()
        return self._serve(self._service, model, params)


def client_error(error: ServiceError, operation: str) -> ClientError:
    """Make of a service's error what botocore makes of it."""
    response = {
        "Error": {"Code": error.code, "Message": error.message},
        "ResponseMetadata": {"HTTPStatusCode": error.status},
    }
    return ClientError(response, operation)


@cache
def _paginators(service: str) -> PaginatorModel:
    loader = botocore.session.get_session().get_component("data_loader")
    return PaginatorModel(loader.load_service_model(service, "paginators-1"))


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


@dataclass
class Message:
    """A message in a queue; ``continuations`` counts the invocations that led to it."""

    id: str
    body: str
    sent: float
    visible: float
    continuations: int = 0
    reason: str = ""
    queue: str = QUEUE
    receives: int = 0
    first_received: float | None = None


class Sqs:
    """The queue and its dead letter queue."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ids = itertools.count(1)
        self.queues: dict[str, dict[str, Message]] = {QUEUE: {}, DEAD_LETTERS: {}, REMEDIATION: {}}
        self.watchers: dict[str, Callable[[Message], None]] = {}
        self.requests = 0
        self.sent = 0

    def serve(self, operation: str, params: Params, continuations: int = 0) -> dict[str, Any]:
        """Carry an operation out for a function whose chain has so many invocations."""
        self.requests += 1
        if operation == "ChangeMessageVisibility":
            self._come_back(params)
            return {}
        if operation == "SendMessage":
            reason = params.get("MessageAttributes", {}).get("reason", {}).get("StringValue", "")
            message = self.send(
                params["QueueUrl"],
                params["MessageBody"],
                delay=params.get("DelaySeconds", 0),
                continuations=continuations,
                reason=reason,
            )
            return {"MessageId": message.id}
        assert operation == "SendMessageBatch"
        entries = params["Entries"]
        assert 1 <= len(entries) <= BATCH
        assert len({entry["Id"] for entry in entries}) == len(entries)
        assert sum(len(entry["MessageBody"]) for entry in entries) <= BATCH_BYTES
        for entry in entries:
            self.send(
                params["QueueUrl"],
                entry["MessageBody"],
                delay=entry["DelaySeconds"],
                continuations=continuations,
            )
        return {"Successful": [], "Failed": []}

    def send(
        self, queue: str, body: str, *, delay: int = 0, continuations: int = 0, reason: str = ""
    ) -> Message:
        """Put a message into a queue."""
        assert 0 <= delay <= LONGEST_DELAY
        now = self._now()
        message = Message(
            f"m{next(self._ids)}", body, now, now + delay, continuations, reason, queue
        )
        self.queues[queue][message.id] = message
        self.sent += 1
        self._changed(message)
        return message

    def receive(self, message: Message, visibility: float) -> dict[str, Any]:
        """Take a message, and give it in the form that Lambda passes it on."""
        now = self._now()
        self.requests += 1
        message.receives += 1
        message.first_received = message.first_received or now
        message.visible = now + visibility
        return {
            "messageId": message.id,
            "receiptHandle": f"{message.id} {message.receives}",
            "body": message.body,
            "attributes": {
                "ApproximateFirstReceiveTimestamp": str(int(message.first_received * 1000)),
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(int(message.sent * 1000)),
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": arn("sqs", "guard"),
            "awsRegion": REGION,
        }

    def delete(self, message: Message) -> None:
        """Forget a message that is done with."""
        self.requests += 1
        self.queues[message.queue].pop(message.id, None)

    def _come_back(self, params: Params) -> None:
        assert params["QueueUrl"] in {QUEUE, REMEDIATION}
        assert 0 <= params["VisibilityTimeout"] <= LONGEST_VISIBILITY
        message = self.queues[params["QueueUrl"]].get(params["ReceiptHandle"].split()[0])
        if message is None:
            raise ServiceError("InvalidParameterValue", "Message does not exist")
        message.visible = self._now() + params["VisibilityTimeout"]
        self._changed(message)

    def _changed(self, message: Message) -> None:
        if watcher := self.watchers.get(message.queue):
            watcher(message)


@dataclass
class Publication:
    """A notification, and when it came out."""

    when: float
    subject: str
    text: str
    state: str

    @property
    def lines(self) -> dict[str, str]:
        """Values of its lines, by their titles."""
        pairs = (line.partition(": ") for line in self.text.splitlines() if ": " in line)
        return {title: value for title, _, value in pairs}

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self.lines["Stream"].split("/")[1]


class Sns:
    """The topic."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.published: list[Publication] = []

    def serve(self, operation: str, params: Params) -> dict[str, Any]:
        """Carry Publish out."""
        assert operation == "Publish"
        assert params["TopicArn"] == TOPIC
        subject = params["Subject"]
        assert len(subject) <= 100
        assert subject.isascii()
        state = params["MessageAttributes"]["state"]["StringValue"]
        self.published.append(Publication(self._now(), subject, params["Message"], state))
        return {"MessageId": "x"}


@dataclass
class CloudFormation:
    """The guard's own stack."""

    status: str = "CREATE_COMPLETE"
    updated: datetime | None = None

    def serve(self, operation: str, params: Params) -> dict[str, Any]:
        """Carry DescribeStacks out."""
        assert operation == "DescribeStacks"
        assert params["StackName"] == STACK
        stack: dict[str, Any] = {"StackName": "guard", "StackStatus": self.status}
        return {"Stacks": [stack | ({"LastUpdatedTime": self.updated} if self.updated else {})]}


@dataclass
class Lists:
    """ListStreams, ListTagsForStream and GetResources, of streams whose names and tags are given.

    ``indexed`` are the tags as the tagging API knows them, which is later.
    """

    names: Callable[[], list[str]]
    tags: Callable[[str], dict[str, str]]
    indexed: Callable[[str], dict[str, str]] = field(default=lambda _: {})
    calls: list[str] = field(default_factory=list)

    def serve(self, operation: str, params: Params) -> dict[str, Any]:
        """Carry an operation out."""
        self.calls.append(operation)
        if operation == "ListStreams":
            after, limit = params.get("ExclusiveStartStreamName", ""), min(params["Limit"], 100)
            left = sorted(name for name in self.names() if name > after)
            return {"StreamNames": left[:limit], "HasMoreStreams": len(left) > limit}
        if operation == "ListTagsForStream":
            if params["StreamName"] not in self.names():
                raise ServiceError("ResourceNotFoundException", "Stream not found.")
            tags = self.tags(params["StreamName"])
            after, limit = params.get("ExclusiveStartTagKey", ""), params["Limit"]
            rest = [each for each in sorted(tags.items()) if each[0] > after]
            shown = [{"Key": key, "Value": value} for key, value in rest[:limit]]
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
