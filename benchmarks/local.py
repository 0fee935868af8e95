"""Lag on the local AWS: real functions, a real Step Functions waiter, real rules, real time.

Each peer's functions are deployed once by the CDK CLI. A sample is an event sent to them as
CloudFormation sends it, whose answer comes to a bucket of the benchmark's own: the emulated
CloudFormation would run the resources of a stack one after the other, and add its own delays.

When the stream turns ACTIVE is observed from outside, by looks that are dense around the end of
the change: no assumption about the emulator's duration goes into a lag.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import Any

from benchmarks.figures import say, summary
from benchmarks.mailbox import Mailbox
from benchmarks.peers.local_app import PEERS, stack_name
from benchmarks.settings import Settings
from benchmarks.waits import settling
from local_aws import Cdk, LocalAws

_POLL = "crhelper poll_create"
_POLLED_AT = 3.0
"""The one time at which crhelper's polling is measured: its lag hardly depends on it."""

_COARSE, _DENSE = 0.15, 0.02
_MARGIN = 0.4
_PATIENCE, _POLL_PATIENCE = 40.0, 150.0
"""Seconds beyond the change after which an answer is no longer expected."""

_STAGGER = 0.8
"""Seconds between two samples' beginnings, so that one's cold start does not delay another."""

_LIKE_KINESIS = 4
"""Streams that the emulator allows to be created at once."""


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Measure the peers at all UPDATING times."""
    return [
        row
        for updating in settings.local_updating
        for row in _rows(
            updating,
            {
                peer: settings.local_poll_repeats if peer == _POLL else settings.local_repeats
                for peer in PEERS
                if peer != _POLL or updating == _POLLED_AT
            },
        )
    ]


def _rows(updating: float, repeats: Mapping[str, int]) -> list[dict[str, Any]]:
    # Peers interleaved; crhelper's polling first, as it takes longest.
    samples = [peer for peer, times in repeats.items() for _ in range(times)]
    Random(0).shuffle(samples)
    samples.sort(key=lambda peer: peer != _POLL)
    with LocalAws(updating=timedelta(seconds=updating)) as aws, Mailbox(aws) as mailbox:
        say(f"local AWS, {updating:g} s: deploying {len(PEERS)} peers, {len(samples)} samples")
        bench = _Bench(aws, mailbox, updating)
        with ThreadPoolExecutor(len(samples)) as pool:
            lags = list(pool.map(bench.sample, samples, range(len(samples))))
    found = list(zip(samples, lags, strict=True))
    return [_row(peer, updating, [lag for each, lag in found if each == peer]) for peer in repeats]


def _row(peer: str, updating: float, found: list[float | Exception]) -> dict[str, Any]:
    lags = [lag - settling(peer) for lag in found if not isinstance(lag, Exception)]
    errors = [str(error)[:300] for error in found if isinstance(error, Exception)]
    return {
        "peer": peer,
        "updating": updating,
        "lag": summary(lags) if lags else None,
        "failed": len(errors),
        "errors": errors,
    }


class _Bench:
    """The peers' functions, deployed on a local AWS whose changes take a given time."""

    def __init__(self, aws: LocalAws, mailbox: Mailbox, updating: float) -> None:
        self._aws, self._mailbox, self._updating = aws, mailbox, updating
        self._kinesis, self._lambda = aws.client("kinesis"), aws.client("lambda")
        self._creating = threading.Semaphore(_LIKE_KINESIS)
        cdk = Cdk(aws, app=f"{sys.executable} -m benchmarks.peers.local_app")
        cdk.bootstrap()
        outputs = cdk.deploy().outputs
        self._functions = {peer: outputs[stack_name(peer)]["Token"] for peer in PEERS}

    def sample(self, peer: str, number: int) -> float | Exception:
        """Encrypt a new stream, and say how long after its ACTIVE the answer came."""
        time.sleep(number * _STAGGER)
        name = f"bench-{uuid.uuid4().hex[:12]}"
        try:
            with self._creating:
                self._kinesis.create_stream(StreamName=name, ShardCount=1)
                _until(lambda: self._status(name) == "ACTIVE", 0.1, time.monotonic() + _PATIENCE)
            return self._encrypt(peer, name)
        except Exception as error:  # noqa: BLE001  a sample that fails is reported as such
            return error
        finally:
            # The emulator allows as few streams in all as Kinesis does.
            self._kinesis.delete_stream(StreamName=name)

    def _encrypt(self, peer: str, name: str) -> float:
        patience = self._updating + (_POLL_PATIENCE if peer == _POLL else _PATIENCE)
        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(self._active_at, name, time.monotonic() + patience)
            self._lambda.invoke(
                FunctionName=self._functions[peer],
                InvocationType="Event",
                Payload=json.dumps(self._event(name)),
            )
            answered, answer = self._mailbox.answer(name, seconds=patience)
            if answer["Status"] != "SUCCESS":
                raise RuntimeError(answer["Reason"])
            return answered - watching.result()

    def _event(self, stream: str) -> dict[str, Any]:
        stack = f"arn:aws:cloudformation:{self._aws.region}:{self._aws.account}:stack/bench"
        properties = {"StreamName": stream, "KeyId": "alias/aws/kinesis"}
        return {
            "RequestType": "Create",
            "ResponseURL": self._mailbox.url(stream),
            "StackId": f"{stack}/{uuid.uuid4()}",
            "RequestId": str(uuid.uuid4()),
            "ResourceType": "Custom::StreamEncryption",
            "LogicalResourceId": "Encryption",
            "ServiceToken": "unused",
            "ResourceProperties": {"ServiceToken": "unused", **properties},
        }

    def _active_at(self, name: str, until: float) -> float:
        """When the stream turned ACTIVE after a change, to within half a dense interval."""
        interval = _DENSE if self._updating < 1 else _COARSE
        _until(lambda: self._status(name) == "UPDATING", interval, until)
        time.sleep(max(self._updating - _MARGIN, 0))
        last = time.monotonic()
        while time.monotonic() < until:
            before = time.monotonic()
            if self._status(name) == "ACTIVE":
                return (last + time.monotonic()) / 2
            last = before
            time.sleep(_DENSE)
        raise TimeoutError("the stream was not seen to turn ACTIVE")

    def _status(self, name: str) -> str:
        answer = self._kinesis.describe_stream_summary(StreamName=name)
        return str(answer["StreamDescriptionSummary"]["StreamStatus"])


def _until(condition: Callable[[], bool], interval: float, until: float) -> None:
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the stream did not change as expected")
        time.sleep(interval)
