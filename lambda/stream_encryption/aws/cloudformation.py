"""Whether a request is still what CloudFormation wants.

Lambda delivers an asynchronous event at least once, and again after a crash; CloudFormation
cancels a request when another resource fails. A request that is over must not change a stream.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stream_encryption.aws.errors import AwsError, translated

_SETTLED = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}

SLACK = 5.0
"""Seconds by which a resource's last status change may follow the request that it belongs to."""

YOUNG = 3.0
"""Age in seconds below which a request may have been sent before the resource shows it."""


def superseded(
    client: Any, *, stack_id: str, logical_id: str, request_type: str, issued: float, now: float
) -> str | None:
    """Say why a Create or Update sent at ``issued`` no longer counts; None when it does.

    Source: CloudFormation API reference, DescribeStackResource. While a resource is being created
    or updated its status says so; a Create that is cancelled is deleted while it runs, and is not
    shown any more once that is done.

    Raises
    ------
    AwsError
        When CloudFormation cannot be asked.
    """
    young = now - issued < YOUNG
    try:
        with translated("cloudformation:DescribeStackResource"):
            detail = client.describe_stack_resource(
                StackName=stack_id, LogicalResourceId=logical_id
            )["StackResourceDetail"]
            status = str(detail["ResourceStatus"])
            updated: datetime | None = detail.get("LastUpdatedTimestamp")
    except AwsError as error:
        if error.code == "ValidationError" and "does not exist" in error.message:
            return None if young else "CloudFormation does not show it"
        raise
    if status == f"{request_type.upper()}_IN_PROGRESS":
        anew = updated is not None and updated.timestamp() > issued + SLACK
        return f"it is {status} anew since {updated}" if anew else None
    return None if young and status in _SETTLED else f"it is {status}"
