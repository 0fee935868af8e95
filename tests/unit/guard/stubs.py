"""The guard on stubs of the services, which accept only what botocore accepts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ReadTimeoutError
from botocore.model import OperationModel

from simulated_aws.client import Client, client_error
from simulated_aws.cloudformation import GUARD_STACK, GuardStack
from simulated_aws.dynamodb import TABLE, DynamoDb
from simulated_aws.listing import Lists
from simulated_aws.service import Params, ServiceError, arn
from simulated_aws.sns import TOPIC, Publication, Sns
from simulated_aws.sqs import DEAD_LETTERS, QUEUE, REMEDIATION, Message, Sqs
from stream_encryption.guard.handler import Guard
from stream_encryption.guard.settings import Settings
from stream_encryption.runtime import Runtime
from tests.unit.stubs import ACCOUNT, BEGIN, KEY, REGION, StubbedKinesis, VirtualClock

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:guard"
ALICE = f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice"
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
LIMITS = {
    "key": KEY,
    "check_queue": QUEUE,
    "max_changes_per_stream": 3,
    "max_streams_per_hour": 10,
    "known_good_for": DAY,
}


class Crash(BaseException):
    """The process ends."""


def crash() -> None:
    raise Crash


class GuardStubs:
    """AWS as the guard sees it: streams, a queue, a table, a topic, and a clock."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        now = self.clock.now
        self.streams: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.indexed: dict[str, dict[str, str]] | None = None
        self.aliases: dict[str, str | ServiceError] = {}
        self.sqs, self.sns = Sqs(now), Sns(now)
        self.table, self.stack = DynamoDb(), GuardStack()
        self.lists = Lists(lambda: list(self.streams), self._tags, self._indexed)
        self.failing: dict[str, list[Exception]] = {}
        self.after: dict[str, list[Any]] = {}
        self.calls: list[str] = []
        self.log: list[dict[str, Any]] = []
        self.guards: dict[str, Guard] = {}
        self.starts: list[tuple[float, str, str]] = []
        self.restart(**settings)

    def restart(self, **settings: Any) -> None:
        """Deploy the guard with these settings."""
        given = {
            "queue": QUEUE,
            "dead_letter_queue": DEAD_LETTERS,
            "table": TABLE,
            "stack": GUARD_STACK,
            "topic": TOPIC,
            "key": KEY,
            **settings,
        }
        limits = given.pop("limits", None)
        if limits is not None:
            own = {"queue": REMEDIATION, "limits": LIMITS | limits}
            self.guards[REMEDIATION] = self._guard(given | own, remediates=True)
            given["remediation_queue"] = REMEDIATION
        self.guards[QUEUE] = self._guard(given, remediates=False)

    def _guard(self, settings: dict[str, Any], *, remediates: bool) -> Guard:
        runtime = Runtime(
            clock=self.clock,
            client=lambda service: Client(service, partial(self._serve, remediates=remediates)),
            uniform=lambda low, high: high,
            write=lambda line: self.log.append(json.loads(line)),
        )
        return Guard(runtime, Settings.parse(json.dumps(settings)))

    # Streams

    def add(
        self,
        name: str,
        key: str | None = KEY,
        status: str = "ACTIVE",
        *,
        age: float = DAY,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Let there be a stream of that age, with these tags."""
        created = datetime.fromtimestamp(self.clock.now() - age, UTC)
        stream = arn("kinesis", f"stream/{name}")
        self.streams[name] = StubbedKinesis.summary(status, key, created=created, stream=stream)
        self.tags[name] = tags or {}

    def change(self, name: str, key: str | None = KEY, status: str = "ACTIVE") -> None:
        """Change a stream, not its creation time."""
        changed = StubbedKinesis.summary(status, key, stream=self.streams[name]["StreamARN"])
        created = self.streams[name]["StreamCreationTimestamp"]
        self.streams[name] = changed | {"StreamCreationTimestamp": created}

    # Messages

    def send(self, body: dict[str, Any] | str, queue: str = QUEUE) -> Message:
        return self.sqs.send(queue, body if isinstance(body, str) else json.dumps(body))

    def receive(self, message: Message) -> float | None:
        """Deliver a message; return the seconds until its next receipt, None if it is deleted."""
        record = self.sqs.receive(message, 120)
        context = SimpleNamespace(invoked_function_arn=FUNCTION, function_name="guard")
        response = self.guards[message.queue]({"Records": [record]}, context)
        if response == {"batchItemFailures": [{"itemIdentifier": message.id}]}:
            return message.visible - self.clock.now()
        assert response == {"batchItemFailures": []}
        self.sqs.delete(message)
        return None

    def handle(self, body: dict[str, Any] | str) -> float | None:
        """Send a message and let the function have it once."""
        return self.receive(self.send(body))

    def run(self, seconds: float = 12 * HOUR) -> None:
        """Let the function have every message when it is due, for so long."""
        end = self.clock.now() + seconds
        queues = [self.sqs.queues[queue] for queue in (QUEUE, REMEDIATION)]
        while due := [m for queue in queues for m in queue.values() if m.visible <= end]:
            message = min(due, key=lambda m: m.visible)
            self.clock.time = max(self.clock.now(), message.visible)
            self.receive(message)
        self.clock.time = max(self.clock.now(), end)

    @property
    def notifications(self) -> list[Publication]:
        return self.sns.published

    @property
    def reported(self) -> list[str]:
        """The states in the notifications."""
        return [notification.state for notification in self.notifications]

    @property
    def dead(self) -> list[Message]:
        return list(self.sqs.queues[DEAD_LETTERS].values())

    def state(self, name: str) -> str:
        return self.table.row(name).get("state", "")

    def metric(self, name: str) -> list[int]:
        """Values of a metric, checked to be in the form that CloudWatch takes."""
        values = []
        for line in self.log:
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                assert directive["Namespace"] == "StreamEncryptionGuard"
                assert line["FunctionName"] == "guard"
                assert all(key in line for key in directive["Dimensions"][0])
                names = [metric["Name"] for metric in directive["Metrics"]]
                values += [line[name] for _ in range(names.count(name))]
        return values

    # What is called

    def _serve(
        self, service: str, model: OperationModel, params: Params, *, remediates: bool
    ) -> dict[str, Any]:
        operation = model.name
        assert remediates or operation != "StartStreamEncryption"
        self.calls.append(operation)
        if failing := self.failing.get(operation):
            error = failing.pop(0)
            raise client_error(error, operation) if isinstance(error, ServiceError) else error
        try:
            response = self._respond(service, operation, params)
        except ServiceError as error:
            raise client_error(error, operation) from None
        for action in self.after.pop(operation, []):
            action()
        return response

    def _respond(self, service: str, operation: str, params: Params) -> dict[str, Any]:
        if operation == "DescribeStreamSummary":
            return self._describe(params["StreamName"])
        if operation == "StartStreamEncryption":
            return self._start(params["StreamName"], params["KeyId"])
        fakes: dict[str, Any] = {
            "dynamodb": self.table,
            "sqs": self.sqs,
            "sns": self.sns,
            "cloudformation": self.stack,
        }
        if service == "kms":
            return self._key(params["KeyId"])
        response: dict[str, Any] = fakes.get(service, self.lists).serve(operation, params)
        return response

    def _describe(self, name: str) -> dict[str, Any]:
        if name not in self.streams:
            raise ServiceError("ResourceNotFoundException", "Stream not found.")
        return {"StreamDescriptionSummary": self.streams[name]}

    def _start(self, name: str, key: str) -> dict[str, Any]:
        self.starts.append((self.clock.now(), name, key))
        self.change(name, key)
        return {}

    def _key(self, alias: str) -> dict[str, Any]:
        missing = ServiceError("NotFoundException", "no such alias")
        found = self.aliases.get(alias, KEY if alias == KEY else missing)
        if isinstance(found, ServiceError):
            raise found
        return {"KeyMetadata": {"Arn": found, "KeyState": "Enabled"}}

    def _tags(self, name: str) -> dict[str, str]:
        return self.tags.get(name, {})

    def _indexed(self, name: str) -> dict[str, str]:
        return (self.tags if self.indexed is None else self.indexed).get(name, {})


def event(
    call: str,
    name: str | None = "orders",
    *,
    age: float = 30,
    caller: str = ALICE,
    parameters: dict[str, Any] | None = None,
    now: float = BEGIN.timestamp(),
) -> dict[str, Any]:
    """CloudTrail's event of a call, in the form that EventBridge gives it."""
    when = datetime.fromtimestamp(int(now - age), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = {"streamName": name} if parameters is None else parameters
    if call == "StopStreamEncryption":  # which has to name a key, whatever it is
        asked = {"encryptionType": "KMS", "keyId": "alias/aws/kinesis", **asked}
    return {
        "version": "0",
        "id": "6f1c0d9e-0000-4444-8888-aaaabbbbcccc",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.kinesis",
        "account": ACCOUNT,
        "time": when,
        "region": REGION,
        "resources": [],
        "detail": {
            "eventVersion": "1.09",
            "userIdentity": {"type": "AssumedRole", "arn": caller, "accountId": ACCOUNT},
            "eventTime": when,
            "eventSource": "kinesis.amazonaws.com",
            "eventName": call,
            "awsRegion": REGION,
            "requestParameters": asked if name or parameters else None,
            "responseElements": None,
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
        },
    }


def lost(operation: str) -> ReadTimeoutError:
    """A response that never arrived."""
    return ReadTimeoutError(endpoint_url=f"https://{operation}", error="read timeout")


SCAN: dict[str, Any] = {"scan": {}}
