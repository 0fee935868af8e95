"""Text of a notification."""

from __future__ import annotations

from typing import Any

from stream_encryption.aws.arn import AWS_MANAGED_KEY
from stream_encryption.encryption.failure import cut
from stream_encryption.guard.finding import NONCOMPLIANT, State
from stream_encryption.guard.item import Item

MAX_SUBJECT = 100
"""Characters of a subject, by SNS's API reference, Publish."""

_HEADLINES = {
    State.COMPLIANT: "is compliant again",
    State.UNENCRYPTED: "is unencrypted",
    State.OTHER_KEY: "is encrypted with another key",
    State.UNKNOWN: "is encrypted again, with an alias that cannot be resolved",
    State.EXEMPT: "is exempt",
    State.DELETED: "is deleted",
}


def notification(item: Item, desired_key: str | None) -> dict[str, Any]:
    """Compose a notification, as parameters of SNS's Publish."""
    name, finding = item.arn.split("/", 1)[1], item.finding
    lines = {
        "Stream": item.arn,
        "Created": finding.created,
        "State": finding.state,
        "Observed key": finding.key or "none",
        "Desired key": desired_key or "any KMS key",
        "Since": item.since,
        "Last notified": item.last_notified,
        "Changed by": item.caller or "unknown (no CloudTrail event received)",
        "Call": f"{item.call} at {item.call_time}" if item.call else "unknown",
        "Remedy": _remedy(name, finding.state, desired_key),
    }
    text = "\n".join(f"{title}: {line}" for title, line in lines.items())
    return {
        "Subject": cut(f"Stream {name} {_HEADLINES[finding.state]}", MAX_SUBJECT),
        "Message": f"Stream {name} {_HEADLINES[finding.state]}.\n\n{text}\n",
        "MessageAttributes": {"state": {"DataType": "String", "StringValue": finding.state}},
    }


def _remedy(name: str, state: State, desired_key: str | None) -> str:
    if state not in NONCOMPLIANT:
        return "none, if this is intended"
    return (
        "deploy its KinesisStreamEncryption with another revision, or run: aws kinesis"
        f" start-stream-encryption --stream-name {name} --encryption-type KMS"
        f" --key-id {desired_key or AWS_MANAGED_KEY}"
    )
