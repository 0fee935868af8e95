"""Whether a request that comes late is still what CloudFormation wants.

Lambda delivers an asynchronous event at least once, and again after a crash. A request that was
answered long ago must not change a stream that later requests have moved on with.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from stream_encryption.aws_error import AwsError, translated

LOOK = "cloudformation:DescribeStackResource"
"""IAM action of a look at the resource."""

SLACK = 5.0
"""Seconds by which a resource's last status change may follow the request that it belongs to."""

_IN_PROGRESS = {"Create": "CREATE_IN_PROGRESS", "Update": "UPDATE_IN_PROGRESS"}


class StackResource:
    """This custom resource, as its stack shows it.

    Parameters
    ----------
    client
        Makes the CloudFormation client of boto3; called at the first look only.
    stack_id, logical_id
        Which resource.
    """

    def __init__(self, client: Callable[[], Any], stack_id: str, logical_id: str) -> None:
        self._make_client = client
        self._stack_id = stack_id
        self._logical_id = logical_id

    def moved_on(self, request_type: str, physical_id: str, issued: float) -> str | None:
        """Say why a request is outdated; None when it is current.

        Source: CloudFormation API reference, DescribeStackResource. While a resource is being
        created or updated its status says so; a resource that is deleted because another has
        replaced it shows the other's physical id.

        Parameters
        ----------
        request_type
            ``Create``, ``Update`` or ``Delete``.
        physical_id
            Id that the request carries; empty for ``Create``.
        issued
            When CloudFormation sent the request, in seconds since the epoch.

        Raises
        ------
        AwsError
            When CloudFormation can't be asked.
        """
        try:
            with translated(LOOK):
                answer = self._make_client().describe_stack_resource(
                    StackName=self._stack_id, LogicalResourceId=self._logical_id
                )
        except AwsError as error:
            # A resource that CloudFormation doesn't show may only just have been begun, but what is
            # deleted has been shown before.
            if error.code == "ValidationError" and request_type == "Delete":
                return f"CloudFormation no longer has it: {error.message}"
            raise
        detail = answer["StackResourceDetail"]
        status = detail["ResourceStatus"]
        if request_type == "Delete":
            replaced = detail.get("PhysicalResourceId") != physical_id
            current = status == "DELETE_IN_PROGRESS" or (replaced and status != "DELETE_COMPLETE")
        else:
            current = status == _IN_PROGRESS[request_type]
            updated: datetime | None = detail.get("LastUpdatedTimestamp")
            if current and updated and updated.timestamp() > issued + SLACK:
                return f"it is {status} anew since {updated.isoformat()}"
        return None if current else f"it is {status}"
