"""The guard: time from an event to its notification on the local AWS, and simulated scans."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import timedelta

from benchmarks.figures import Row, Target, judge, show, summary, table
from local_aws import Cdk, LocalAws, folders
from local_aws.deployed_guard import DeployedGuard, poll
from tests.simulation.guard.scanning import SIZES, scan

_STREAM, _STACK = "payments", "guarded-stream"
_TIMEOUT = 60.0
_MAX_SECONDS = {"warm": 2.0, "cold": 5.0}
_MAX_SCAN_MINUTES = 45.0
_MIN_SAMPLES = 5


def measure(*, quick: bool) -> list[Row]:
    """Measure a warm and a cold function, and a scan of each size."""
    samples = 2 if quick else 20
    show(f"guard: {samples} notifications each of a warm and a cold function")
    with LocalAws(updating=timedelta(seconds=0.5)) as aws:
        Cdk(aws).bootstrap()
        bench = _Bench(aws)
        bench.warm()
        rows: list[Row] = [
            {"function": function, "seconds": summary([sample() for _ in range(samples)])}
            for function, sample in (("warm", bench.warm), ("cold", bench.cold))
        ]
    show(f"guard: simulated scans of {SIZES} streams")
    return rows + [_scan(streams) for streams in SIZES]


def targets(rows: list[Row]) -> Iterator[Target]:
    """Evaluate the targets of this section."""
    for row in rows:
        if "function" in row:
            limit, seconds = _MAX_SECONDS[row["function"]], row["seconds"]
            yield Target(
                f"guard, {row['function']}: from event to notification ≤ {limit:g} s",
                f"median {seconds['median']:.2f} s",
                judge(seconds["median"] <= limit, enough=seconds["n"] >= _MIN_SAMPLES),
            )
    scan = max((row for row in rows if "streams" in row), key=lambda row: row["streams"])
    yield Target(
        f"guard: scan of {scan['streams']:,} streams in ≤ {_MAX_SCAN_MINUTES:g} minutes,"
        " nothing throttled or stopped",
        f"{scan['minutes']} minutes, {scan['lost']} throttled or stopped",
        judge(scan["minutes"] <= _MAX_SCAN_MINUTES and not scan["lost"]),
    )


def page(rows: list[Row]) -> str:
    """Format the section of the page."""
    notifications = table(
        ("function", "samples", "median", "most"),
        [
            (
                row["function"],
                str(row["seconds"]["n"]),
                *(f"{row['seconds'][each]:.2f} s" for each in ("median", "max")),
            )
            for row in rows
            if "function" in row
        ],
    )
    scans = table(
        ("streams in a scan", "minutes", "describe calls per second", "messages", "US dollars"),
        [
            (
                f"{row['streams']:,}",
                str(row["minutes"]),
                f"{row['calls per second']:g}, at most {row['max calls per second']}",
                f"{row['messages']:,}",
                f"{row['dollars']:.2g}",
            )
            for row in rows
            if "streams" in row
        ],
    )
    return f"""
## The guard

From the event in the queue to the notification at a subscriber, on the local AWS; the time that
CloudTrail takes before comes on top.

{notifications}

Scans that find no change, simulated with the guard's code. The account allows 20 describe calls per
second. Prices are those of us-east-1, without free tiers.

{scans}
"""


def _scan(streams: int) -> Row:
    figures = scan(streams)
    return {
        "streams": streams,
        "minutes": figures.minutes,
        "calls per second": figures.checks_a_second,
        "max calls per second": figures.most_checks_in_a_second,
        "messages": figures.messages,
        "lost": figures.throttled + figures.stopped,
        "dollars": figures.dollars,
    }


class _Bench:
    """A guarded stream whose encryption is stopped and started repeatedly."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws, self._kinesis = aws, aws.client("kinesis")
        self._key = str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])
        self._kinesis.create_stream(StreamName=_STREAM, ShardCount=1)
        self._wait_for_key(None)
        cdk = Cdk(aws, app=f"{sys.executable} {folders.PROJECT / 'examples' / 'guard.py'}")
        context = {"stream": _STREAM, "key": self._key, "stackName": _STACK}
        self._outputs = cdk.deploy(context)[_STACK]
        self._guard = DeployedGuard(aws, self._outputs)
        self._guard.subscribe()
        self._wait_for_key(self._key)

    def warm(self) -> float:
        """Stop or start encryption; return the seconds until the notification.

        The stream has changed before the event is sent, so Kinesis takes none of this time.
        """
        encrypted = self._description()[1] is not None
        change, call, key = (
            (self._kinesis.stop_stream_encryption, "StopStreamEncryption", None)
            if encrypted
            else (self._kinesis.start_stream_encryption, "StartStreamEncryption", self._key)
        )
        change(StreamName=_STREAM, EncryptionType="KMS", KeyId=self._key)
        self._wait_for_key(key)
        began = time.monotonic()
        self._guard.send_api_call(call, _STREAM)
        if self._guard.next_notification(_TIMEOUT) is None:
            raise RuntimeError(f"no notification within {_TIMEOUT:.0f} s")
        return time.monotonic() - began

    def cold(self) -> float:
        """Do the same with a function that has no process yet."""
        functions = self._aws.client("lambda")
        name = self._outputs["FunctionName"]
        memory = functions.get_function_configuration(FunctionName=name)["MemorySize"]
        functions.update_function_configuration(FunctionName=name, MemorySize=memory + 1)
        return self.warm()

    def _description(self) -> tuple[str, str | None]:
        response = self._kinesis.describe_stream_summary(StreamName=_STREAM)
        summary = response["StreamDescriptionSummary"]
        return summary["StreamStatus"], summary.get("KeyId")

    def _wait_for_key(self, key: str | None) -> None:
        if not poll(_TIMEOUT, lambda: self._description() == ("ACTIVE", key)):
            raise RuntimeError(f"the stream is not ACTIVE with key {key}")
