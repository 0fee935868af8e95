"""What people are told."""

from __future__ import annotations

from typing import Any

from stream_encryption.aws.arn import AWS_MANAGED_KEY
from stream_encryption.encryption.failure import cut
from stream_encryption.guard.finding import DRIFT, State
from stream_encryption.guard.item import Item

MAX_SUBJECT = 100
"""Characters of a subject, by SNS's API reference, Publish."""

_HEADLINES = {
    State.AS_WANTED: "is encrypted as wanted again",
    State.PLAINTEXT: "is in plaintext",
    State.OTHER_KEY: "has another key",
    State.UNKNOWN: "is encrypted again, with a key that cannot be found out",
    State.EXEMPT: "is exempt",
    State.GONE: "is deleted",
}


def notification(item: Item, wanted: str | None) -> dict[str, Any]:
    """Write a notification, as parameters of SNS's Publish."""
    name, finding = item.arn.split("/", 1)[1], item.finding
    lines = {
        "Stream": item.arn,
        "Created": finding.created,
        "State": finding.state,
        "Key found": finding.key or "none",
        "Key wanted": wanted or "any KMS key",
        "Since": item.since,
        "Told before": item.told,
        "Changed by": item.caller or "not known: no event told it",
        "Call": f"{item.call} at {item.called}" if item.call else "not known",
        "What to do": _remedy(name, finding.state, wanted),
    }
    text = "\n".join(f"{title}: {line}" for title, line in lines.items())
    return {
        "Subject": cut(f"Stream {name} {_HEADLINES[finding.state]}", MAX_SUBJECT),
        "Message": f"Stream {name} {_HEADLINES[finding.state]}.\n\n{text}\n",
        "MessageAttributes": {"state": {"DataType": "String", "StringValue": finding.state}},
    }


def _remedy(name: str, state: State, wanted: str | None) -> str:
    if state not in DRIFT:
        return "nothing, if it is meant to be so"
    return (
        "deploy its KinesisStreamEncryption with another revision, or: aws kinesis"
        f" start-stream-encryption --stream-name {name} --encryption-type KMS"
        f" --key-id {wanted or AWS_MANAGED_KEY}"
    )
