"""Simulated AWS: call latencies, quotas, and streams whose encryption takes time to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from simulated_aws.scheduler import Scheduler

REGION, ACCOUNT = "eu-central-1", "111122223333"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
BEGIN = 1_800_000_000.0
"""Virtual time at which every simulation begins."""

DESCRIBE = "DescribeStreamSummary"
START = "StartStreamEncryption"
DESCRIBE_KEY = "DescribeKey"
DESCRIBE_RESOURCE = "DescribeStackResource"
SEND_RESPONSE = "SendResponse"
INVOKE = "Invoke"

LATENCIES = {
    DESCRIBE: 0.020,
    START: 0.060,
    DESCRIBE_KEY: 0.015,
    DESCRIBE_RESOURCE: 0.080,
    SEND_RESPONSE: 0.060,
    INVOKE: 0.030,
}
"""Median seconds of a call; assumed, and the same for all alternatives."""

_SIGMA = 0.4
"""Spread of the lognormal latencies: p99 is 2.5 times the median."""

_THROTTLED_LATENCY = 0.010

_CREATED = datetime(2026, 1, 1, tzinfo=UTC)

_T = TypeVar("_T")


def stream_arn(name: str) -> str:
    """Return the ARN of a stream."""
    return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"


class Quota:
    """Token bucket of one operation.

    Parameters
    ----------
    rate
        Calls per second, and the size of the bucket.
    """

    def __init__(self, rate: float) -> None:
        self._rate = self._tokens = rate
        self._updated = 0.0

    def admits(self, now: float) -> bool:
        """Take a token if there is one."""
        self._tokens = min(self._rate, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True)
class Call:
    """A call that was made."""

    operation: str
    stream: str
    throttled: bool


@dataclass
class _Stream:
    updating_for: float
    key: str | None = None
    active_at: float = 0.0


@dataclass(frozen=True)
class Response:
    """The response to CloudFormation, and when it arrived."""

    time: float
    succeeded: bool


@dataclass
class Kinesis:
    """Streams of one account and Region, its quotas, and all calls.

    Parameters
    ----------
    scheduler
        Virtual time.
    rng
        Source of the latencies.
    quotas
        Quota of each throttled operation.
    """

    scheduler: Scheduler
    rng: Random
    quotas: dict[str, Quota] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    streams: dict[str, _Stream] = field(default_factory=dict)

    def create(self, arn: str, *, updating_for: float) -> None:
        """Create an unencrypted ACTIVE stream that stays UPDATING for so many seconds."""
        self.streams[arn] = _Stream(updating_for)

    def pass_time(self, operation: str) -> None:
        """Spend the latency of a call that has no quota and is not counted."""
        self.scheduler.sleep(self._latency(LATENCIES[operation]))

    def status(self, arn: str) -> str:
        """Call DescribeStreamSummary and return the stream status."""
        return self.describe(arn)[0]

    def describe(self, arn: str) -> tuple[str, str | None]:
        """Call DescribeStreamSummary and return status and key."""
        return self._call(DESCRIBE, arn, self._description)

    def start(self, arn: str) -> None:
        """Call StartStreamEncryption."""
        self._call(START, arn, self._encrypt)

    def other(self, operation: str, arn: str) -> None:
        """Call another service on behalf of a stream."""
        self._call(operation, arn, lambda _: None)

    def _description(self, stream: _Stream) -> tuple[str, str | None]:
        active = self.scheduler.now >= stream.active_at
        return "ACTIVE" if active else "UPDATING", stream.key

    def _encrypt(self, stream: _Stream) -> None:
        stream.key = KEY
        stream.active_at = self.scheduler.now + stream.updating_for

    def _latency(self, median: float) -> float:
        return median * self.rng.lognormvariate(0, _SIGMA)

    def _call(self, operation: str, arn: str, effect: Callable[[_Stream], _T]) -> _T:
        """Spend the latency and a token; raise ClientError if there is no token."""
        latency = self._latency(LATENCIES[operation])
        self.scheduler.sleep(latency / 2)
        quota = self.quotas.get(operation)
        throttled = quota is not None and not quota.admits(self.scheduler.now)
        self.calls.append(Call(operation, arn, throttled))
        if throttled:
            self.scheduler.sleep(self._latency(_THROTTLED_LATENCY))
            message = f"Rate exceeded for account {ACCOUNT}."
            error = {"Code": "LimitExceededException", "Message": message}
            raise ClientError({"Error": error}, operation)
        outcome = effect(self.streams[arn])
        self.scheduler.sleep(latency / 2)
        return outcome


class KinesisClient:
    """The part of boto3's Kinesis client that the handler uses."""

    def __init__(self, kinesis: Kinesis) -> None:
        self._kinesis = kinesis

    def describe_stream_summary(self, *, StreamName: str) -> dict[str, Any]:  # noqa: N803
        """Describe a stream."""
        status, key = self._kinesis.describe(stream_arn(StreamName))
        summary = {
            "StreamStatus": status,
            "StreamCreationTimestamp": _CREATED,
            "EncryptionType": "KMS" if key else "NONE",
            "KeyId": key,
        }
        return {"StreamDescriptionSummary": summary}

    def start_stream_encryption(self, *, StreamName: str, **_: str) -> None:  # noqa: N803
        """Encrypt a stream."""
        self._kinesis.start(stream_arn(StreamName))


class KmsClient:
    """The part of boto3's KMS client that the handler uses."""

    def __init__(self, kinesis: Kinesis, stream: str) -> None:
        self._kinesis = kinesis
        self._stream = stream

    def describe_key(self, *, KeyId: str) -> dict[str, Any]:  # noqa: N803
        """Describe a key."""
        self._kinesis.other(DESCRIBE_KEY, self._stream)
        return {"KeyMetadata": {"Arn": KeyId, "KeyState": "Enabled"}}


class CloudFormationClient:
    """The part of boto3's CloudFormation client that the handler uses."""

    def __init__(self, kinesis: Kinesis, stream: str) -> None:
        self._kinesis = kinesis
        self._stream = stream

    def describe_stack_resource(self, **_: str) -> dict[str, Any]:
        """Describe the custom resource."""
        self._kinesis.other(DESCRIBE_RESOURCE, self._stream)
        return {"StackResourceDetail": {"ResourceStatus": "CREATE_IN_PROGRESS"}}
