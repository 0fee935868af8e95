"""Text of a notification."""

from __future__ import annotations

from typing import Any

from stream_encryption.aws.arn import AWS_MANAGED_KEY
from stream_encryption.encryption.failure import cut
from stream_encryption.guard.finding import NONCOMPLIANT, State
from stream_encryption.guard.item import Item
from stream_encryption.guard.record import Record
from stream_encryption.guard.settings import Settings

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

_OUTCOMES = {
    "restored": "encryption is restored",
    "failed": "encryption could not be restored",
    "unconfirmed": "an attempt was interrupted, and the stream does not have the desired key",
    "yielded": "the guard no longer restores encryption, which is stopped again and again",
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
    return _text(f"Stream {name} {_HEADLINES[finding.state]}", finding.state, lines)


def remediation_notification(record: Record, settings: Settings) -> dict[str, Any]:
    """Compose the report of a remediation."""
    name = record.stream.split("/", 1)[1]
    done, tag = _OUTCOMES[record.outcome], settings.exempt_tag_key
    exempt = f"tag the stream with {tag}, or " if tag else ""
    lines = {
        "Stream": record.stream,
        "Created": record.created,
        "Outcome": record.outcome,
        "Found": f"unencrypted since {record.drift}",
        "Done": f"{done} ({record.time})",
        "Reason": record.reason or "none",
        "Desired key": settings.key,
        "Changed by": record.caller or "unknown (no CloudTrail event received)",
        "Changes by the guard": f"{record.remediations} since it was last compliant without them",
        "To stop the guard": f"{exempt}deploy the guard without remediation",
        "To resume after it yielded": f'send {{"release": {{"stream": "{name}"}}}} to'
        f" {settings.queue}",
    }
    return _text(f"Stream {name}: {done}", record.outcome, lines)


def breaker_notification(due: list[str], limit: int, settings: Settings) -> dict[str, Any]:
    """Compose the notification that the circuit breaker has opened."""
    lines = {
        "Due within an hour": f"{len(due)} streams, more than {limit}: {cut(', '.join(due), 2000)}",
        "Desired key": settings.key,
        "Remedy": "verify the guard's key and find who stops encryption, then send"
        f' {{"release": {{}}}} to {settings.queue}',
    }
    return _text("Remediation of streams is halted", "circuit breaker opened", lines)


def _text(headline: str, state: str, lines: dict[str, Any]) -> dict[str, Any]:
    text = "\n".join(f"{title}: {line}" for title, line in lines.items())
    return {
        "Subject": cut(headline, MAX_SUBJECT),
        "Message": f"{headline}.\n\n{text}\n",
        "MessageAttributes": {"state": {"DataType": "String", "StringValue": state}},
    }


def _remedy(name: str, state: State, desired_key: str | None) -> str:
    if state not in NONCOMPLIANT:
        return "none, if this is intended"
    return (
        "deploy its KinesisStreamEncryption with another revision, or run: aws kinesis"
        f" start-stream-encryption --stream-name {name} --encryption-type KMS"
        f" --key-id {desired_key or AWS_MANAGED_KEY}"
    )
