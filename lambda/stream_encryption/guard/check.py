"""A check of one stream: describe, evaluate, notify."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError

from stream_encryption.aws.arn import key_arn
from stream_encryption.aws.errors import AwsError, ErrorKind
from stream_encryption.aws.kinesis import Stream, StreamDescription
from stream_encryption.aws.kms import Kms
from stream_encryption.encryption.job import CONSISTENCY_WINDOW
from stream_encryption.guard.finding import NONCOMPLIANT, Finding, State, evaluate
from stream_encryption.guard.item import Item
from stream_encryption.guard.messages import STOP, ApiCall, Check, NonRetryableError, RetryLater
from stream_encryption.guard.notification import notification
from stream_encryption.guard.settings import Environment
from stream_encryption.guard.table import Table

GRACE_PERIOD = 600.0
"""Seconds for which drift lasts before it is reported, unless StopStreamEncryption was called.

CloudFormation and Terraform create a stream without encryption, and encrypt it afterwards.
"""

NOTIFICATION_LEASE = 100.0
"""Seconds after which an invocation that began a notification has ended: above the timeout."""

DEPLOYMENT_TAIL = 3.0
"""Seconds before the end of a deployment in which it changes neither streams nor this function.

The handler waits for five after a stream has changed, CloudFormation for a function's update.
"""

KEY_PROPAGATION = 15.0
"""Seconds for which KMS may not find a new key or alias."""

COUNT_DELAY = 90
"""Seconds between a change of compliance and its count: more than the period of an alarm.

