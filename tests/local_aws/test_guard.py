"""The guard as it is deployed: rule, queue, function, table and topic; once with IAM enforced."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kinesis_stream_encryption import Remediation
from local_aws import LocalAws
from local_aws.deployed_guard import ALICE, DeployedGuard, cloudtrail_event
from tests.local_aws.deployment import (
    client_of_role,
    deploy,
    destroy,
    encryption,
    exists,
    make_key,
    make_stream,
    summary,
)
from tests.local_aws.guard_app import guard_app
from tests.local_aws.observing import until


@dataclass
class Guarded:
    """A deployed guard of all streams whose names begin with its prefix."""

    aws: LocalAws
    guarding: DeployedGuard
    prefix: str
    key: str
    stack: str
    template: dict[str, Any]

    def make_stream(self, key: str | None) -> str:
        """Make a stream with a key, and return its name."""
        name = make_stream(self.aws, self.prefix).rpartition("/")[2]
        if key is not None:
            self.start(name, key)
        return name

    def start(self, name: str, key: str) -> None:
        """Encrypt a stream, and wait until it is."""
        self.aws.client("kinesis").start_stream_encryption(
            StreamName=name, EncryptionType="KMS", KeyId=key
        )
        until(lambda: summary(self.aws, name)["StreamStatus"] == "ACTIVE")

    def stop(self, name: str) -> None:
        """End a stream's encryption; it may be UPDATING afterwards."""
        self.aws.client("kinesis").stop_stream_encryption(
            StreamName=name, EncryptionType="KMS", KeyId=self.key
        )

    def notified(self, name: str, state: str, *, seconds: float = 60) -> dict[str, Any]:
        """The next notification, which is about this."""
        notification = self.guarding.next_notification(seconds)
        assert notification, f"no notification about {name}: {self.guarding.item(name)}"
        assert name in notification["Message"]
        assert f"State: {state}\n" in notification["Message"]
        return notification


@contextmanager
def _deployed(
    aws: LocalAws,
    *,
    every: str | None = None,
    iam_enforced: bool = False,
    remediation: Remediation | None = None,
) -> Iterator[Guarded]:
    key, suffix = make_key(aws), uuid.uuid4().hex[:6]
    stack, prefix = f"guard-{suffix}", f"guarded-{suffix}-"
    outputs = deploy(
        aws,
        stack,
        lambda app: guard_app(
            app,
            stack,
            prefix=prefix,
            key=key,
            every=every,
            iam_enforced=iam_enforced,
            remediation=remediation,
        ),
    )
    guarding = DeployedGuard(aws, outputs)
    guarding.subscribe()
    cloudformation = aws.client("cloudformation")
    template = cloudformation.get_template(StackName=stack)["TemplateBody"]
    yield Guarded(aws, guarding, prefix, key, stack, dict(template))
    if exists(aws, stack):
        destroy(aws, stack)


@pytest.fixture(scope="module")
def guarded(local_aws: LocalAws) -> Iterator[Guarded]:
    with _deployed(local_aws) as guarded:
        yield guarded


@pytest.fixture(scope="module")
def guarded_iam(local_aws_iam: LocalAws) -> Iterator[Guarded]:
    with _deployed(local_aws_iam, every="rate(1 minute)", iam_enforced=True) as guarded:
        yield guarded


def test_stop_is_reported_once_and_its_end_too(guarded: Guarded) -> None:
    """While the stream is UPDATING, the message waits in the queue."""
    name = guarded.make_stream(guarded.key)
    guarded.stop(name)
    for _ in range(2):
        guarded.guarding.send_api_call("StopStreamEncryption", name, keyId=guarded.key)
    notification = guarded.notified(name, "unencrypted")
    assert notification["Subject"] == f"Stream {name} is unencrypted"
    assert f"Changed by: {ALICE}\n" in notification["Message"]
    assert f"Desired key: {guarded.key}\n" in notification["Message"]
    until(lambda: guarded.guarding.item(name)["notifying_since"] == "")
    row = guarded.guarding.item(name)
    assert (row["state"], row["key"], row["caller"]) == ("unencrypted", "", ALICE)
    assert row["call"] == "StopStreamEncryption"
    guarded.start(name, guarded.key)
    guarded.guarding.send_api_call("StartStreamEncryption", name, keyId=guarded.key)
    guarded.notified(name, "compliant")
    assert guarded.guarding.next_notification(3) is None
    assert guarded.guarding.item(name)["key"] == guarded.key


