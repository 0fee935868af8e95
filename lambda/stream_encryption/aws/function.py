"""Asynchronous invocation of the function by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stream_encryption.aws.errors import translated


def invoke(client: Any, function_arn: str, event: Mapping[str, Any]) -> None:
    """Invoke a function, or a version or alias of it, asynchronously.

    Source: Lambda API reference, Invoke.

    Raises
    ------
    AwsError
        If the call fails.
    """
    with translated("lambda:InvokeFunction"):
        client.invoke(
            FunctionName=function_arn,
            InvocationType="Event",
            Payload=json.dumps(event).encode(),
        )
