"""Common parts of the simulated services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

PARTITION = "aws"
REGION = "eu-central-1"
ACCOUNT = "111122223333"
FUNCTION_ARN = f"arn:{PARTITION}:lambda:{REGION}:{ACCOUNT}:function:encryption"

Params = Mapping[str, Any]


class ServiceError(Exception):
    """An error response of a service.

    Parameters
    ----------
    code, message
        As in the API reference.
    status
        HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


class SimulatedService(Protocol):
    """A simulated service."""

    def serve(self, operation: str, params: Params, caller: object) -> dict[str, Any]:
        """Perform an operation; raise `ServiceError` when it fails."""


def arn(service: str, resource: str, region: str = REGION) -> str:
    """Build an ARN in the simulated account."""
    return f"arn:{PARTITION}:{service}:{region}:{ACCOUNT}:{resource}"


def string_attributes(attributes: Params) -> dict[str, str]:
    """Return the message attributes of SQS or SNS; fail for a type that the guard does not use."""
    assert {each["DataType"] for each in attributes.values()} <= {"String"}
    return {name: each["StringValue"] for name, each in attributes.items()}
