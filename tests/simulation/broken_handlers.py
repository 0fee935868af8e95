"""Handlers with a deliberate defect each."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from simulated_aws.lambda_service import Function
from simulated_aws.service import arn
from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime
from tests.simulation.broken import Broken, Method, replaced

BrokenHandler = Broken[Callable[[Runtime], Function]]


def _with_sleep(runtime: Runtime, sleep: Callable[[float], None]) -> Function:
    clock: Any = SimpleNamespace(now=runtime.clock.now, sleep=sleep)
    return Handler(runtime._replace(clock=clock))


class _AlteredDescription:
    """A handler that receives altered stream descriptions.

    Parameters
    ----------
    runtime
        Runtime of the handler.
    change
        Alters a description. Its arguments are the summary, the desired key, and how often the
        invocation has described the stream before.
    """

    def __init__(
        self, runtime: Runtime, change: Callable[[dict[str, Any], str, int], None]
    ) -> None:
        self._change = change
        self._key, self._described_before = "", 0
        self._handler = Handler(
            replaced(runtime, "kinesis", "describe_stream_summary", self._instead)
        )

    def __call__(self, event: dict[str, Any], context: Any) -> None:
        self._key, self._described_before = event.get("ResourceProperties", {}).get("KeyId", ""), 0
        self._handler(event, context)

    def _instead(self, describe: Method) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            response = describe(**params)
            summary = dict(response.get("StreamDescriptionSummary") or {})
            self._change(summary, self._key, self._described_before)
            self._described_before += 1
            return {**response, "StreamDescriptionSummary": summary}

        return changed


def _accepts_any_http_status(runtime: Runtime) -> Function:
    """Like crhelper: the response counts as delivered with any HTTP status."""

    def send(url: str, body: bytes, timeout: float) -> int:
        runtime.put(url, body, timeout)
        return 200

    return Handler(runtime._replace(put=send))


def _skips_the_propagation_wait(runtime: Runtime) -> Function:
    """ACTIVE counts as success, without the wait until all records are encrypted."""

    def sleep(seconds: float) -> None:
        if seconds < 4.9:  # polling pauses are shorter than that
            runtime.clock.sleep(seconds)

    return _with_sleep(runtime, sleep)


def _checks_the_status_only(runtime: Runtime) -> Function:
    """Like Terraform: a stream that is ACTIVE and encrypted is compliant with any key."""

    def change(summary: dict[str, Any], key: str, _: int) -> None:
        if "KeyId" in summary:
            summary["KeyId"] = key

    return _AlteredDescription(runtime, change)


def _truncates_the_start_of_reasons(runtime: Runtime) -> Function:
    """Like crhelper: a long reason is reduced to its last 240 characters."""

    def send(url: str, body: bytes, timeout: float) -> int:
        response = json.loads(body)
        if len(response["Reason"]) > 256:
            response["Reason"] = f"ERROR: (truncated) {response['Reason'][-240:]}"
        return runtime.put(url, json.dumps(response).encode(), timeout)

    return Handler(runtime._replace(put=send))


def _stops_encryption_on_delete(runtime: Runtime) -> Function:
    """Delete stops encryption, even if another principal relies on it."""
    handler = Handler(runtime)

    def function(event: dict[str, Any], context: Any) -> None:
        properties = event.get("ResourceProperties", {})
        name = properties.get("StreamName") or properties.get("StreamArn", "").partition("/")[2]
        if event.get("RequestType") == "Delete" and name:
            try:
                runtime.client("kinesis").stop_stream_encryption(
                    StreamName=name, EncryptionType="KMS", KeyId="alias/aws/kinesis"
                )
            except Exception:  # noqa: BLE001 - best effort
                runtime.write("not stopped")
        handler(event, context)

    return function


def _always_starts_encryption(runtime: Runtime) -> Function:
    """Encryption is started even on a compliant stream."""

    def change(summary: dict[str, Any], _: str, described_before: int) -> None:
        if described_before == 0:
            summary["EncryptionType"] = "NONE"
            summary.pop("KeyId", None)

    return _AlteredDescription(runtime, change)


def _compares_key_identifiers(runtime: Runtime) -> Function:
    """Key identifiers of different formats are treated as different keys."""

    def change(summary: dict[str, Any], key: str, _: int) -> None:
        if summary.get("KeyId", key) != key:
            summary["KeyId"] = arn("kms", "key/00000000-0000-4000-8000-000000000000")

    return _AlteredDescription(runtime, change)


def _never_describes_the_key(runtime: Runtime) -> Function:
    """Whether a key is usable is left to Kinesis."""

    def instead(_: Method) -> Method:
        def made_up(*, KeyId: str) -> dict[str, Any]:  # noqa: N803
            resource = KeyId if "/" in KeyId else f"key/{KeyId}"
            return {
                "KeyMetadata": {
                    "KeyId": resource.rpartition("/")[2],
                    "Arn": KeyId if KeyId.startswith("arn:") else arn("kms", resource),
                    "KeyState": "Enabled",
                    "KeySpec": "SYMMETRIC_DEFAULT",
                    "KeyUsage": "ENCRYPT_DECRYPT",
                }
            }

        return made_up

    return Handler(replaced(runtime, "kms", "describe_key", instead))


def _never_describes_the_stack(runtime: Runtime) -> Function:
    """A request never becomes stale."""

    class Handling:
        def __init__(self) -> None:
            self.type = ""
            self.handler = Handler(
                replaced(runtime, "cloudformation", "describe_stack_resource", self.instead)
            )

        def __call__(self, event: dict[str, Any], context: Any) -> None:
            self.type = event.get("RequestType", "")
            self.handler(event, context)

        def instead(self, _: Method) -> Method:
            detail = {
                "ResourceStatus": f"{self.type.upper()}_IN_PROGRESS",
                "LastUpdatedTimestamp": datetime.fromtimestamp(0, UTC),
            }
            return lambda **_: {"StackResourceDetail": detail}

    return Handling()


def _requires_its_request_in_progress(runtime: Runtime) -> Function:
    """A request is treated as stale unless the stack shows that it is in progress."""

    def instead(describe: Method) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            response = describe(**params)
            detail = dict(response["StackResourceDetail"])
            if not detail["ResourceStatus"].endswith("_IN_PROGRESS"):
                detail["LastUpdatedTimestamp"] = datetime.fromtimestamp(2**32, UTC)
            return {**response, "StackResourceDetail": detail}

        return changed

    return Handler(replaced(runtime, "cloudformation", "describe_stack_resource", instead))


def _never_retries_kms(runtime: Runtime) -> Function:
    """A key that KMS does not show at first is treated as missing."""
    missing: dict[str, ClientError] = {}

    def instead(describe: Method) -> Method:
        def changed(**params: Any) -> dict[str, Any]:
            key = params["KeyId"]
            if key not in missing:
                try:
                    return describe(**params)
                except ClientError as error:
                    if error.response["Error"]["Code"] != "NotFoundException":
                        raise
                    missing[key] = error
            raise missing[key]

        return changed

    return Handler(replaced(runtime, "kms", "describe_key", instead))


def _polls_without_pauses(runtime: Runtime) -> Function:
    """Pauses are cut short, which uses up the rate of the account."""

    def sleep(seconds: float) -> None:
        runtime.clock.sleep(min(seconds, 0.2) if seconds < 2.5 else seconds)

    return _with_sleep(runtime, sleep)


def _logs_the_url(runtime: Runtime) -> Function:
    """Like crhelper at its default log level."""

    def send(url: str, body: bytes, timeout: float) -> int:
        runtime.write(f"CFN response URL: {url}")
        return runtime.put(url, body, timeout)

    return Handler(runtime._replace(put=send))


BROKEN_HANDLERS: tuple[BrokenHandler, ...] = (
    Broken("a", "accepts any HTTP status", _accepts_any_http_status),
    Broken("b", "skips the propagation wait", _skips_the_propagation_wait),
    Broken("b", "checks the status only", _checks_the_status_only),
    Broken("c", "truncates the start of reasons", _truncates_the_start_of_reasons),
    Broken("d", "stops encryption on Delete", _stops_encryption_on_delete),
    Broken("e", "always starts encryption", _always_starts_encryption),
    Broken("e", "compares key identifiers", _compares_key_identifiers),
    Broken("e", "never describes the key", _never_describes_the_key),
    Broken("e", "never describes the stack", _never_describes_the_stack),
    Broken("c", "requires its request in progress", _requires_its_request_in_progress),
    Broken("c", "never retries KMS", _never_retries_kms),
    Broken("e", "polls without pauses", _polls_without_pauses),
    Broken("g", "logs the URL", _logs_the_url),
)
