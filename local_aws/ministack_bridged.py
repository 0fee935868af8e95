"""ministack, with the requests to custom resources as CloudFormation sends them.

A script for the emulator's own virtual environment, with the arguments of hypercorn. On AWS, and
with this, but not with ministack alone:

- DescribeStackResource shows a resource that is being created, updated or deleted as such;
- the event is an asynchronous invocation, which Lambda makes again after an error;
- ServiceTimeout counts from the request, not from the end of the invocation;
- the answer's URL carries the date of the request.

Nothing else is changed. As ministack writes a function's log when an invocation is over, a request
that is answered ends no earlier.
"""
# ruff: noqa: SLF001 - ministack has nothing public for this; its version is pinned.

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

# By stack id and logical id: what DescribeStackResource has to show.
_open: dict[tuple[str, str], dict[str, str]] = {}
# Where a custom resource's event is sent: for its invocation, what is set when that is over.
_invocations: ContextVar[list[Event] | None] = ContextVar("_invocations", default=None)


def _noting(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """Note what is open, from before the request is sent until its answer has come."""

    def noting(*args: Any, **kwargs: Any) -> Any:
        given = inspect.signature(invoke).bind(*args, **kwargs).arguments
        request = given["stack_id"], given["logical_id"]
        _open[request] = {
            "LogicalResourceId": given["logical_id"],
            "PhysicalResourceId": given.get("physical_id") or "",
            "ResourceType": given["resource_type"],
            "ResourceStatus": f"{given['request_type'].upper()}_IN_PROGRESS",
            "LastUpdatedTimestamp": now_iso(),
            "StackName": given["stack_name"],
            "StackId": given["stack_id"],
        }
        invocations: list[Event] = []
        sending = _invocations.set(invocations)
        try:
            return invoke(*args, **kwargs)
        except TimeoutError:
            invocations.clear()
            raise
        finally:
            for invocation in invocations:
                invocation.wait()
            _invocations.reset(sending)
            del _open[request]

    return noting


def _showing(describe: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Show what is open as such, and everything else as ministack does."""

    def showing(params: dict[str, Any]) -> Any:
        stack = handlers._resolve_stack(handlers._p(params, "StackName")) or {}
        detail = _open.get((stack.get("StackId", ""), handlers._p(params, "LogicalResourceId")))
        if detail is None:
            return describe(params)
        fields = "".join(f"<{name}>{handlers._esc(text)}</{name}>" for name, text in detail.items())
        return handlers._xml(
            200,
            "DescribeStackResourceResponse",
            "<DescribeStackResourceResult><StackResourceDetail>"
            f"{fields}</StackResourceDetail></DescribeStackResourceResult>",
        )

    return showing


def _invoking(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """Invoke asynchronously what is sent to a custom resource, and else as ministack does."""

    def invoking(function: dict[str, Any], event: Any) -> Any:
        invocations = _invocations.get()
        if invocations is None:
            return invoke(function, event)
        invocations.append(Event())
        return lambda_svc.invoke_async_with_retry(function, event)

    return invoking


def _ending(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Tell who sent a custom resource's event that its invocation is over."""

    def ending(function: dict[str, Any], event: Any) -> Any:
        try:
            return execute(function, event)
        finally:
            for invocation in _invocations.get() or ():
                invocation.set()

    return ending


def _dated(url_of: Callable[[str], str]) -> Callable[[str], str]:
    """Date the answer's URL, as the signature of a presigned one does."""
    return lambda token: f"{url_of(token)}?X-Amz-Date={datetime.now(UTC):%Y%m%dT%H%M%SZ}"


custom_resource.invoke_custom_resource = _noting(custom_resource.invoke_custom_resource)
custom_resource._response_url = _dated(custom_resource._response_url)
lambda_svc._execute_function_with_config_scope = _invoking(
    lambda_svc._execute_function_with_config_scope
)
lambda_svc._execute_function = _ending(lambda_svc._execute_function)
handlers._ACTION_HANDLERS["DescribeStackResource"] = _showing(handlers._describe_stack_resource)

if __name__ == "__main__":
    sys.exit(main())
