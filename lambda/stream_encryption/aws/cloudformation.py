"""Detection of stale requests, by positive evidence from CloudFormation only.

Lambda delivers an asynchronous event at least once, and again after a crash. CloudFormation cancels
a request if another resource fails. A request that has ended must not modify a stream. How soon
CloudFormation shows a new request is not documented, so anything but proof allows the change.
"""

from __future__ import annotations

from typing import Any

from stream_encryption.aws.errors import AwsError, translated

TOLERANCE = 5.0
"""Seconds by which the final status of the previous request may be newer than a new request."""

LONG_TOLERANCE = 60.0
"""The same for a status that the request itself may have caused, and for a request whose issue
time is unknown. Also the age from which the final status of a stack cannot be that of the previous
stack operation."""

_REMOVES_RESOURCES = ("ROLLBACK_", "UPDATE_ROLLBACK_", "DELETE_")
_ENDS = ("_COMPLETE", "_FAILED")


def stale_reason(
    client: Any, *, stack_id: str, logical_id: str, issued: float, dated: bool, now: float
) -> str | None:
    """Explain why a Create or Update issued at ``issued`` is stale; None unless that is certain.

    ``dated`` indicates that ``issued`` is CloudFormation's time, not the time of arrival.
    Source: CloudFormation API reference, DescribeStackResource, DescribeStacks.

    Raises
    ------
    AwsError
        If a call fails.
    """
    try:
        with translated("cloudformation:DescribeStackResource"):
            detail = client.describe_stack_resource(
                StackName=stack_id, LogicalResourceId=logical_id
            )["StackResourceDetail"]
            status, updated = str(detail["ResourceStatus"]), detail.get("LastUpdatedTimestamp")
            newer_by = updated.timestamp() - issued if updated else 0.0
    except AwsError as error:
        if error.code == "ValidationError" and "does not exist" in error.message:
            return _removed(client, stack_id, age=now - issued)
        raise
    if status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}:
        tolerance = LONG_TOLERANCE
    elif status.startswith("DELETE_") or status.endswith(_ENDS):
        tolerance = TOLERANCE if dated else LONG_TOLERANCE
    else:
        return None
    return f"the resource is {status} since {updated}" if newer_by > tolerance else None


def _removed(client: Any, stack_id: str, age: float) -> str | None:
    """Explain which stack operation removed the resource; None if another one may create it."""
    with translated("cloudformation:DescribeStacks"):
        status = str(client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"])
    may_precede = status.endswith(_ENDS) and age < LONG_TOLERANCE
    if may_precede or not status.startswith(_REMOVES_RESOURCES):
        return None
    return f"the resource does not exist, and its stack is {status}"