def test_created_stream_is_checked_once_it_is_active(guarded: Guarded) -> None:
    kinesis, name = guarded.aws.client("kinesis"), f"{guarded.prefix}created"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    guarded.guarding.send_api_call("CreateStream", name)
    row = until(lambda: guarded.guarding.item(name))
    assert (row["state"], row["last_notified"]) == ("unencrypted", "nothing"), (
        "it waits for ten minutes"
    )


def test_tag_exempts_a_stream(guarded: Guarded) -> None:
    name = guarded.make_stream(guarded.key)
    guarded.guarding.send_api_call("StartStreamEncryption", name)
    until(lambda: guarded.guarding.item(name).get("state") == "compliant")
    guarded.aws.client("kinesis").add_tags_to_stream(StreamName=name, Tags={"exempt": "yes"})
    guarded.guarding.send_api_call("AddTagsToStream", name)
    guarded.notified(name, "exempt")


def test_scan_finds_what_no_event_reported(guarded: Guarded) -> None:
    """All streams by ListStreams; and those that are gone, by what the table knows."""
    name, gone = guarded.make_stream(guarded.key), guarded.make_stream(guarded.key)
    guarded.guarding.send({"scan": {}})
    until(lambda: guarded.guarding.item(name).get("state") == "compliant")
    until(lambda: guarded.guarding.item(gone).get("state") == "compliant")
    guarded.aws.client("kinesis").delete_stream(StreamName=gone)
    guarded.guarding.send({"scan": {}})
    until(lambda: guarded.guarding.item(gone).get("state") == "deleted", seconds=90)


def test_what_cannot_be_handled_is_given_up_with_its_reason(guarded: Guarded) -> None:
    guarded.guarding.send("nonsense")
    (dead,) = until(guarded.guarding.dead_letters)
    assert dead["Body"] == "nonsense"
    assert dead["MessageAttributes"]["reason"]["StringValue"].startswith("malformed message")


@pytest.mark.parametrize(
    ("call", "parameters", "other", "matches"),
    [
        ("StopStreamEncryption", {"streamName": "orders"}, {}, True),
        ("StartStreamEncryption", {"streamARN": "arn:aws:kinesis:::stream/orders"}, {}, True),
        ("UntagResource", None, {}, True),
        ("PutRecord", {"streamName": "orders"}, {}, False),
        ("DescribeStreamSummary", {"streamName": "orders"}, {}, False),
        ("StopStreamEncryption", None, {"errorCode": "AccessDenied"}, False),
        (
            "StopStreamEncryption",
            {"streamName": "orders"},
            {"eventSource": "firehose.amazonaws.com"},
            False,
        ),
    ],
)
def test_rule_lets_through_what_may_have_changed_a_stream(
    guarded: Guarded,
    call: str,
    parameters: dict[str, str] | None,
    other: dict[str, str],
    matches: bool,
) -> None:
    made = cloudtrail_event(call, parameters, ALICE)
    made["detail"] |= other
    assert _lets_through(guarded, made) == matches
    others = {"source": "aws.firehose", "account": "444455556666", "region": "us-east-1"}
    assert not any(_lets_through(guarded, made | {name: others[name]}) for name in others)


def _lets_through(guarded: Guarded, event: dict[str, Any]) -> bool:
    patterns = [
        each["Properties"]["EventPattern"]
        for each in guarded.template["Resources"].values()
        if each["Type"] == "AWS::Events::Rule" and "EventPattern" in each["Properties"]
    ]
    (pattern,) = (each for each in patterns if each["source"] == ["aws.kinesis"])
    text = json.dumps(pattern)
    for name, value in {"AccountId": guarded.aws.account, "Region": guarded.aws.region}.items():
        text = text.replace(json.dumps({"Ref": f"AWS::{name}"}), json.dumps(value))
    response = guarded.aws.client("events").test_event_pattern(
        EventPattern=text, Event=json.dumps(event)
    )
    return bool(response["Result"])


