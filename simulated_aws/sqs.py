"""Simulated SQS: the guard's queues."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulated_aws.service import ACCOUNT, REGION, Params, ServiceError, arn, string_attributes

QUEUE = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/guard"
DEAD_LETTERS = f"{QUEUE}-dead-letters"
REMEDIATION = f"{QUEUE}-remediation"
LONGEST_DELAY = 900
LONGEST_VISIBILITY = 12 * 3600
BATCH, BATCH_BYTES = 10, 1024 * 1024


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
            reason = string_attributes(params.get("MessageAttributes", {})).get("reason", "")
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
