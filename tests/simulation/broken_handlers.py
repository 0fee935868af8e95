"""Handlers that are broken on purpose: each breaks one invariant, and has to be caught.

They show that the checks can fail. What is broken is what such handlers get wrong in the wild, and
it is broken from outside, by what the handler is shown and what becomes of what it does: so they
live on when it is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime
from tests.simulation.service import arn

Function = Callable[[dict[str, Any], Any], None]
Call = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class BrokenHandler:
    """A handler with one fault.

    Parameters
    ----------
    invariant
        Letter of the invariant that the fault breaks.
    name
        What is wrong with it.
    make
        Makes such a handler.
    """

    invariant: str
    name: str
    make: Callable[[Runtime], Function]

    def __str__(self) -> str:
        return f"{self.invariant}-{self.name}".replace(" ", "-")


class _Instead:
    """A client that carries one operation out in another way."""

    def __init__(self, client: Any, method: str, call: Callable[[Call], Call]) -> None:
        self._client = client
        setattr(self, method, call(getattr(client, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _with_client(
    runtime: Runtime, service: str, method: str, call: Callable[[Call], Call]
) -> Runtime:
    def client(name: str) -> Any:
        real = runtime.client(name)
        return _Instead(real, method, call) if name == service else real

    return runtime._replace(client=client)


class _Shown:
    """A handler that is shown its stream differently from what it is.

    Parameters
    ----------
    runtime
        The world outside.
    change
        Changes what is described: gets the summary, the wanted key, and how many looks at the
        stream the invocation has had before.
    """

    def __init__(
        self, runtime: Runtime, change: Callable[[dict[str, Any], str, int], None]
    ) -> None:
        self._change = change
        self._key, self._looks = "", 0
        self._handler = Handler(
            _with_client(runtime, "kinesis", "describe_stream_summary", self._instead)
        )

    def __call__(self, event: dict[str, Any], context: Any) -> None:
        self._key, self._looks = event.get("ResourceProperties", {}).get("KeyId", ""), 0
        self._handler(event, context)

    def _instead(self, look: Call) -> Call:
        def changed(**params: Any) -> dict[str, Any]:
            answer = look(**params)
            summary = dict(answer.get("StreamDescriptionSummary") or {})
            self._change(summary, self._key, self._looks)
            self._looks += 1
            return {**answer, "StreamDescriptionSummary": summary}

        return changed


def _takes_any_status_for_delivered(runtime: Runtime) -> Function:
    """As crhelper does: whatever the endpoint says, the answer counts as delivered."""

    def send(url: str, body: bytes, timeout: float) -> int:
        runtime.put(url, body, timeout)
        return 200

    return Handler(runtime._replace(put=send))


def _believes_the_status(runtime: Runtime) -> Function:
    """ACTIVE is taken for the end: the seconds until all records are encrypted are not waited."""

    class Hasty:
        def now(self) -> float:
            return runtime.clock.now()

        def sleep(self, seconds: float) -> None:
            if seconds < 4.9:  # looks come more often than that
                runtime.clock.sleep(seconds)

    return Handler(runtime._replace(clock=Hasty()))


def _looks_at_the_status_only(runtime: Runtime) -> Function:
    """As Terraform does: a stream that is ACTIVE and encrypted is right, with whichever key."""

    def change(summary: dict[str, Any], key: str, _: int) -> None:
        if "KeyId" in summary:
            summary["KeyId"] = key

    return _Shown(runtime, change)


def _keeps_the_end_of_reasons(runtime: Runtime) -> Function:
    """As crhelper does: of a long reason, the last 240 characters are told."""

    def send(url: str, body: bytes, timeout: float) -> int:
        answer = json.loads(body)
        if len(answer["Reason"]) > 256:
            answer["Reason"] = f"ERROR: (truncated) {answer['Reason'][-240:]}"
        return runtime.put(url, json.dumps(answer).encode(), timeout)

    return Handler(runtime._replace(put=send))


def _ends_encryption_on_delete(runtime: Runtime) -> Function:
    """Delete undoes what Create did, whoever needs it meanwhile."""
    handler = Handler(runtime)

    def function(event: dict[str, Any], context: Any) -> None:
        properties = event.get("ResourceProperties", {})
        name = properties.get("StreamName") or properties.get("StreamArn", "").partition("/")[2]
        if event.get("RequestType") == "Delete" and name:
            try:
                runtime.client("kinesis").stop_stream_encryption(
                    StreamName=name, EncryptionType="KMS", KeyId="alias/aws/kinesis"
                )
            except Exception:  # noqa: BLE001 - it is a best effort
                runtime.write("not stopped")
        handler(event, context)

    return function


def _starts_again_what_it_has(runtime: Runtime) -> Function:
    """Whatever the stream has, encryption is started at first."""

    def change(summary: dict[str, Any], _: str, looks: int) -> None:
        if looks == 0:
            summary["EncryptionType"] = "NONE"
            summary.pop("KeyId", None)

    return _Shown(runtime, change)


def _compares_spellings(runtime: Runtime) -> Function:
    """A key is taken for another one when it is spelt in another form."""

    def change(summary: dict[str, Any], key: str, _: int) -> None:
        if summary.get("KeyId", key) != key:
            summary["KeyId"] = arn("kms", "key/00000000-0000-4000-8000-000000000000")

    return _Shown(runtime, change)


def _never_looks_at_the_key(runtime: Runtime) -> Function:
    """Whether a key is any good is left to Kinesis to find out."""

    def instead(_: Call) -> Call:
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

    return Handler(_with_client(runtime, "kms", "describe_key", instead))


def _never_looks_at_the_stack(runtime: Runtime) -> Function:
    """A request is taken to count for ever."""

    class Handling:
        def __init__(self) -> None:
            self.type = ""
            self.handler = Handler(
                _with_client(runtime, "cloudformation", "describe_stack_resource", self.instead)
            )

        def __call__(self, event: dict[str, Any], context: Any) -> None:
            self.type = event.get("RequestType", "")
            self.handler(event, context)

        def instead(self, _: Call) -> Call:
            detail = {
                "ResourceStatus": f"{self.type.upper()}_IN_PROGRESS",
                "LastUpdatedTimestamp": datetime.fromtimestamp(0, UTC),
            }
            return lambda **_: {"StackResourceDetail": detail}

    return Handling()


def _wants_to_see_its_request(runtime: Runtime) -> Function:
    """A request is taken for stale unless the stack shows that it is in progress."""

    def instead(describe: Call) -> Call:
        def changed(**params: Any) -> dict[str, Any]:
            answer = describe(**params)
            detail = dict(answer["StackResourceDetail"])
            if not detail["ResourceStatus"].endswith("_IN_PROGRESS"):
                detail["LastUpdatedTimestamp"] = datetime.fromtimestamp(2**32, UTC)
            return {**answer, "StackResourceDetail": detail}

        return changed

    return Handler(_with_client(runtime, "cloudformation", "describe_stack_resource", instead))


def _asks_kms_once(runtime: Runtime) -> Function:
    """A key that KMS does not show at first is taken for missing."""
    missing: dict[str, ClientError] = {}

    def instead(describe: Call) -> Call:
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

    return Handler(_with_client(runtime, "kms", "describe_key", instead))


def _looks_all_the_time(runtime: Runtime) -> Function:
    """Pauses are cut short, at the expense of all who share the account's rate."""

    class Restless:
        def now(self) -> float:
            return runtime.clock.now()

        def sleep(self, seconds: float) -> None:
            runtime.clock.sleep(min(seconds, 0.2) if seconds < 2.5 else seconds)

    return Handler(runtime._replace(clock=Restless()))


