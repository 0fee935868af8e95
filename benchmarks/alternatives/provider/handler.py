"""The two functions of CDK's Provider framework."""

from typing import Any

import boto3

kinesis = boto3.client("kinesis")


def on_event(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Encrypt the stream."""
    properties = event["ResourceProperties"]
    name = str(properties["StreamName"])
    if event["RequestType"] != "Delete":
        kinesis.start_stream_encryption(
            StreamName=name, EncryptionType="KMS", KeyId=properties["KeyId"]
        )
    return {"PhysicalResourceId": name}


def is_complete(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Return whether the stream is ACTIVE."""
    name = event["ResourceProperties"]["StreamName"]
    summary = kinesis.describe_stream_summary(StreamName=name)
    return {"IsComplete": summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"}
