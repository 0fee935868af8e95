"""The guard: time from an event to its effect on the local AWS, and simulated scans."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from benchmarks.figures import Row, Target, judge, show, summary, table
from benchmarks.simulation.guard import SIZES, scan
from local_aws import Cdk, LocalAws, folders
from local_aws.deployed_guard import DeployedGuard, poll

_STREAM, _STACK = "payments", "guarded-stream"
_TIMEOUT = 60.0
_NOTIFICATION, _START = "notification", "StartStreamEncryption"
_MAX_SECONDS = {("warm", _NOTIFICATION): 2.0, ("cold", _NOTIFICATION): 5.0, ("warm", _START): 5.0}
_MAX_SCAN_MINUTES = 45.0
_MIN_SAMPLES = 5


def measure(*, quick: bool) -> list[Row]:
    """Measure notifications and remediations, and a scan of each size."""
    samples = 2 if quick else 20
    show(f"guard: {samples} samples each of notifications and remediations")
    with LocalAws(updating=timedelta(seconds=0.5)) as aws:
        Cdk(aws).bootstrap()
        bench = _Bench(aws)
        rows: list[Row] = []
        for function, effect, prepare, sample in (
            ("warm", _NOTIFICATION, bench.notify_warm, bench.notify_warm),
            ("cold", _NOTIFICATION, lambda: None, bench.notify_cold),
            ("warm", _START, bench.enable_remediation, bench.remediate),
        ):
            prepare()
            seconds = summary([sample() for _ in range(samples)])
            rows.append({"function": function, "effect": effect, "seconds": seconds})
    show(f"guard: simulated scans of {SIZES} streams")
    return rows + [_scan(streams) for streams in SIZES]


def targets(rows: list[Row]) -> Iterator[Target]:
    """Evaluate the targets of this section."""
    for row in rows:
        if "function" in row:
            limit, seconds = _MAX_SECONDS[row["function"], row["effect"]], row["seconds"]
            yield Target(
                f"guard, {row['function']}: from event to {row['effect']} ≤ {limit:g} s",
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
    effects = table(
        ("function", "from the event to", "samples", "median", "most"),
        [
            (
                row["function"],
                row["effect"],
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

On the local AWS: from the event in the queue to the notification at a subscriber, or to the call
that restores the encryption of a stopped stream. The time that CloudTrail takes before comes on
top.

{effects}

AWS documents no latency of AWS Config with its runbook, only what it depends on: changes are
recorded when they occur, or once a day (API Reference, RecordingMode); automatic remediation starts
from a compliance snapshot that is taken periodically (PutRemediationConfigurations).

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
    """A guarded stream whose encryption is stopped and started repeatedly.

    A stream has changed before its event is sent, so Kinesis takes none of the measured time.
    """

    def __init__(self, aws: LocalAws) -> None:
        self._aws, self._kinesis = aws, aws.client("kinesis")
        self._key = str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])
        self._kinesis.create_stream(StreamName=_STREAM, ShardCount=1)
        self._wait_for_key(None)
        self._guard = self._deploy()
        self._wait_for_key(self._key)

    def notify_warm(self) -> float:
        """Stop or start encryption; return the seconds until the notification."""
        encrypted = self._description()[1] is not None
        began = self._stop() if encrypted else self._start()
        self._next_notification()
        return time.monotonic() - began

    def notify_cold(self) -> float:
        """Do the same with a function that has no process yet."""
        functions = self._aws.client("lambda")
        name = self._guard.outputs["FunctionName"]
        memory = functions.get_function_configuration(FunctionName=name)["MemorySize"]
        functions.update_function_configuration(FunctionName=name, MemorySize=memory + 1)
        return self.notify_warm()

    def enable_remediation(self) -> None:
        """Deploy with remediation, and warm up both functions."""
        if self._description()[1] is None:
            self._start()
        self._guard = self._deploy(remediation="5")
        self._guard.send({"scan": {}})
        self._wait_until_compliant()
        self.remediate()

    def remediate(self) -> float:
        """Stop encryption; return the seconds until it is started again."""
        began = self._stop()
        if not poll(_TIMEOUT, lambda: self._description() != ("ACTIVE", None)):
            raise RuntimeError(f"encryption is not restored within {_TIMEOUT:.0f} s")
        seconds = time.monotonic() - began
        while "Outcome: restored\n" not in self._next_notification():
            pass
        self._guard.release(_STREAM)
        self._wait_until_compliant()
        return seconds

    def _deploy(self, **context: str) -> DeployedGuard:
        cdk = Cdk(self._aws, app=f"{sys.executable} {folders.PROJECT / 'examples' / 'guard.py'}")
        context |= {"stream": _STREAM, "key": self._key, "stackName": _STACK}
        guard = DeployedGuard(self._aws, cdk.deploy(context)[_STACK])
        guard.subscribe()
        return guard

    def _stop(self) -> float:
        return self._change(self._kinesis.stop_stream_encryption, "StopStreamEncryption", None)

    def _start(self) -> float:
        start = self._kinesis.start_stream_encryption
        return self._change(start, "StartStreamEncryption", self._key)

    def _change(self, change: Callable[..., object], call: str, key: str | None) -> float:
        """Change the stream, wait for the change, and send its event; return when it was sent."""
        change(StreamName=_STREAM, EncryptionType="KMS", KeyId=self._key)
        self._wait_for_key(key)
        began = time.monotonic()
        self._guard.send_api_call(call, _STREAM)
        return began

    def _next_notification(self) -> str:
        notification = self._guard.next_notification(_TIMEOUT)
        if notification is None:
            raise RuntimeError(f"no notification within {_TIMEOUT:.0f} s")
        return str(notification["Message"])

    def _wait_until_compliant(self) -> None:
        if not poll(_TIMEOUT, lambda: self._guard.item(_STREAM).get("state") == "compliant"):
            raise RuntimeError(f"not compliant: {self._guard.item(_STREAM)}")

    def _description(self) -> tuple[str, str | None]:
        response = self._kinesis.describe_stream_summary(StreamName=_STREAM)
        summary = response["StreamDescriptionSummary"]
        return summary["StreamStatus"], summary.get("KeyId")

    def _wait_for_key(self, key: str | None) -> None:
        if not poll(_TIMEOUT, lambda: self._description() == ("ACTIVE", key)):
            raise RuntimeError(f"the stream is not ACTIVE with key {key}")
