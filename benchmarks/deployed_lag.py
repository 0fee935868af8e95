"""Lag of a single stream on the local AWS: real functions, state machine, and time.

The CDK CLI deploys the functions of each alternative once. Each sample is an event as
CloudFormation sends it, whose response goes to a bucket: the emulated CloudFormation would add its
own delays.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random
from typing import Any

from benchmarks.alternatives.stacks import WAITING, stack_name
from benchmarks.figures import Row, Target, judge, show, summary, table
from benchmarks.lag import lag_targets
from benchmarks.simulation.alternatives import wait_after_active
from local_aws import Cdk, LocalAws

_UPDATING = 3.0
_BUCKET = "benchmark-responses"
_INTERVAL = 0.02
_TIMEOUT = 40.0


def measure(*, quick: bool) -> list[Row]:
    """Measure the alternatives that wait, one after the other, in a random order each round."""
    rounds = 1 if quick else 10
    show(f"lag on the local AWS: {rounds} samples of each of {len(WAITING)} alternatives")
    rng, results = Random(0), {name: list[float | str]() for name in WAITING}
    with LocalAws(updating=timedelta(seconds=_UPDATING)) as aws:
        bench = _Bench(aws)
        for _ in range(rounds):
            for name in rng.sample(WAITING, len(WAITING)):
                results[name].append(bench.sample(name))
    return [_row(name, samples) for name, samples in results.items()]


def targets(rows: list[Row]) -> Iterator[Target]:
    """Evaluate the targets of this section."""
    yield from lag_targets(rows, "local AWS")
    failed = sum(row["failed"] for row in rows)
    yield Target("lag, local AWS: no failure", f"{failed} failures", judge(not failed))


def page(rows: list[Row]) -> str:
    """Format the section of the page."""
    lines = table(
        ("local AWS", "samples", "median", "least", "most"),
        [
            (
                row["alternative"],
                str(row["lag"]["n"]),
                *(f"{row['lag'][each]:.2f} s" for each in ("median", "min", "max")),
            )
            for row in rows
            if row["lag"]
        ],
    )
    return f"""
The same lag measured on the local AWS, with {_UPDATING:g} s of UPDATING and functions deployed by
the CDK CLI. Every change takes the same time here, so all samples of one alternative meet its
polling interval at the same point.

{lines}
"""


def _row(name: str, samples: list[float | str]) -> Row:
    lags = [lag - wait_after_active(name) for lag in samples if isinstance(lag, float)]
    errors = [error for error in samples if isinstance(error, str)]
    return {
        "alternative": name,
        "updating": _UPDATING,
        "lag": summary(lags) if lags else None,
        "failed": len(errors),
        "errors": errors,
    }


class _Bench:
    """The deployed functions of the alternatives, and the bucket for their responses."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws, self._s3 = aws, aws.client("s3")
        self._kinesis, self._lambda = aws.client("kinesis"), aws.client("lambda")
        location = {"LocationConstraint": aws.region}
        self._s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration=location)
        cdk = Cdk(aws, app=f"{sys.executable} -m benchmarks.alternatives.app")
        cdk.bootstrap()
        outputs = cdk.deploy()
        self._functions = {name: outputs[stack_name(name)]["Token"] for name in WAITING}

    def sample(self, name: str) -> float | str:
        """Encrypt a new stream; return the seconds from its ACTIVE to the response."""
        stream = f"bench-{uuid.uuid4().hex[:12]}"
        self._kinesis.create_stream(StreamName=stream, ShardCount=1)
        try:
            _poll(lambda: self._status(stream) == "ACTIVE")
            self._lambda.invoke(
                FunctionName=self._functions[name],
                InvocationType="Event",
                Payload=json.dumps(self._event(stream)),
            )
            _poll(lambda: self._status(stream) == "UPDATING")
            active = _poll(lambda: self._status(stream) == "ACTIVE")
            arrived = _poll(lambda: self._has_response(stream))
        except TimeoutError as error:
            return str(error)
        finally:
            self._kinesis.delete_stream(StreamName=stream)
        body = self._s3.get_object(Bucket=_BUCKET, Key=stream)["Body"].read()
        response: dict[str, str] = json.loads(body)
        return arrived - active if response["Status"] == "SUCCESS" else response["Reason"]

    def _event(self, stream: str) -> dict[str, Any]:
        stack = f"arn:aws:cloudformation:{self._aws.region}:{self._aws.account}:stack/bench"
        properties = {"StreamName": stream, "KeyId": "alias/aws/kinesis"}
        return {
            "RequestType": "Create",
            # Without a date, so that the handler does not check whether the request is stale.
            "ResponseURL": f"{self._aws.endpoint_url}/{_BUCKET}/{stream}",
            "StackId": f"{stack}/{uuid.uuid4()}",
            "RequestId": str(uuid.uuid4()),
            "ResourceType": "Custom::StreamEncryption",
            "LogicalResourceId": "Encryption",
            "ServiceToken": "unused",
            "ResourceProperties": {"ServiceToken": "unused", **properties},
        }

    def _has_response(self, stream: str) -> bool:
        return "Contents" in self._s3.list_objects_v2(Bucket=_BUCKET, Prefix=stream)

    def _status(self, stream: str) -> str:
        response = self._kinesis.describe_stream_summary(StreamName=stream)
        return str(response["StreamDescriptionSummary"]["StreamStatus"])


def _poll(condition: Callable[[], bool]) -> float:
    """Return when the condition became true, to within half an interval."""
    began = before = time.monotonic()
    while not condition():
        if (before := time.monotonic()) > began + _TIMEOUT:
            raise TimeoutError(f"timed out after {_TIMEOUT:g} s")
        time.sleep(_INTERVAL)
    return (before + time.monotonic()) / 2
