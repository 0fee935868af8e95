"""A handwritten custom resource with crhelper that polls every second until ACTIVE."""

import time
from typing import Any

import boto3
from crhelper import CfnResource

helper = CfnResource(log_level="INFO", boto_level="CRITICAL", sleep_on_delete=0)
kinesis = boto3.client("kinesis")


@helper.create
@helper.update
def encrypt(event: dict[str, Any], _context: object) -> str:
    """Encrypt the stream and wait."""
    properties = event["ResourceProperties"]
    name = str(properties["StreamName"])
    kinesis.start_stream_encryption(
        StreamName=name, EncryptionType="KMS", KeyId=properties["KeyId"]
    )
    while _status(name) != "ACTIVE":
        time.sleep(1)
    return name


@helper.delete
def retain(_event: dict[str, Any], _context: object) -> None:
    """Leave the stream encrypted."""


def _status(name: str) -> str:
    summary = kinesis.describe_stream_summary(StreamName=name)
    return str(summary["StreamDescriptionSummary"]["StreamStatus"])


def handler(event: dict[str, Any], context: object) -> None:
    """Handle an event."""
    helper(event, context)
