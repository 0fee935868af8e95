"""A deployed guard on the local AWS: what it is sent, and what it tells.

The emulator has no CloudTrail, and refuses events of source `aws.kinesis` as EventBridge does. So
what a trail would tell is put into the guard's queue, in the form that EventBridge gives it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local_aws.environment import LocalAws

ALICE = "arn:aws:sts::000000000000:assumed-role/Admin/alice"


def cloudtrail_event(call: str, parameters: dict[str, str] | None, caller: str) -> dict[str, Any]:
    """An event of CloudTrail as EventBridge delivers it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "version": "0",
        "id": "6f1c0d9e-0000-4444-8888-aaaabbbbcccc",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.kinesis",
        "account": LocalAws.account,
        "time": now,
        "region": LocalAws.region,
        "resources": [],
        "detail": {
            "eventVersion": "1.09",
            "userIdentity": {"type": "AssumedRole", "arn": caller},
            "eventTime": now,
            "eventSource": "kinesis.amazonaws.com",
            "eventName": call,
            "awsRegion": LocalAws.region,
            "requestParameters": parameters,
            "eventType": "AwsApiCall",
            "managementEvent": True,
        },
    }


@dataclass
class Guarding:
    """One deployed guard, by the outputs of its stack (as those of examples/guard.py)."""

    aws: LocalAws
    outputs: dict[str, str]

    def __post_init__(self) -> None:
        self._sqs = self.aws.client("sqs")
        self._mailbox = ""

    def subscribe(self) -> None:
        """Subscribe a queue to the topic, as the mailbox of those who are told."""
        self._mailbox = self._sqs.create_queue(QueueName=f"mailbox-{time.time_ns()}")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._mailbox, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]
        topic = self.outputs["TopicArn"]
        may_send = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        self._sqs.set_queue_attributes(
            QueueUrl=self._mailbox,
            Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [may_send]})},
        )
        self.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def send(self, body: dict[str, Any] | str) -> None:
        """Put a message into the guard's queue."""
        text = body if isinstance(body, str) else json.dumps(body)
        self._sqs.send_message(QueueUrl=self.outputs["QueueUrl"], MessageBody=text)

    def tell(self, call: str, stream: str, caller: str = ALICE, **parameters: str) -> None:
        """Tell the guard of a call, as a trail and EventBridge would."""
        self.send(cloudtrail_event(call, {"streamName": stream, **parameters}, caller))

    def told(self, seconds: float) -> dict[str, Any] | None:
        """The next notification that comes within that time, as SNS delivers it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # As short as the emulator's own polling, so that its time can be measured.
            answer = self._sqs.receive_message(QueueUrl=self._mailbox, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                self._sqs.delete_message(
                    QueueUrl=self._mailbox, ReceiptHandle=message["ReceiptHandle"]
                )
                body: dict[str, Any] = json.loads(message["Body"])
                return body
        return None

    def row(self, stream: str) -> dict[str, str]:
        """What the table has of a stream; empty when it has nothing."""
        arn = f"arn:aws:kinesis:{self.aws.region}:{self.aws.account}:stream/{stream}"
        item = self.aws.client("dynamodb").get_item(
            TableName=self.outputs["TableName"], Key={"arn": {"S": arn}}
        )
        return {name: next(iter(each.values())) for name, each in item.get("Item", {}).items()}

    def dead_letters(self) -> list[dict[str, Any]]:
        """What was given up, with its attributes."""
        answer = self._sqs.receive_message(
            QueueUrl=self.outputs["DeadLetterQueueUrl"],
            MessageAttributeNames=["All"],
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found


def within(seconds: float, look: Callable[[], Any]) -> Any:
    """What `look` gives, once it gives something; what it gives last when time is up."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
