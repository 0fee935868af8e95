"""Whether a request is still what CloudFormation wants.

Lambda delivers an asynchronous event at least once, and again after a crash; CloudFormation
cancels a request when another resource fails. A request that is over must not change a stream.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stream_encryption.aws.errors import AwsError, translated

SLACK = 5.0
"""Seconds by which a resource's last status change may follow the request that it belongs to."""


def superseded(
    client: Any, *, stack_id: str, logical_id: str, request_type: str, issued: float
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
    try:
        with translated("cloudformation:DescribeStackResource"):
            detail = client.describe_stack_resource(
                StackName=stack_id, LogicalResourceId=logical_id
            )["StackResourceDetail"]
            status = str(detail["ResourceStatus"])
            updated: datetime | None = detail.get("LastUpdatedTimestamp")
            if status != f"{request_type.upper()}_IN_PROGRESS":
                return f"it is {status}"
            if updated and updated.timestamp() > issued + SLACK:
                return f"it is {status} anew since {updated.isoformat()}"
            return None
    except AwsError as error:
        if error.code == "ValidationError" and "does not exist" in error.message:
            return "CloudFormation no longer has it"
        raise
