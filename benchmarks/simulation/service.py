"""The simulated services with latencies, and without faults: only quotas cause errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from simulated_aws.client import client_error
from simulated_aws.kinesis import DAY, Kinesis, KinesisTraits, State, Stream
from simulated_aws.kms import Key, Kms
from simulated_aws.scheduler import Scheduler
from simulated_aws.service import Params, ServiceError, arn
from simulated_aws.stage import Faults, Journal, Stage

KEY = Key("12345678-1234-1234-1234-123456789012")

DESCRIBE = "DescribeStreamSummary"
START = "StartStreamEncryption"
SEND_RESPONSE = "SendResponse"
INVOKE = "Invoke"

LATENCIES = {
    DESCRIBE: 0.020,
    START: 0.060,
    "DescribeKey": 0.015,
    "DescribeStackResource": 0.080,
    SEND_RESPONSE: 0.060,
    INVOKE: 0.030,
}
"""Median seconds of a call; assumed, and the same for all alternatives."""

_SIGMA = 0.4
"""Spread of the lognormal latencies: p99 is 2.5 times the median."""

_THROTTLED_LATENCY = 0.010


@dataclass(frozen=True)
class Completion:
    """When CloudFormation had the response, and whether it was SUCCESS."""

    time: float
    succeeded: bool


class Services:
    """Streams of one account and Region, their key, and the quotas of Kinesis.

    Parameters
    ----------
    rng
        Source of the latencies.
    """

    def __init__(self, rng: Random) -> None:
        self.scheduler = Scheduler()
        self.rng = rng
        self.described: Counter[str] = Counter()
        """DescribeStreamSummary calls by stream name."""
        self.throttled: Counter[str] = Counter()
        """Those of them that were throttled."""
        stage = Stage(self.scheduler, Journal(self.scheduler), Faults(Random(0), {}))
        traits = KinesisTraits(staleness=0.0, shows_target=False, load=0.0, durations=())
        self._kms = Kms(stage, (KEY,), {})
        self._kinesis = Kinesis(stage, self._kms, traits, Random(0))

    def create(self, name: str, *, updating_for: float) -> Stream:
        """Create an unencrypted ACTIVE stream that stays UPDATING for so many seconds."""
        state = State("ACTIVE", None, self.scheduler.now - DAY)
        stream = self._kinesis.add(arn("kinesis", f"stream/{name}"), state)
        stream.change_seconds = updating_for
        return stream

    def pass_time(self, operation: str) -> None:
        """Spend the latency of a call that has no quota."""
        self.scheduler.sleep(self._latency(LATENCIES[operation]))

    def status(self, stream: Stream) -> str:
        """Call DescribeStreamSummary and return the stream status."""
        response = self.call(DESCRIBE, {"StreamName": stream.name})
        return str(response["StreamDescriptionSummary"]["StreamStatus"])

    def start(self, stream: Stream) -> None:
        """Call StartStreamEncryption."""
        self.call(START, {"StreamName": stream.name, "KeyId": KEY.arn})

    def call(self, operation: str, params: Params) -> dict[str, Any]:
        """Spend the latency of a call and perform it; raise ClientError if it fails."""
        latency = self._latency(LATENCIES[operation])
        self.scheduler.sleep(latency / 2)
        try:
            response = self._perform(operation, params)
        except ServiceError as error:
            if operation == DESCRIBE:
                self.throttled[params["StreamName"]] += 1
            self.scheduler.sleep(self._latency(_THROTTLED_LATENCY))
            raise client_error(error, operation) from None
        self.scheduler.sleep(latency / 2)
        return response

    def _perform(self, operation: str, params: Params) -> dict[str, Any]:
        if operation == "DescribeStackResource":
            return {"StackResourceDetail": {"ResourceStatus": "CREATE_IN_PROGRESS"}}
        if operation == "DescribeKey":
            return self._kms.serve(operation, params, self)
        if operation == DESCRIBE:
            self.described[params["StreamName"]] += 1
        return self._kinesis.serve(operation, params, self)

    def _latency(self, median: float) -> float:
        return median * self.rng.lognormvariate(0, _SIGMA)
