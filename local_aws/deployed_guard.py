"""A guard that is deployed to the local AWS.

The emulator has no CloudTrail, and rejects events with source `aws.kinesis` as EventBridge does. So
CloudTrail events are sent to the queue of the guard, in the format in which EventBridge sends them.
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
    """Return a CloudTrail event as EventBridge sends it."""
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
class DeployedGuard:
    """One guard, accessed through the outputs of its stack (as in examples/guard.py)."""

    aws: LocalAws
    outputs: dict[str, str]

    def __post_init__(self) -> None:
        self._sqs = self.aws.client("sqs")
        self._subscription_queue = ""

    def subscribe(self) -> None:
        """Subscribe a queue to the topic, to receive the notifications."""
        name = f"notifications-{time.time_ns()}"
        queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        arn, topic = attributes["Attributes"]["QueueArn"], self.outputs["TopicArn"]
        allow_topic = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow_topic]})
        self._sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        self.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        self._subscription_queue = queue

    def send(self, body: dict[str, Any] | str) -> None:
        """Send a message to the queue of the guard."""
        text = body if isinstance(body, str) else json.dumps(body)
        self._sqs.send_message(QueueUrl=self.outputs["QueueUrl"], MessageBody=text)

    def release(self, stream: str) -> None:
        """Forget the remediations of a stream, which also starts a scan."""
        body = json.dumps({"release": {"stream": stream}})
        self._sqs.send_message(QueueUrl=self.outputs["RemediationQueueUrl"], MessageBody=body)

    def send_api_call(self, call: str, stream: str, caller: str = ALICE, **parameters: str) -> None:
        """Send the CloudTrail event of a call."""
        self.send(cloudtrail_event(call, {"streamName": stream, **parameters}, caller))

    def next_notification(self, seconds: float) -> dict[str, Any] | None:
        """Return the next notification as SNS sends it, None if none arrives in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # As short as the polling of the emulator, so that the benchmark can measure latency.
            response = self._sqs.receive_message(
                QueueUrl=self._subscription_queue, WaitTimeSeconds=1
            )
            for message in response.get("Messages", []):
                self._sqs.delete_message(
                    QueueUrl=self._subscription_queue, ReceiptHandle=message["ReceiptHandle"]
                )
                body: dict[str, Any] = json.loads(message["Body"])
                return body
        return None

    def item(self, stream: str) -> dict[str, str]:
        """Return the table item of a stream, empty if there is none."""
        arn = f"arn:aws:kinesis:{self.aws.region}:{self.aws.account}:stream/{stream}"
        response = self.aws.client("dynamodb").get_item(
            TableName=self.outputs["TableName"], Key={"arn": {"S": arn}}
        )
        item = response.get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def dead_letters(self) -> list[dict[str, Any]]:
        """Return the messages of the dead-letter queue, with their attributes."""
        response = self._sqs.receive_message(
            QueueUrl=self.outputs["DeadLetterQueueUrl"],
            MessageAttributeNames=["All"],
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
        )
        messages: list[dict[str, Any]] = response.get("Messages", [])
        return messages


def poll(seconds: float, condition: Callable[[], Any]) -> Any:
    """Return the first true result of `condition`, or its last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return result
