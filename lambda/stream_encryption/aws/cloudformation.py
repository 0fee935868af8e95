"""Whether a request is still what CloudFormation wants.

Lambda delivers an asynchronous event at least once, and again after a crash; CloudFormation
cancels a request when another resource fails. A request that is over must not change a stream.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stream_encryption.aws.errors import translated

SLACK = 5.0
"""Seconds by which a resource's last status change may follow the request that it belongs to."""


def superseded(
    client: Any, *, stack_id: str, logical_id: str, request_type: str, issued: float
) -> str | None:
    """Say why a request no longer counts; None when it does.

    Source: CloudFormation API reference, DescribeStackResource. While a resource is being created
    or updated its status says so; a Create that is cancelled is deleted while it runs.

    Parameters
    ----------
    client
        CloudFormation client of boto3.
    stack_id, logical_id
        Which resource.
    request_type
        ``Create`` or ``Update``.
    issued
        When CloudFormation sent the request, in seconds since the epoch.

    Raises
    ------
    AwsError
        When CloudFormation cannot be asked, or does not show the resource.
    """
    with translated("cloudformation:DescribeStackResource"):
        answer = client.describe_stack_resource(StackName=stack_id, LogicalResourceId=logical_id)
        detail = answer["StackResourceDetail"]
        status = str(detail["ResourceStatus"])
        updated: datetime | None = detail.get("LastUpdatedTimestamp")
        if status != f"{request_type.upper()}_IN_PROGRESS":
            return f"it is {status}"
        if updated and updated.timestamp() > issued + SLACK:
            return f"it is {status} anew since {updated.isoformat()}"
        return None
