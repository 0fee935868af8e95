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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.figures import say, summary
from benchmarks.mailbox import Mailbox
from benchmarks.peers.local_app import stack_name
from benchmarks.peers.stacks import STACKS
from benchmarks.pending_stack import PendingStack
from benchmarks.settings import Settings
from benchmarks.waits import settling
from local_aws import Cdk, CdkError, LocalAws, folders, kinesis_mock, loopback

_POLLED_AT = 3.0
"""The one of them at which crhelper's polling is measured: it does not depend on it."""

_POLL = "crhelper poll_create"
_RESOURCE = "Encryption"
_SDK = folders.INSTALLED / "bench" / "node_modules"
_COARSE, _DENSE = 0.15, 0.02
_MARGIN = 0.4
_PATIENCE, _POLL_PATIENCE = 40.0, 150.0
"""Seconds beyond the change after which an answer is no longer expected."""

_STAGGER = 0.8
"""Seconds between two samples' beginnings, so that one's cold start does not delay another."""


@dataclass(frozen=True)
class _Sample:
    peer: str
    updating: float


class _Bench:
    """The local AWS with every peer's functions, and a Kinesis for each UPDATING time."""

    def __init__(
        self, aws: LocalAws, mailbox: Mailbox, kinesis: Mapping[float, str], stack_url: str
    ) -> None:
        self._aws, self._mailbox, self._kinesis_urls = aws, mailbox, kinesis
        self._lambda = aws.client("lambda")
        self._functions: dict[tuple[str, float], str] = {}
        self._creating = threading.Semaphore(4)
        self._stack_url = stack_url

    def deploy(self) -> dict[str, str]:
        """Deploy all peers; return the errors of those that failed."""
        variants = " ".join(map(_variant, self._kinesis_urls))
        cdk = Cdk(self._aws, app=f"{sys.executable} -m benchmarks.peers.local_app {variants}")
        errors: dict[str, str] = {}
        try:
            cdk.deploy()
        except CdkError:
            # Once more, each by itself, to tell which one it is.
            for peer in STACKS:
                try:
                    cdk.deploy(
                        *(stack_name(peer, _variant(updating)) for updating in self._kinesis_urls)
                    )
                except CdkError as error:
                    errors[peer] = str(error).strip()[-400:]
        for peer in STACKS.keys() - errors.keys():
            for updating in self._kinesis_urls:
                self._point(peer, updating)
        return errors

    def run(self, sample: _Sample) -> float:
        """Encrypt a new stream, and say how long after its ACTIVE the answer came."""
        kinesis = self._client(sample.updating)
        name = f"bench-{uuid.uuid4().hex[:12]}"
        with self._creating:
            # The emulator allows as few streams to be created at once as Kinesis does.
            kinesis.create_stream(StreamName=name, ShardCount=1)
            _until(lambda: _status(kinesis, name) == "ACTIVE", 0.1, time.monotonic() + _PATIENCE)
        try:
            return self._encrypt(sample, kinesis, name)
        finally:
            # And as few in all.
            kinesis.delete_stream(StreamName=name)

    def _encrypt(self, sample: _Sample, kinesis: Any, name: str) -> float:
        patience = sample.updating + (_POLL_PATIENCE if sample.peer == _POLL else _PATIENCE)
        with ThreadPoolExecutor(1) as pool:
            sent = time.monotonic()
            watching = pool.submit(_active_at, kinesis, name, sample.updating, sent + patience)
            self._lambda.invoke(
                FunctionName=self._functions[sample.peer, sample.updating],
                InvocationType="Event",
                Payload=json.dumps(self._event(sample.peer, name)),
            )
            answered, answer = self._mailbox.answer(name, seconds=patience)
            if answer["Status"] != "SUCCESS":
                raise RuntimeError(answer["Reason"])
            active = watching.result()
        return answered - active

    def _client(self, updating: float) -> Any:
        return boto3.client(
            "kinesis",
            region_name=self._aws.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
            endpoint_url=self._kinesis_urls[updating],
            verify=str(self._aws.certificates.authority),
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def _point(self, peer: str, updating: float) -> None:
        """Let a deployment's functions use the Kinesis of that duration, and find the first."""
        cloudformation = self._aws.client("cloudformation")
        stack = stack_name(peer, _variant(updating))
        for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]:
            if resource["ResourceType"] != "AWS::Lambda::Function":
                continue
            function = resource["PhysicalResourceId"]
            found = self._lambda.get_function_configuration(FunctionName=function)
            variables = found.get("Environment", {}).get("Variables", {})
            self._lambda.update_function_configuration(
                FunctionName=function,
                Environment={
                    "Variables": variables
                    | {
                        "AWS_ENDPOINT_URL_KINESIS": self._kinesis_urls[updating],
                        "AWS_ENDPOINT_URL_CLOUDFORMATION": self._stack_url,
                        "NODE_PATH": str(_SDK),
                    }
                },
            )
        outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
        (token,) = (each["OutputValue"] for each in outputs if each["OutputKey"] == "Token")
        self._functions[peer, updating] = token

    def _event(self, peer: str, stream: str) -> dict[str, Any]:
        properties: dict[str, Any] = {"StreamName": stream, "KeyId": "alias/aws/kinesis"}
        if peer == "AwsCustomResource":
            call = {
                "service": "Kinesis",
                "action": "startStreamEncryption",
                "parameters": properties | {"EncryptionType": "KMS"},
                "physicalResourceId": {"id": stream},
            }
            properties = {"Create": json.dumps(call), "InstallLatestAwsSdk": "false"}
        place = f"{self._aws.region}:{self._aws.account}"
        return {
            "RequestType": "Create",
            "ResponseURL": self._mailbox.url(stream),
            "StackId": f"arn:aws:cloudformation:{place}:stack/bench/{uuid.uuid4()}",
            "RequestId": str(uuid.uuid4()),
            "ResourceType": "Custom::StreamEncryption",
            "LogicalResourceId": _RESOURCE,
            "ServiceToken": "unused",
            "ResourceProperties": {"ServiceToken": "unused", **properties},
        }


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Measure all peers at all UPDATING times."""
    with _bench(settings.local_updating) as bench:
        say(f"local AWS: deploying {len(STACKS)} peers")
        return _lags(bench, settings, bench.deploy())


def _lags(bench: _Bench, settings: Settings, errors: dict[str, str]) -> list[dict[str, Any]]:
    samples = [
        _Sample(peer, updating)
        for peer in STACKS
        if peer not in errors
        for updating in settings.local_updating
        for _ in range(settings.local_poll_repeats if peer == _POLL else settings.local_repeats)
        if peer != _POLL or updating == _POLLED_AT
    ]
    # Peers interleaved; crhelper's polling first, as it takes longest.
    Random(0).shuffle(samples)
    samples.sort(key=lambda sample: sample.peer != _POLL)
    say(f"local AWS: {len(samples)} samples")
    found = _all(bench, samples)
    order, rows = list(STACKS), []
    for peer, updating in dict.fromkeys((each.peer, each.updating) for each in samples):
        results = [r for each, r in found if (each.peer, each.updating) == (peer, updating)]
        rows.append(_row(peer, updating, results))
    rows += [
        {"peer": peer, "updating": updating, "lag": None, "errors": [error]}
        for peer, error in errors.items()
        for updating in settings.local_updating
    ]
    return sorted(rows, key=lambda row: (row["updating"], order.index(row["peer"])))


def _row(peer: str, updating: float, results: list[float | Exception]) -> dict[str, Any]:
    done = [result for result in results if not isinstance(result, Exception)]
    return {
        "peer": peer,
        "updating": updating,
        "lag": summary([result - settling(peer) for result in done]) if done else None,
        "errors": [str(result)[:300] for result in results if isinstance(result, Exception)],
    }


def _all(bench: _Bench, samples: list[_Sample]) -> list[tuple[_Sample, float | Exception]]:
    def one(number: int, sample: _Sample) -> float | Exception:
        time.sleep(number * _STAGGER)
        try:
            return bench.run(sample)
        except Exception as error:  # noqa: BLE001  a sample that fails is reported as such
            return error

    with ThreadPoolExecutor(max(len(samples), 1)) as pool:
        futures: list[Future[float | Exception]] = [
            pool.submit(one, number, sample) for number, sample in enumerate(samples)
        ]
        return [(sample, future.result()) for sample, future in zip(samples, futures, strict=True)]


@contextmanager
def _bench(durations: tuple[float, ...]) -> Iterator[_Bench]:
    with LocalAws() as aws, Mailbox(aws) as mailbox, ExitStack() as running:
        stack = running.enter_context(PendingStack(aws.certificates))
        urls: dict[float, str] = {}
        for updating in durations:
            tls_port, plain_port = loopback.free_ports(2)
            folder = aws.folder / f"updating-{updating:g}"
            folder.mkdir()
            service = running.enter_context(
                kinesis_mock.start(
                    tls_port,
                    plain_port,
                    certificates=aws.certificates,
                    region=aws.region,
                    account=aws.account,
                    updating=timedelta(seconds=updating),
                    folder=folder,
                )
            )
            urls[updating] = f"https://{loopback.HOST}:{tls_port}"
            kinesis_mock.wait(service, urls[updating], aws.certificates)
        Cdk(aws).bootstrap()
        yield _Bench(aws, mailbox, urls, stack.url)


def _active_at(kinesis: Any, name: str, updating: float, until: float) -> float:
    """When the stream turned ACTIVE after a change, to within half a dense interval."""
    interval = _DENSE if updating < 1 else _COARSE
    _until(lambda: _status(kinesis, name) == "UPDATING", interval, until)
    time.sleep(max(updating - _MARGIN, 0))
    last = time.monotonic()
    while time.monotonic() < until:
        before = time.monotonic()
        if _status(kinesis, name) == "ACTIVE":
            return (last + time.monotonic()) / 2
        last = before
        time.sleep(_DENSE)
    raise TimeoutError("the stream was not seen to turn ACTIVE")


def _until(condition: Callable[[], bool], interval: float, until: float) -> None:
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the stream did not change as expected")
        time.sleep(interval)


def _status(kinesis: Any, name: str) -> str:
    answer = kinesis.describe_stream_summary(StreamName=name)
    return str(answer["StreamDescriptionSummary"]["StreamStatus"])


def _variant(updating: float) -> str:
    return f"{round(updating * 10)}"