def _logs_the_url(runtime: Runtime) -> Function:
    """As crhelper does at its default log level."""

    def send(url: str, body: bytes, timeout: float) -> int:
        runtime.write(f"CFN response URL: {url}")
        return runtime.put(url, body, timeout)

    return Handler(runtime._replace(put=send))


BROKEN_HANDLERS = (
    BrokenHandler("a", "takes any status for delivered", _takes_any_status_for_delivered),
    BrokenHandler("b", "believes the status", _believes_the_status),
    BrokenHandler("b", "looks at the status only", _looks_at_the_status_only),
    BrokenHandler("c", "keeps the end of reasons", _keeps_the_end_of_reasons),
    BrokenHandler("d", "ends encryption on Delete", _ends_encryption_on_delete),
    BrokenHandler("e", "starts again what it has", _starts_again_what_it_has),
    BrokenHandler("e", "compares spellings", _compares_spellings),
    BrokenHandler("e", "never looks at the key", _never_looks_at_the_key),
    BrokenHandler("e", "never looks at the stack", _never_looks_at_the_stack),
    BrokenHandler("c", "wants to see its request", _wants_to_see_its_request),
    BrokenHandler("c", "asks KMS once", _asks_kms_once),
    BrokenHandler("e", "looks all the time", _looks_all_the_time),
    BrokenHandler("g", "logs the URL", _logs_the_url),
)
