"""Duration and cost of a scan: python -m benchmarks.simulation.guard [STREAMS ...].

The guard runs on the models of the services, in virtual time. The measured scan is the second one,
in which the table contains all streams and nothing has changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass

from simulated_aws.api import Call
from simulated_aws.event_source import MessageInvocation
from simulated_aws.guarded_account import KEY_ARNS, AccountTraits, GuardedAccount
from simulated_aws.kinesis import KinesisTraits
from simulated_aws.sqs import QUEUE

SIZES = (100, 1_000, 10_000)
LATENCY = 0.06
"""Longest time of a call, in seconds, of which each takes half on average."""

MEMORY_GB, START = 0.25, 0.005
"""Of the function; and seconds of an invocation that are none of its calls."""

PRICES = {
    "lambda_request": 0.20e-6,
    "lambda_gb_second": 13.3334e-6,
    "sqs_request": 0.40e-6,
    "dynamodb_write": 0.625e-6,
    "dynamodb_read": 0.125e-6,
    "log_gb": 0.50,
}
"""US dollars, by AWS's price lists for us-east-1 without free tiers; arm64."""


@dataclass(frozen=True)
class ScanFigures:
    """Figures of one scan; ``dollars`` without the monthly cost of metrics and alarms."""

    streams: int
    minutes: float
    checks: int
    checks_a_second: float
    most_checks_in_a_second: int
    most_lists_in_a_second: int
    messages: int
    continuations: int
    stopped: int
    throttled: int
    invocations: int
    gb_seconds: float
    sqs_requests: int
    table_reads: int
    table_writes: int
    log_megabytes: float
    dollars: float


def scan(streams: int) -> ScanFigures:
    """Simulate two scans of so many streams without faults, and measure the second."""
    names = [f"stream-{number:05}" for number in range(streams)]
    account = GuardedAccount(
        AccountTraits(
            seed=0,
            keys=[KEY_ARNS[0]],
            settings={"exempt_tag_key": "exempt"},
            streams=dict.fromkeys(names, KEY_ARNS[0]),
            kinesis=KinesisTraits(
                staleness=0.0, shows_target=True, load=0.0, durations=(0, 1, 0, 0, 0)
            ),
            latency=LATENCY,
            rates={},
        )
    )
    scheduler, guard = account.scheduler, account.guards[0]
    function = guard.checks

    def run() -> float:
        began = scheduler.now
        guard.sqs.send(QUEUE, '{"scan": {}}')
        scheduler.run(began + 6 * 3600, stop=lambda: not guard.sqs.queues[QUEUE])
        scheduler.run(scheduler.now + 60)
        return began

    run()
    first, logged = len(function.invocations), len(function.log)
    before = (guard.sqs.requests, guard.sqs.sent, guard.table.reads, guard.table.writes)
    began = run()
    invocations = function.invocations[first:]
    after = (guard.sqs.requests, guard.sqs.sent, guard.table.reads, guard.table.writes)
    requests, sent, reads, writes = (new - old for new, old in zip(after, before, strict=True))
    calls = [call for each in invocations for call in each.calls]
    checks = [call for call in calls if call.operation == "DescribeStreamSummary"]
    seconds = max(call.began for call in checks) - began
    gb_seconds = MEMORY_GB * sum(map(_billed, invocations))
    megabytes = sum(map(len, function.log[logged:])) / 1e6
    dollars = (
        len(invocations) * PRICES["lambda_request"]
        + gb_seconds * PRICES["lambda_gb_second"]
        + requests * PRICES["sqs_request"]
        + reads * PRICES["dynamodb_read"]
        + writes * PRICES["dynamodb_write"]
        + megabytes / 1e3 * PRICES["log_gb"]
    )
    return ScanFigures(
        streams=streams,
        minutes=round(seconds / 60, 1),
        checks=len(checks),
        checks_a_second=round(len(checks) / seconds, 2),
        most_checks_in_a_second=_most(checks),
        most_lists_in_a_second=_most([each for each in calls if each.operation == "ListStreams"]),
        messages=sent,
        continuations=max(each.message.continuations for each in invocations),
        stopped=len(function.dropped),
        throttled=sum(call.error == "LimitExceededException" for call in calls),
        invocations=len(invocations),
        gb_seconds=round(gb_seconds, 1),
        sqs_requests=requests,
        table_reads=reads,
        table_writes=writes,
        log_megabytes=round(megabytes, 2),
        dollars=round(dollars, 5),
    )


def _billed(invocation: MessageInvocation) -> float:
    return (invocation.ended or invocation.began) - invocation.began + START


def _most(calls: list[Call]) -> int:
    """Most calls within any whole second."""
    return max(Counter(int(call.began) for call in calls).values(), default=0)


def main() -> int:
    """Print the figures of the scans."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("streams", nargs="*", type=int, default=SIZES)
    for streams in parser.parse_args().streams:
        sys.stdout.write(f"{json.dumps(asdict(scan(streams)))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
