"""ministack with custom resource requests as CloudFormation sends them.

A script for the virtual environment of the emulator; its arguments are those of hypercorn. It adds
what AWS does and ministack does not:

- DescribeStackResource shows the status of an operation in progress;
- the event is an asynchronous invocation, which Lambda retries after an error;
- ServiceTimeout counts from the request, not from the end of the invocation;
- the response URL contains the date of the request.

ministack writes the log of a function when its invocation ends, so a request with a response ends
no earlier than its invocation.
"""
# ruff: noqa: SLF001 - ministack has no public interface for this; its version is pinned.

import inspect
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Event
from typing import Any

from hypercorn.__main__ import main  # type: ignore[import-not-found]
from ministack.core.responses import now_iso  # type: ignore[import-not-found]
from ministack.services import lambda_svc  # type: ignore[import-not-found]
from ministack.services.cloudformation import (  # type: ignore[import-not-found]
    custom_resource,
    handlers,
)

# Details that DescribeStackResource shows, by stack ID and logical ID.
_open_requests: dict[tuple[str, str], dict[str, str]] = {}
# While a custom resource request is sent: an event per invocation, set when the invocation ends.
_invocations: ContextVar[list[Event] | None] = ContextVar("_invocations", default=None)


def _with_open_request(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """Register the request from before it is sent until its response is received."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        arguments = inspect.signature(invoke).bind(*args, **kwargs).arguments
        request = arguments["stack_id"], arguments["logical_id"]
        _open_requests[request] = {
            "LogicalResourceId": arguments["logical_id"],
            "PhysicalResourceId": arguments.get("physical_id") or "",
            "ResourceType": arguments["resource_type"],
            "ResourceStatus": f"{arguments['request_type'].upper()}_IN_PROGRESS",
            "LastUpdatedTimestamp": now_iso(),
            "StackName": arguments["stack_name"],
            "StackId": arguments["stack_id"],
        }
        invocations: list[Event] = []
        token = _invocations.set(invocations)
        try:
            return invoke(*args, **kwargs)
        except TimeoutError:
            invocations.clear()
            raise
        finally:
            for invocation in invocations:
                invocation.wait()
            _invocations.reset(token)
            del _open_requests[request]

    return wrapper


def _with_progress(describe: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Show open requests as in progress, and all other resources as ministack does."""

    def wrapper(params: dict[str, Any]) -> Any:
        stack = handlers._resolve_stack(handlers._p(params, "StackName")) or {}
        resource = stack.get("StackId", ""), handlers._p(params, "LogicalResourceId")
        detail = _open_requests.get(resource)
        if detail is None:
            return describe(params)
        fields = "".join(f"<{name}>{handlers._esc(text)}</{name}>" for name, text in detail.items())
        return handlers._xml(
            200,
            "DescribeStackResourceResponse",
            "<DescribeStackResourceResult><StackResourceDetail>"
            f"{fields}</StackResourceDetail></DescribeStackResourceResult>",
        )

    return wrapper


def _asynchronously(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """Invoke asynchronously for a custom resource request, otherwise as ministack does."""

    def wrapper(function: dict[str, Any], event: Any) -> Any:
        invocations = _invocations.get()
        if invocations is None:
            return invoke(function, event)
        invocations.append(Event())
        return lambda_svc.invoke_async_with_retry(function, event)

    return wrapper


def _with_end_signal(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Signal the sender of a custom resource request when its invocation ends."""

    def wrapper(function: dict[str, Any], event: Any) -> Any:
        try:
            return execute(function, event)
        finally:
            for invocation in _invocations.get() or ():
                invocation.set()

    return wrapper


def _with_date(url_of: Callable[[str], str]) -> Callable[[str], str]:
    """Add the date to the response URL, as a presigned URL has it."""
    return lambda token: f"{url_of(token)}?X-Amz-Date={datetime.now(UTC):%Y%m%dT%H%M%SZ}"


custom_resource.invoke_custom_resource = _with_open_request(custom_resource.invoke_custom_resource)
custom_resource._response_url = _with_date(custom_resource._response_url)
lambda_svc._execute_function_with_config_scope = _asynchronously(
    lambda_svc._execute_function_with_config_scope
)
lambda_svc._execute_function = _with_end_signal(lambda_svc._execute_function)
handlers._ACTION_HANDLERS["DescribeStackResource"] = _with_progress(
    handlers._describe_stack_resource
)

if __name__ == "__main__":
    sys.exit(main())