An alarm sees the maximum of a period: the count after the last change must be alone in its period.
"""


def is_exempt(environment: Environment, name: str) -> bool:
    """Read whether the tags of a stream exempt it."""
    settings, client = environment.settings, environment.client
    if not (settings.tag or settings.exempt_tag_key):
        return False
    tags: dict[str, str] = {}
    more = True
    while more:
        start = {"ExclusiveStartTagKey": [*tags][-1]} if tags else {}
        page = client("kinesis").list_tags_for_stream(StreamName=name, Limit=50, **start)
        tags |= {tag["Key"]: tag.get("Value", "") for tag in page["Tags"]}
        more = page["HasMoreTags"]
    return settings.exempts(tags)


def idle_stack(environment: Environment) -> object:
    """Return what differs after each deployment of the guard's own stack.

    Raises
    ------
    RetryLater
        If the stack is in progress, or has failed.
    """
    name = environment.settings.stack
    stack = environment.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    status = stack["StackStatus"]
    if not status.endswith("_COMPLETE"):
        raise RetryLater(f"the guard's own stack is {status}")
    return status, stack.get("LastUpdatedTime")


class Checker:
    """Checks streams, and notifies."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._settings, self._place, self._clock, self._client = environment
        self._table = Table(environment.client("dynamodb"), self._settings.table)
        key = self._settings.key
        self._desired_key = key_arn(key, self._place) if key else None

    def check(self, message: Check) -> Item | None:
        """Check a stream; None if it is not guarded.

        The described state decides. An event only names the caller, and how long to wait.

        Raises
        ------
        RetryLater
            If the stream cannot be evaluated yet, or the finding not be reported yet.
        NonRetryableError
            If the desired key is an alias that does not exist.
        AwsError, botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError
            If a call fails.
        """
        began = self._clock.now()
        arn = self._place.arn("kinesis", f"stream/{message.name}")
        stored = self._table.get(Item, arn)
        if stored and stored.is_being_notified(began, NOTIFICATION_LEASE):
            raise RetryLater("another invocation is publishing a notification for the stream")
        # Described after the item was read: no writer of the item has seen a later state.
        description = Stream(self._client("kinesis"), arn).describe()
        if description and description.status in {"CREATING", "UPDATING"}:
            if stored and stored.since and stored.finding.state is State.UNENCRYPTED:
                # It is being encrypted: if it is unencrypted afterwards, it was stopped again.
                self._table.put(stored._replace(since=""))
            raise RetryLater(f"the stream is {description.status}")
        call = message.call
        if call and description and call.precedes(description.created):
            call = None
        finding = self._finding(message, stored, description)
        may_be_stale = call and not (finding and call.may_result_in(finding))
        if call and may_be_stale and began < call.time + CONSISTENCY_WINDOW:
            raise RetryLater("the description may not show the call yet")
        if finding is None:
            return None
        now, key = self._clock.now(), self._desired_key
        item = (stored or Item(arn, *finding)).observed(finding, now, call, key)
        item = self._put(item, stored)
        if item.is_due:
            self._notify(item, call, began)
        if item.finding.state is State.UNENCRYPTED and self._settings.remediation_queue:
            # On every check, so that nothing depends on a message that survives.
            body = {"remediate": {"stream": message.name, "drift": item.since}}
            self._client("sqs").send_message(
                QueueUrl=self._settings.remediation_queue, MessageBody=json.dumps(body)
            )
        return item

    def _finding(
        self, message: Check, stored: Item | None, description: StreamDescription | None
    ) -> Finding | None:
        if description is None or description.status == "DELETING":
            return Finding(State.DELETED, "", stored.finding.created) if stored else None

        def evaluated(exempt: bool) -> Finding:
            key, place = self._settings.key, self._place
            return evaluate(description, key, place, self._resolve, exempt=exempt)

        if message.exempt is not None:
            finding = evaluated(message.exempt)
            is_new = (
                finding != stored.finding or stored.is_due
                if stored
                else finding.state is not State.COMPLIANT
            )
            if not is_new:
                return finding
        # Tags that a scan found may be outdated: read them before they decide on a notification.
        exempt = is_exempt(self._environment, message.name)
        return None if exempt and self._settings.tag and not stored else evaluated(exempt)

    def _resolve(self, alias_arn: str) -> str | None:
        try:
            return Kms(lambda: self._client("kms")).describe(alias_arn).arn
        except AwsError as error:
            if error.kind is ErrorKind.NOT_FOUND and alias_arn == self._desired_key:
                reason = f"the desired key {alias_arn} does not exist"
                raise NonRetryableError(reason, after=KEY_PROPAGATION) from error
            if error.kind in {ErrorKind.NOT_FOUND, ErrorKind.DENIED, ErrorKind.DENIED_EXPLICITLY}:
                return None
            raise

    def _notify(self, item: Item, call: ApiCall | None, began: float) -> None:
        """Notify once: the item records the begin and the end; a crash in between repeats it."""
        idle_stack(self._environment)
        if self._clock.now() - began > DEPLOYMENT_TAIL:
            raise RetryLater("a deployment may have ended since the stream was described")
        state = item.finding.state
        stopped = call is not None and call.name == STOP and state is State.UNENCRYPTED
        remaining = GRACE_PERIOD - item.age(self._clock.now())
        if state in NONCOMPLIANT and not stopped and remaining > 0:
            raise RetryLater("a deployment may be about to encrypt the stream", remaining)
        begun = self._put(item.notifying(self._clock.now()), item)
        if self._settings.topic:
            text = notification(item, self._settings.key)
            try:
                self._client("sns").publish(TopicArn=self._settings.topic, **text)
            except ClientError as error:
                # After a retry, an attempt without a response may have been successful.
                if not error.response["ResponseMetadata"].get("RetryAttempts"):
                    self._table.put(begun._replace(notifying_since=item.notifying_since))
                raise
        self._table.put(begun.notified())

    def _put(self, item: Item, stored: Item | None) -> Item:
        if bool(item.confirmed) != bool(stored and stored.confirmed):
            # First, as a crash after the write would leave the change uncounted until a scan.
            self._client("sqs").send_message(
                QueueUrl=self._settings.queue,
                MessageBody=json.dumps({"count": {}}),
                DelaySeconds=COUNT_DELAY,
            )
        return self._table.put(item)
