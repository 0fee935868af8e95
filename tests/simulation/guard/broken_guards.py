"""Guards with a deliberate defect each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from simulated_aws.event_source import MakeGuard
from stream_encryption.guard.handler import Guard
from stream_encryption.guard.settings import Settings
from stream_encryption.runtime import Runtime
from tests.simulation.broken import Broken, Method, replaced

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
BrokenGuard = Broken[MakeGuard]


def _described(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> MakeGuard:
    """Make a guard that is shown streams differently; ``change`` gets the message, too."""

    def make(runtime: Runtime, settings: Settings) -> Handler:
        def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
            message = json.loads(event["Records"][0]["body"])

            def instead(describe: Method) -> Method:
                def changed(**params: Any) -> dict[str, Any]:
                    summary = dict(describe(**params)["StreamDescriptionSummary"])
                    change(message, summary)
                    return {"StreamDescriptionSummary": summary}

                return changed

            shown = replaced(runtime, "kinesis", "describe_stream_summary", instead)
            return Guard(shown, settings)(event, context)

        return handle

    return make


def _believe(message: dict[str, Any], summary: dict[str, Any]) -> None:
    """After StopStreamEncryption a stream is unencrypted."""
    if message.get("detail", {}).get("eventName") == "StopStreamEncryption":
        summary["StreamStatus"], summary["EncryptionType"] = "ACTIVE", "NONE"
        summary.pop("KeyId", None)


def _see_status_only(message: dict[str, Any], summary: dict[str, Any]) -> None:
    """CREATING or UPDATING are taken for ACTIVE."""
    summary["StreamStatus"] = "ACTIVE"


def _forget(runtime: Runtime, settings: Settings) -> Handler:
    """Notifications are not recorded."""

    def instead(put: Method) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            reset = {"last_notified": {"S": "nothing"}, "notifying_since": {"S": ""}}
            item = params["Item"] | reset
            return put(**{**params, "Item": item})

        return changed

    return Guard(replaced(runtime, "dynamodb", "put_item", instead), settings)


def _ignore_the_stack(runtime: Runtime, settings: Settings) -> Handler:
    """The guard's stack is taken to be idle."""
    stack = {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}
    shown = replaced(runtime, "cloudformation", "describe_stacks", lambda _: lambda **_: stack)
    return Guard(shown, settings)


def _skip_what_is_not_ready(runtime: Runtime, settings: Settings) -> Handler:
    """As Cloud Custodian does: what is CREATING or UPDATING is left out for good."""
    statuses: list[str] = []

    def instead(describe: Method) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            response = describe(**params)
            statuses.append(response["StreamDescriptionSummary"]["StreamStatus"])
            return response

        return changed

    guard = Guard(replaced(runtime, "kinesis", "describe_stream_summary", instead), settings)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        response = guard(event, context)
        ready = not statuses or statuses[-1] not in {"CREATING", "UPDATING"}
        return response if ready else {"batchItemFailures": []}

    return handle


def _has_no_patience(runtime: Runtime, settings: Settings) -> Handler:
    """A drift is reported immediately, even if a deployment is about to encrypt the stream."""

    def instead(get: Method) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            response = get(**params)
            if "Item" in response:
                response["Item"]["since"] = {"S": "2020-01-01T00:00:00.000+00:00"}
            return response

        return changed

    return Guard(replaced(runtime, "dynamodb", "get_item", instead), settings)


def _loses_what_fails(runtime: Runtime, settings: Settings) -> Handler:
    """A message is done with, whatever came of it."""
    guard = Guard(runtime, settings)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        guard(event, context)
        return {"batchItemFailures": []}

    return handle


def _scans_without_end(runtime: Runtime, settings: Settings) -> Handler:
    """Each check of one of the streams enqueues another one."""
    guard = Guard(runtime, settings)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        response = guard(event, context)
        body = event["Records"][0]["body"]
        if body.startswith('{"check": "orders"'):
            runtime.client("sqs").send_message(QueueUrl=settings.queue, MessageBody=body)
        return response

    return handle


BROKEN_GUARDS: tuple[BrokenGuard, ...] = (
    Broken("a", "believes the event", _described(_believe)),
    Broken("a", "takes the status for ACTIVE", _described(_see_status_only)),
    Broken("a", "ignores the stack", _ignore_the_stack),
    Broken("a", "has no patience", _has_no_patience),
    Broken("b", "forgets what it reported", _forget),
    Broken("c", "skips what is not ready", _skip_what_is_not_ready),
    Broken("c", "loses what fails", _loses_what_fails),
    Broken("e", "scans without end", _scans_without_end),
)
