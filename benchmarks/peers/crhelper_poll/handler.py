"""A custom resource as crhelper's README shows, with a poll function at its shortest interval."""

from typing import Any

import boto3
from crhelper import CfnResource

helper = CfnResource(log_level="INFO", boto_level="CRITICAL", sleep_on_delete=0, polling_interval=1)
kinesis = boto3.client("kinesis")


@helper.create
@helper.update
def encrypt(event: dict[str, Any], _context: object) -> None:
    """Encrypt the stream."""
    properties = event["ResourceProperties"]
    name = str(properties["StreamName"])
    kinesis.start_stream_encryption(
        StreamName=name, EncryptionType="KMS", KeyId=properties["KeyId"]
    )
    helper.Data["StreamName"] = name


@helper.poll_create
@helper.poll_update
def encrypted(_event: dict[str, Any], _context: object) -> str | None:
    """Return the physical id once the stream is ACTIVE."""
    name = str(helper.Data["StreamName"])
    summary = kinesis.describe_stream_summary(StreamName=name)
    return name if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" else None


@helper.delete
def retain(_event: dict[str, Any], _context: object) -> None:
    """Leave the stream encrypted."""


def handler(event: dict[str, Any], context: object) -> None:
    """Handle an event."""
    helper(event, context)
