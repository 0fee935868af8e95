"""AWS as the simulation has it: latencies, quotas, and streams that take their time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from tests.simulation.scheduler import Scheduler

REGION, ACCOUNT = "eu-central-1", "111122223333"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"

LOOK = "DescribeStreamSummary"
START = "StartStreamEncryption"
DESCRIBE_KEY = "DescribeKey"
DESCRIBE_RESOURCE = "DescribeStackResource"

LATENCIES = {
    LOOK: 0.020,
    START: 0.060,
    DESCRIBE_KEY: 0.015,
    DESCRIBE_RESOURCE: 0.080,
    "PutAnswer": 0.060,
    "Invoke": 0.030,
}
"""Median seconds of a call; assumed, and the same for all peers."""

_SIGMA = 0.4
"""Spread of latencies, lognormal: p99 is 2.5 times the median."""

_REFUSAL = 0.010
"""Median seconds of a call that is throttled."""

_CREATED = datetime(2026, 1, 1, tzinfo=UTC)

_T = TypeVar("_T")


def stream_arn(name: str) -> str:
    """ARN of the stream of that name."""
    return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"


class Quota:
    """A token bucket, as AWS throttles with.

    Parameters
    ----------
    rate
        Calls a second.
    burst
        Calls at once after a rest.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = 0.0

    def admits(self, now: float) -> bool:
        """Take a token if there is one."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True)
class Call:
    """A call that was made."""

    at: float
    operation: str
    stream: str
    throttled: bool


@dataclass(frozen=True)
class Described:
    """What a look shows of a stream."""

    status: str
    key: str | None


@dataclass
class _Stream:
    updating_for: float
    key: str | None = None
    active_at: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What CloudFormation was told, and when."""

    at: float
    succeeded: bool
    reason: str = ""


@dataclass
class Kinesis:
    """Streams of one account and region, its quotas, and all calls made to them.

    Parameters
    ----------
    scheduler
        Virtual time.
    rng
        Source of the latencies.
    quotas
        For each operation that has one.
    """

    scheduler: Scheduler
    rng: Random
    quotas: dict[str, Quota] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    streams: dict[str, _Stream] = field(default_factory=dict)

    def create(self, arn: str, *, updating_for: float) -> None:
        """Create a stream in plaintext, ACTIVE, whose encryption takes so many seconds."""
        self.streams[arn] = _Stream(updating_for)

    def pass_time(self, operation: str) -> None:
        """Spend the time of a call that has no quota and is not counted."""
        self.scheduler.sleep(LATENCIES[operation] * self.rng.lognormvariate(0, _SIGMA))

    def look(self, arn: str) -> Described:
        """Make a DescribeStreamSummary call."""
        return self._call(LOOK, arn, self._described)

    def start(self, arn: str) -> None:
        """Make a StartStreamEncryption call."""
        self._call(START, arn, self._encrypt)

    def other(self, operation: str, arn: str) -> None:
        """Make a call of another service on behalf of a stream."""
        self._call(operation, arn, lambda _: None)

    def _described(self, stream: _Stream) -> Described:
        active = self.scheduler.now >= stream.active_at
        return Described("ACTIVE" if active else "UPDATING", stream.key)

    def _encrypt(self, stream: _Stream) -> None:
        stream.key = KEY
        stream.active_at = self.scheduler.now + stream.updating_for

    def _call(self, operation: str, arn: str, effect: Callable[[_Stream], _T]) -> _T:
        """Spend the time of a call and its token, and raise ClientError when there is none."""
        latency = LATENCIES[operation] * self.rng.lognormvariate(0, _SIGMA)
        self.scheduler.sleep(latency / 2)
        quota = self.quotas.get(operation)
        throttled = quota is not None and not quota.admits(self.scheduler.now)
        self.calls.append(Call(self.scheduler.now, operation, arn, throttled))
        if throttled:
            self.scheduler.sleep(_REFUSAL * self.rng.lognormvariate(0, _SIGMA))
            raise ClientError(
                {
                    "Error": {
                        "Code": "LimitExceededException",
                        "Message": f"Rate exceeded for account {ACCOUNT}.",
                    }
                },
                operation,
            )
        outcome = effect(self.streams[arn])
        self.scheduler.sleep(latency / 2)
        return outcome


class KinesisClient:
    """What of boto3's Kinesis client the handler uses."""

    def __init__(self, kinesis: Kinesis) -> None:
        self._kinesis = kinesis

    def describe_stream_summary(self, *, StreamName: str) -> dict[str, Any]:  # noqa: N803
        """Look at a stream."""
        described = self._kinesis.look(stream_arn(StreamName))
        summary = {
            "StreamStatus": described.status,
            "StreamCreationTimestamp": _CREATED,
            "EncryptionType": "KMS" if described.key else "NONE",
            "KeyId": described.key,
        }
        return {"StreamDescriptionSummary": summary}

    def start_stream_encryption(
        self,
        *,
        StreamName: str,  # noqa: N803
        EncryptionType: str,  # noqa: N803, ARG002
        KeyId: str,  # noqa: N803, ARG002
    ) -> None:
        """Encrypt a stream."""
        self._kinesis.start(stream_arn(StreamName))


class KmsClient:
    """What of boto3's KMS client the handler uses."""

    def __init__(self, kinesis: Kinesis, stream: str) -> None:
        self._kinesis = kinesis
        self._stream = stream

    def describe_key(self, *, KeyId: str) -> dict[str, Any]:  # noqa: N803
        """Look at a key."""
        self._kinesis.other(DESCRIBE_KEY, self._stream)
        return {"KeyMetadata": {"Arn": KeyId, "KeyState": "Enabled"}}


class CloudFormationClient:
    """What of boto3's CloudFormation client the handler uses."""

    def __init__(self, kinesis: Kinesis, stream: str) -> None:
        self._kinesis = kinesis
        self._stream = stream

    def describe_stack_resource(self, **_: str) -> dict[str, Any]:
        """Look at the custom resource."""
        self._kinesis.other(DESCRIBE_RESOURCE, self._stream)
        return {"StackResourceDetail": {"ResourceStatus": "CREATE_IN_PROGRESS"}}
