"""Entry point of the guard's function: takes messages off the queue, one at a time."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stream_encryption.aws.arn import Place
from stream_encryption.aws.errors import AwsError
from stream_encryption.encryption.failure import MAX_REASON, cut
from stream_encryption.guard.finding import DRIFT
from stream_encryption.guard.look import Looker
from stream_encryption.guard.messages import Hopeless, Look, NotYet, Sweep, parse
from stream_encryption.guard.settings import VARIABLE, Settings, Surroundings
from stream_encryption.guard.sweep import Sweeper
from stream_encryption.log import Log
from stream_encryption.runtime import Runtime

NAMESPACE = "StreamEncryptionGuard"
"""Namespace of the metrics."""

SHARE, SHORTEST, LONGEST = 1 / 3, 2.0, 60.0
"""A message comes back after a share of the time it has waited, within these seconds."""

PATIENCE = 3600.0
"""Seconds after its first receipt in which a message comes back."""


class Guard:
    """Handles the messages of the guard's queue."""

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self._runtime = runtime
        self._settings = settings

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Handle messages, and name those that have to come back.

        Source: Lambda developer guide, "Implementing partial batch responses".
        """
        failures = [
            {"itemIdentifier": record["messageId"]}
            for record in event["Records"]
            if not _Handling(self._runtime, self._settings, record, context).done()
        ]
        return {"batchItemFailures": failures}


class _Handling:
    """One receipt of one message."""

    def __init__(
        self, runtime: Runtime, settings: Settings, record: dict[str, Any], context: Any
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._record = record
        self._context = context
        self._log = Log(runtime.clock, runtime.write)

    def done(self) -> bool:
        """Handle the message; False when it has to come back."""
        first = float(self._record["attributes"]["ApproximateFirstReceiveTimestamp"]) / 1000
        age = self._runtime.clock.now() - first
        pause = min(max(SHARE * age, SHORTEST), LONGEST)
        try:
            self._handle(parse(self._record["body"]))
        except Hopeless as error:
            if age >= error.patience:
                return self._give_up(str(error))
            reason = str(error)
        except NotYet as error:
            reason, pause = str(error), pause if error.seconds is None else error.seconds
            self._log.info("the message comes back", reason=reason, seconds=pause)
        except Exception as error:  # noqa: BLE001 - whatever it is, no message gets lost by it
            known = isinstance(error, AwsError | BotoCoreError | ClientError)
            reason = str(error) if known else traceback.format_exc()
            self._log.warning("a look failed", error=reason, **self._metrics(Failures=1))
        else:
            return True
        return self._give_up(reason) if age > PATIENCE else self._come_back(pause)

    def _handle(self, message: Look | Sweep | None) -> None:
        if message is None or (
            isinstance(message, Look) and not self._settings.cover(message.name)
        ):
            self._log.info("no guarded stream is named")
            return
        self._log.add(**message._asdict())
        place = Place.of(self._context.invoked_function_arn)
        clock, client = self._runtime.clock, self._runtime.client
        world = Surroundings(self._settings, place, clock, client)
        if isinstance(message, Look):
            item = Looker(world).look(message)
            drifts = int(item is not None and item.finding.state in DRIFT)
            counts = self._metrics(Checks=1, Drifts=drifts)
            self._log.info("looked at the stream", found=item and str(item.finding), **counts)
            return
        for state, streams in (Sweeper(world).sweep(message) or {}).items():
            self._log.info("swept", **self._metrics({"State": state}, Streams=streams))

    def _come_back(self, seconds: float) -> bool:
        try:
            self._runtime.client("sqs").change_message_visibility(
                QueueUrl=self._settings.queue,
                ReceiptHandle=self._record["receiptHandle"],
                VisibilityTimeout=int(seconds) + 1,
            )
        except (BotoCoreError, ClientError) as error:
            self._log.warning("the message comes back in the queue's own time", error=error)
        return False

    def _give_up(self, reason: str) -> bool:
        try:
            self._runtime.client("sqs").send_message(
                QueueUrl=self._settings.dead_letters,
                MessageBody=self._record["body"],
                MessageAttributes={
                    "reason": {"DataType": "String", "StringValue": cut(reason, MAX_REASON)}
                },
            )
        except (BotoCoreError, ClientError) as error:
            self._log.warning("the message cannot be given up", error=error)
            return False
        counts = self._metrics(DeadLetters=1)
        self._log.error("the message is given up", reason=reason, **counts)
        return True

    def _metrics(self, dimensions: dict[str, str] | None = None, **counts: int) -> dict[str, Any]:
        """Fields of a log line that CloudWatch takes for metrics.

        Source: CloudWatch user guide, "Specification: Embedded metric format".
        """
        all_dimensions = {"FunctionName": self._context.function_name, **(dimensions or {})}
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [list(all_dimensions)],
            "Metrics": [{"Name": name, "Unit": "Count"} for name in counts],
        }
        now = int(self._runtime.clock.now() * 1000)
        embedded = {"Timestamp": now, "CloudWatchMetrics": [directive]}
        return {"_aws": embedded, **all_dimensions, **counts}


@cache
def _client(service: str) -> Any:
    """Make a client that tries again: the handler's own do not."""
    retries = {"mode": "standard", "total_max_attempts": 4}
    return boto3.client(service, config=Config(connect_timeout=2, read_timeout=5, retries=retries))


@cache
def _guard() -> Guard:
    return Guard(Runtime(client=_client), Settings.parse(os.environ[VARIABLE]))


def on_event(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle an event of the queue."""
    return _guard()(event, context)


# Lambda gives a whole vCPU until the imports are done, and a seventh of one afterwards at 256 MB.
# Where no client can be made, the first call tells why.
with suppress(BotoCoreError):
    for _service in ("dynamodb", "kinesis", "cloudformation", "sns", "sqs"):
        _client(_service)
