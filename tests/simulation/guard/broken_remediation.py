"""Guards with a deliberate defect each of their remediation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from simulated_aws.event_source import MakeGuard
from simulated_aws.guarded_account import KEY_ARNS
from stream_encryption.guard.handler import Guard
from stream_encryption.guard.settings import Settings
from stream_encryption.runtime import Runtime
from tests.simulation.broken import Broken, Method, replaced
from tests.simulation.guard.broken_guards import BrokenGuard, Handler


def _instead(service: str, method: str, call: Callable[[Method, Settings], Method]) -> MakeGuard:
    """Make a guard whose remediation function calls an operation in another way."""

    def make(runtime: Runtime, settings: Settings) -> Handler:
        if not settings.limits:
            return Guard(runtime, settings)
        changed = replaced(runtime, service, method, lambda real: call(real, settings))
        return Guard(changed, settings)

    return make


def _read(change: Callable[[dict[str, Any], Settings], dict[str, Any]]) -> MakeGuard:
    """Make a guard whose remediation function reads items of the table differently."""

    def call(real: Method, settings: Settings) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            response = real(**params)
            return change(response, settings) if "Item" in response else response

        return changed

    return _instead("dynamodb", "get_item", call)


def _forget_limits(response: dict[str, Any], _: Settings) -> dict[str, Any]:
    """As after a time window: what was done before does not count."""
    if "remediations" in response["Item"]:
        forgotten = {"remediations": {"N": "0"}, "changes": {"S": "[]"}}
        return {"Item": response["Item"] | forgotten}
    return response


def _believe_good(response: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Any stream that is unencrypted gets the key, as AWS Config's runbook does."""
    item = response["Item"]
    if "good_key" in item:
        good = {"good_key": {"S": settings.key}, "good_at": item["since"]}
        return {"Item": item | good}
    return response


def _have_no_breaker(response: dict[str, Any], _: Settings) -> dict[str, Any]:
    if "due" in response["Item"]:
        return {"Item": response["Item"] | {"due": {"S": "{}"}, "open": {"N": "0"}}}
    return response


def _have_no_claims(response: dict[str, Any], _: Settings) -> dict[str, Any]:
    """What another invocation is doing, or did not complete, is not considered."""
    if "claimed_until" in response["Item"]:
        return {"Item": response["Item"] | {"claimed_until": {"N": "0"}}}
    return response


def _ignore_the_stack(real: Method, _: Settings) -> Method:
    return lambda **params: {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}


def _report_nothing(real: Method, _: Settings) -> Method:
    return lambda **params: {}


def _stop_silently(real: Method, _: Settings) -> Method:
    """The operator does not learn that streams are no longer restored."""

    def publish(**params: Any) -> dict[str, Any]:
        state = params["MessageAttributes"]["state"]["StringValue"]
        return {} if state in {"yielded", "circuit breaker opened"} else real(**params)

    return publish


def _apply_another_key(real: Method, settings: Settings) -> Method:
    """One key for all streams."""
    return lambda **params: real(**params | {"KeyId": _OTHER[settings.key or ""]})


def _act_late(runtime: Runtime, settings: Settings) -> Handler:
    """Some time passes between what is verified and the change."""

    def call(real: Method) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            runtime.clock.sleep(60)
            return real(**params)

        return changed

    if not settings.limits:
        return Guard(runtime, settings)
    return Guard(replaced(runtime, "kinesis", "start_stream_encryption", call), settings)


def _do_nothing(runtime: Runtime, settings: Settings) -> Handler:
    if not settings.limits:
        return Guard(runtime, settings)
    return lambda event, context: {"batchItemFailures": []}


def _change_from_the_check(runtime: Runtime, settings: Settings) -> Handler:
    """The function that checks streams changes them, too, whenever one is to be remediated."""

    def call(real: Method) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            body = json.loads(params["MessageBody"])
            if "remediate" in body and not settings.limits:
                name, client = body["remediate"]["stream"], runtime.client("kinesis")
                client.start_stream_encryption(
                    StreamName=name, EncryptionType="KMS", KeyId=settings.key
                )
            return real(**params)

        return changed

    return Guard(replaced(runtime, "sqs", "send_message", call), settings)


_OTHER = {KEY_ARNS[0]: KEY_ARNS[1], KEY_ARNS[1]: KEY_ARNS[0]}

_KINESIS_START = ("kinesis", "start_stream_encryption")

BROKEN_REMEDIATION: tuple[BrokenGuard, ...] = (
    Broken("k", "applies another key", _instead(*_KINESIS_START, _apply_another_key)),
    Broken("k", "takes every stream for good", _read(_believe_good)),
    Broken("k", "acts late", _act_late),
    Broken("l", "forgets its limits", _read(_forget_limits)),
    Broken("l", "has no circuit breaker", _read(_have_no_breaker)),
    Broken("m", "acts late", _act_late),
    Broken(
        "m", "ignores the stack", _instead("cloudformation", "describe_stacks", _ignore_the_stack)
    ),
    Broken("n", "reports nothing", _instead("sns", "publish", _report_nothing)),
    Broken("n", "stops silently", _instead("sns", "publish", _stop_silently)),
    Broken("n", "has no claims", _read(_have_no_claims)),
    Broken("o", "restores nothing", _do_nothing),
    Broken("p", "changes streams from the check", _change_from_the_check),
)
