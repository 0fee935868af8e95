"""The handler with stubbed AWS clients, a virtual clock, and a recording response endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ClientError, HTTPClientError, ReadTimeoutError
from botocore.stub import ANY, Stubber

import stream_encryption
from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime

REGION, ACCOUNT = "eu-central-1", "111122223333"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/orders"
OTHER_STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/payments"
KEY_ID = "12345678-1234-1234-1234-123456789012"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}"
OTHER_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/87654321-4321-4321-4321-210987654321"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/app/3b1f2c10-0000-1111-2222-333344445555"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:encryption"
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN = datetime(2026, 11, 1, 12, tzinfo=UTC)


def refused(code: str, message: str = "") -> ClientError:
    """Create the error of a call that is rejected."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


def printed_by(code: str, **variables: str) -> str:
    """Run code in a process of its own, with only these variables; return what it printed."""
    source = Path(stream_encryption.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.defpath, "PYTHONPATH": str(source), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.stdout


class VirtualClock:
    """Time that passes only during a sleep."""

    def __init__(self) -> None:
        self.time = BEGIN.timestamp()
        self.timers: list[VirtualTimer] = []
        self.fired: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.time += seconds
        for timer in self.timers:
            timer.fire_if_due()

    @property
    def elapsed(self) -> float:
        return self.time - BEGIN.timestamp()


class VirtualTimer:
    """A timer on the virtual clock."""

    def __init__(self, clock: VirtualClock, seconds: float, callback: Callable[[], None]) -> None:
        self._clock, self._at, self._callback = clock, clock.now() + seconds, callback
        self._armed = False

    def start(self) -> None:
        self._armed = True
        self._clock.timers.append(self)

    def cancel(self) -> None:
        self._armed = False

    def fire_if_due(self) -> None:
        if self._armed and self._clock.now() >= self._at:
            self._armed = False
            self._clock.fired.append(self._at - BEGIN.timestamp())
            self._callback()


class StubbedService:
    """One stubbed AWS service: calls return responses in the expected order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.open_ended = False
        self._refill: Callable[[], object] = lambda: None

    @cached_property
    def stubber(self) -> Stubber:
        stubber = Stubber(
            boto3.client(
                self._name, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
            )
        )
        # Before the stubber, which checks its queue at the same event.
        stubber.client.meta.events.register_first(
            "before-parameter-build.*.*", lambda **_: stubber._queue or self._refill()
        )
        stubber.activate()
        return stubber

    def keeps(self, refill: Callable[[], object]) -> None:
        """Expect this for every call for which nothing else is expected."""
        self._refill = refill

    def forget(self) -> None:
        """Remove all expectations."""
        self.stubber._queue.clear()
        self.keeps(lambda: None)

    @property
    def client(self) -> Any:
        return self.stubber.client

    def gives(self, operation: str, response: dict[str, Any], **expected: Any) -> None:
        self.stubber.add_response(operation, response, expected or None)

    def before(self, operation: str, action: Callable[[], object]) -> None:
        """Run an action before each call of an operation such as ``DescribeStreamSummary``."""
        event = f"before-parameter-build.{self._name}.{operation}"
        self.client.meta.events.register(event, lambda **_: action())

    def times_of(self, operation: str, clock: VirtualClock) -> list[float]:
        """Record the times of all later calls of an operation."""
        times: list[float] = []
        self.before(operation, lambda: times.append(clock.elapsed))
        return times

    def takes(self, operation: str, clock: VirtualClock, *seconds: float) -> None:
        """Let the next calls of an operation take that many seconds."""
        left = iter(seconds)
        self.before(operation, lambda: clock.sleep(next(left, 0)))

    def fails(
        self, operation: str, code: str, message: str = "", status: int = 400, *, times: int = 1
    ) -> None:
        for _ in range(times):
            self.stubber.add_client_error(operation, code, message, http_status_code=status)

    def keeps_failing(self, operation: str, code: str, message: str = "") -> None:
        """Reject all later calls."""
        self.keeps(lambda: self.fails(operation, code, message))

    def raises(self, operation: str, error: Exception) -> None:
        """Let the client raise an error in all later calls."""

        def call(**_: Any) -> None:
            raise error

        setattr(self.client, operation, call)

    def hangs(
        self,
        operation: str,
        clock: VirtualClock,
        seconds: float = 5,
        error: type[HTTPClientError] = ReadTimeoutError,
    ) -> list[float]:
        """Return no response to any later call; record the time of each."""
        times: list[float] = []

        def call(**_: Any) -> None:
            times.append(clock.elapsed)
            clock.sleep(seconds)
            raise error(endpoint_url=f"https://{self._name}.example", error="timeout")

        setattr(self.client, operation, call)
        return times

    def assert_all_called(self) -> None:
        # Most tests need none of most services, and making a client takes longest of all.
        if "stubber" in vars(self) and not self.open_ended:
            self.stubber.assert_no_pending_responses()


class StubbedKinesis(StubbedService):
    """Kinesis."""

    def __init__(self) -> None:
        super().__init__("kinesis")

    @staticmethod
    def summary(
        status: str,
        key: str | None = None,
        *,
        created: datetime = CREATED,
        stream: str = STREAM,
    ) -> dict[str, Any]:
        """A stream description."""
        return {
            "StreamName": stream.split("/")[1],
            "StreamARN": stream,
            "StreamStatus": status,
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": created,
            "EnhancedMonitoring": [],
            "OpenShardCount": 1,
            "EncryptionType": "KMS" if key else "NONE",
            **({"KeyId": key} if key else {}),
        }

    def shows(
        self,
        status: str,
        key: str | None = None,
        *,
        times: int = 1,
        created: datetime = CREATED,
        stream: str = STREAM,
    ) -> None:
        summary = self.summary(status, key, created=created, stream=stream)
        for _ in range(times):
            response = {"StreamDescriptionSummary": summary}
            self.gives("describe_stream_summary", response, StreamName=stream.split("/")[1])

    def keeps_showing(self, status: str, key: str | None = None) -> None:
        """Return the same description to all later calls."""
        self.keeps(lambda: self.shows(status, key))

    def shows_only(self, status: str, key: str | None = None, *, times: int = 1) -> None:
        """Replace the expected descriptions."""
        self.forget()
        self.shows(status, key, times=times)

    def on_start(self, clock: VirtualClock, respond: Callable[[int], object]) -> list[float]:
        """Handle each start with a function of its number, from one; record the times."""
        times: list[float] = []

        def start(**_: str) -> None:
            times.append(clock.elapsed)
            respond(len(times))

        self.client.start_stream_encryption = start
        return times

    def starts(self, key: str = KEY, *, stream: str = STREAM) -> None:
        name = stream.split("/")[1]
        self.gives("start_stream_encryption", {}, StreamName=name, EncryptionType="KMS", KeyId=key)


class StubbedKms(StubbedService):
    """KMS."""

    def __init__(self) -> None:
        super().__init__("kms")

    def shows(self, arn: str = KEY, asked: str = KEY, *, times: int = 1, **changes: Any) -> None:
        metadata = {
            "KeyId": arn.rsplit("/", 1)[1],
            "Arn": arn,
            "KeyState": "Enabled",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyUsage": "ENCRYPT_DECRYPT",
            **changes,
        }
        for _ in range(times):
            self.gives("describe_key", {"KeyMetadata": metadata}, KeyId=asked)


class StubbedCloudFormation(StubbedService):
    """CloudFormation: the current request unless configured otherwise."""

    def __init__(self) -> None:
        super().__init__("cloudformation")

    def shows(self, status: str, updated: datetime = BEGIN, *, times: int = 1) -> None:
        detail = {
            "LogicalResourceId": "Encryption",
            "ResourceType": "Custom::KinesisStreamEncryption",
            "ResourceStatus": status,
            "LastUpdatedTimestamp": updated,
        }
        for _ in range(times):
            self.gives(
                "describe_stack_resource",
                {"StackResourceDetail": detail},
                StackName=STACK,
                LogicalResourceId="Encryption",
            )

    def shows_no_resource(self, stack: str) -> None:
        """Report that the resource does not exist, and the status of its stack."""
        missing = f"Resource Encryption does not exist for stack {STACK}"
        self.fails("describe_stack_resource", "ValidationError", missing)
        described = {"StackName": "app", "CreationTime": BEGIN, "StackStatus": stack}
        self.gives("describe_stacks", {"Stacks": [described]}, StackName=STACK)


class StubbedAws:
    """AWS and the response endpoint, for the invocations of one test."""

    def __init__(self, client: Callable[[str], Any] | None = None) -> None:
        self.clock = VirtualClock()
        self.kinesis, self.kms = StubbedKinesis(), StubbedKms()
        self.cloudformation = StubbedCloudFormation()
        self.functions = StubbedService("lambda")
        self.lines: list[dict[str, Any]] = []
        self.log_text = ""
        self.writes: Callable[[str], object] = lambda line: None
        self.statuses: list[int | Exception] = []
        self.puts: list[dict[str, Any]] = []
        self.attempts: list[tuple[float, float]] = []
        self.urls: list[str] = []
        self.clients_made: list[str] = []
        self.function_timeout = 900.0
        self.chance = 0.5
        self.handler = Handler(
            Runtime(
                clock=self.clock,
                client=client or self._client,
                put=self._put,
                timer=lambda seconds, callback: VirtualTimer(self.clock, seconds, callback),
                uniform=lambda low, high: low + self.chance * (high - low),
                write=self._write,
            )
        )

    def invoke(self, event: Any) -> None:
        """Invoke the function with an event and its full timeout."""
        ends = self.clock.now() + self.function_timeout
        context = SimpleNamespace(
            invoked_function_arn=FUNCTION,
            function_name="encryption",
            aws_request_id="c0ffee",
            get_remaining_time_in_millis=lambda: int((ends - self.clock.now()) * 1000),
        )
        self.handler(event, context)

    def response_to(self, event: Any) -> dict[str, Any]:
        """Invoke the function with an event and return the only response."""
        before = len(self.puts)
        self.invoke(event)
        assert len(self.puts) == before + 1
        return self.puts[-1]

    def succeeds(self, event: Any) -> dict[str, Any]:
        response = self.response_to(event)
        assert response["Status"] == "SUCCESS", response["Reason"]
        return response

    def allows_a_change(self, kind: str = "Create", key: str = KEY) -> None:
        """Return a suitable key, once, and a current request."""
        self.kms.shows(asked=key)
        self.cloudformation.shows(f"{kind.upper()}_IN_PROGRESS")
        self.cloudformation.open_ended = True

    def allows_changes(self) -> None:
        """Return a suitable key and a current Create for any number of calls."""
        self.kms.keeps(self.kms.shows)
        self.cloudformation.keeps(lambda: self.cloudformation.shows("CREATE_IN_PROGRESS"))

    def rejects_starts(self, errors: Iterable[Exception]) -> list[float]:
        """Show an unencrypted stream, and accept a start after these errors; record the times."""
        self.kinesis.keeps_showing("ACTIVE")
        self.allows_changes()
        left = iter(errors)

        def respond(_: int) -> None:
            if error := next(left, None):
                raise error
            self.kinesis.shows_only("ACTIVE", KEY, times=2)

        return self.kinesis.on_start(self.clock, respond)

    def changes(self, kind: str = "Create", key: str = KEY) -> None:
        """Accept one change."""
        self.allows_a_change(kind, key)
        self.kinesis.starts(key)

    def invokes_itself(self, times: int = 1) -> list[dict[str, Any]]:
        """Accept a number of asynchronous invocations; record their events."""
        events: list[dict[str, Any]] = []
        for _ in range(times):
            self.functions.gives(
                "invoke",
                {"StatusCode": 202},
                FunctionName=FUNCTION,
                InvocationType="Event",
                Payload=ANY,
            )
        self.functions.client.meta.events.register(
            "before-parameter-build.lambda.Invoke",
            lambda params, **_: events.append(json.loads(params["Payload"])),
        )
        return events

    def fails(self, event: Any) -> str:
        response = self.response_to(event)
        assert response["Status"] == "FAILED"
        return str(response["Reason"])

    def assert_all_called(self) -> None:
        for service in (self.kinesis, self.kms, self.cloudformation, self.functions):
            service.assert_all_called()

    def logged(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"].split(" (")[0] == message]

    def _client(self, service: str) -> Any:
        self.clients_made.append(service)
        return getattr(self, "functions" if service == "lambda" else service).client

    def _put(self, url: str, body: bytes, timeout: float) -> int:
        assert timeout > 0
        self.attempts.append((self.clock.elapsed, timeout))
        self.urls.append(url)
        status = self.statuses.pop(0) if self.statuses else 200
        if isinstance(status, Exception):
            raise status
        if status < 300:
            self.puts.append(json.loads(body))
        return status

    def _write(self, line: str) -> None:
        self.writes(line)
        self.log_text += line
        self.lines.append(json.loads(line))


UNDATED_URL = "https://responses.example/put?token=not-to-be-logged"


def url(issued: datetime = BEGIN) -> str:
    """A presigned URL in CloudFormation's format."""
    return (
        "https://bucket.s3.example/response?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Date={issued:%Y%m%dT%H%M%SZ}&X-Amz-Expires=7200&X-Amz-Signature=not-to-be-logged"
    )


def event(
    kind: str = "Create",
    *,
    physical_id: str = "",
    old: dict[str, Any] | None = None,
    age: float = 0,
    **properties: Any,
) -> dict[str, Any]:
    """Build an event without the properties that are None.

    As on AWS, ServiceTimeout is at the top level of a Create and in the properties of an Update.
    """
    given = {
        "ServiceToken": FUNCTION,
        "ServiceTimeout": "660",
        "StreamArn": STREAM,
        "KeyId": KEY,
        "EncryptionType": "KMS",
        **properties,
    }
    built: dict[str, Any] = {
        "RequestType": kind,
        "ResponseURL": url(BEGIN - timedelta(seconds=age)),
        "StackId": STACK,
        "RequestId": "6f1c0d9e-0000-4444-8888-aaaabbbbcccc",
        "ResourceType": "Custom::KinesisStreamEncryption",
        "LogicalResourceId": "Encryption",
        "ResourceProperties": {name: v for name, v in given.items() if v is not None},
    }
    if kind == "Create" and "ServiceTimeout" in built["ResourceProperties"]:
        built["ServiceTimeout"] = built["ResourceProperties"].pop("ServiceTimeout")
    if kind != "Create":
        built["PhysicalResourceId"] = physical_id or STREAM
    if kind == "Update":
        built["OldResourceProperties"] = {**built["ResourceProperties"], **(old or {})}
    return built