def test_role_suffices_with_iam_enforced(guarded_iam: Guarded) -> None:
    """The schedule starts the scan here: rule, queue, function, table, and topic are all real."""
    name = guarded_iam.make_stream(guarded_iam.key)
    until(lambda: guarded_iam.guarding.item(name).get("state") == "compliant", seconds=150)
    guarded_iam.stop(name)
    guarded_iam.guarding.send_api_call("StopStreamEncryption", name)
    guarded_iam.notified(name, "unencrypted")
    guarded_iam.guarding.send("nonsense")
    assert until(guarded_iam.guarding.dead_letters)[0]["Body"] == "nonsense"


@pytest.fixture(scope="module")
def remediating(local_aws_iam: LocalAws) -> Iterator[Guarded]:
    limits = Remediation(max_changes_per_stream=1)
    with _deployed(local_aws_iam, iam_enforced=True, remediation=limits) as guarded:
        yield guarded


def test_stopped_encryption_is_restored_until_the_owner_insists(remediating: Guarded) -> None:
    """With IAM enforced: each function has the permissions of its role only."""
    guarding, aws = remediating.guarding, remediating.aws
    name = remediating.make_stream(remediating.key)

    def reports(outcome: str) -> None:
        report = guarding.next_notification(60)
        assert report, f"{outcome} is not reported: {guarding.item(name)}"
        assert f"Outcome: {outcome}\n" in report["Message"]
        assert f"Changed by: {ALICE} (StopStreamEncryption at " in report["Message"]

    def stop() -> None:
        until(lambda: guarding.item(name).get("state") == "compliant")
        remediating.stop(name)
        guarding.send_api_call("StopStreamEncryption", name, keyId=remediating.key)
        remediating.notified(name, "unencrypted")

    guarding.send({"check": name, "exempt": None})
    stop()
    reports("restored")
    assert encryption(aws, name)[1:] == ("KMS", remediating.key)
    stop()
    reports("yielded")
    assert encryption(aws, name)[1] == "NONE"
    guarding.release(name)
    reports("restored")
    assert encryption(aws, name)[1:] == ("KMS", remediating.key)
    assert not guarding.dead_letters()


@pytest.mark.parametrize(
    ("function", "denied"),
    [
        ("FunctionName", ["start_stream_encryption", "stop_stream_encryption"]),
        ("RemediationFunctionName", ["stop_stream_encryption"]),
    ],
)
def test_no_role_can_stop_encryption(
    remediating: Guarded, function: str, denied: list[str]
) -> None:
    aws, name = remediating.aws, remediating.make_stream(remediating.key)
    described = aws.client("lambda").get_function(
        FunctionName=remediating.guarding.outputs[function]
    )
    kinesis = client_of_role(aws, described["Configuration"]["Role"], "kinesis")
    assert kinesis.describe_stream_summary(StreamName=name)
    for call in denied:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(kinesis, call)(StreamName=name, EncryptionType="KMS", KeyId=remediating.key)


def _is_empty(aws: LocalAws, queue: str) -> bool:
    numbers = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    response = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=numbers)
    return not any(int(number) for number in response["Attributes"].values())


def test_deleting_the_stack_leaves_nothing_behind(local_aws: LocalAws) -> None:
    aws = local_aws
    with _deployed(aws) as guarded:
        outputs = guarded.guarding.outputs
        name = guarded.make_stream(guarded.key)
        guarded.guarding.send({"scan": {}})
        until(lambda: guarded.guarding.item(name))
        # A running function would write to the log group, and the emulator would create it again.
        until(lambda: _is_empty(aws, outputs["QueueUrl"]))
        destroy(aws, guarded.stack)
    for queue in ("QueueUrl", "DeadLetterQueueUrl"):
        with pytest.raises(ClientError):
            aws.client("sqs").get_queue_attributes(
                QueueUrl=outputs[queue], AttributeNames=["QueueArn"]
            )
    assert outputs["TableName"] not in aws.client("dynamodb").list_tables()["TableNames"]
    groups = aws.client("logs").describe_log_groups()["logGroups"]
    assert not [each for each in groups if guarded.stack in each["logGroupName"]]
