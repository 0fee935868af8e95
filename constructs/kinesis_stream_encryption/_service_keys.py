"""Keys that EventBridge and CloudWatch need to send to encrypted queues and topics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from aws_cdk import Annotations, CfnElement

from kinesis_stream_encryption._final_template import Resources, final_resource
from kinesis_stream_encryption._policies import Json, allows, referenced, statements_of
from kinesis_stream_encryption._tokens import readable

__all__ = ["SEND_ACTIONS", "check_alarm_topics", "check_event_queues"]

# Who sends to an encrypted queue or topic needs both ("Key management" in the developer guides of
# Amazon SQS and Amazon SNS).
SEND_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")


class _Sender(NamedTuple):
    """A service that sends to a kind of resource, and what it can use without a customer's key."""

    name: str
    principal: str
    kind: str
    alternative: str


_EVENTBRIDGE = _Sender("EventBridge", "events.amazonaws.com", "queue", "SSE-SQS")
_CLOUDWATCH = _Sender("CloudWatch", "cloudwatch.amazonaws.com", "topic", "an unencrypted topic")


def check_event_queues(queues: list[CfnElement], final: Resources) -> Iterator[str]:
    """Yield an error for each queue of a rule with a key that EventBridge cannot use."""
    for queue in queues:
        if key := final_resource(queue, final).get("Properties", {}).get("KmsMasterKeyId"):
            yield from _check_key(_EVENTBRIDGE, queue, queue.node.path, key, final(queue.stack))


def check_alarm_topics(alarms: list[CfnElement], final: Resources) -> Iterator[str]:
    """Yield an error for each topic of an alarm with a key that CloudWatch cannot use."""
    topics = {
        readable(action): (alarm, referenced(action, final(alarm.stack)).get("Properties", {}))
        for alarm in alarms
        for action in final_resource(alarm, final).get("Properties", {}).get("AlarmActions", [])
    }
    for name, (alarm, topic) in topics.items():
        key, resources = topic.get("KmsMasterKeyId"), final(alarm.stack)
        # Nothing is known about the policy of an imported key.
        if key and ("alias/aws/" in readable(key) or referenced(key, resources)):
            yield from _check_key(_CLOUDWATCH, alarm, name, key, resources)


def _check_key(
    sender: _Sender, element: CfnElement, target: str, key: Any, resources: Json
) -> Iterator[str]:
    """Yield an error if a service cannot use the key; warn if the key policy is unknown."""
    name, policy = readable(key), referenced(key, resources).get("Properties", {}).get("KeyPolicy")
    message = (
        f"{sender.name} cannot send to the {sender.kind} {target!r} unless the policy of the KMS "
        f"key {name!r} allows {sender.principal} {' and '.join(SEND_ACTIONS)}: "
    )
    if "alias/aws/" in name:
        yield (
            f"{message}the policy of an AWS managed key does not, so use a customer managed key or "
            f"{sender.alternative}"
        )
    elif policy is None:
        Annotations.of(element).add_warning_v2(
            f"cdk-kinesis-stream-encryption:{sender.kind}Key",
            f"{message}check the key policy, because the key is not in the template of the "
            f"{sender.kind}",
        )
    elif not allows(_statements_for(sender, policy), SEND_ACTIONS):
        yield f"{message}add a statement to the key policy"


def _statements_for(sender: _Sender, key_policy: Json) -> Iterator[Json]:
    principals = (f'"{sender.principal}"', '"Principal": "*"')
    for statement in statements_of(key_policy):
        if any(each in json.dumps(statement) for each in principals):
            yield statement
