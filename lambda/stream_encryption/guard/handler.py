"""Entry point of the guard's function: handles the messages of its queue, one at a time."""

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
from stream_encryption.guard.check import Checker
from stream_encryption.guard.messages import (
    Check,
    Count,
    NonRetryableError,
    Release,
    Remediate,
    RetryLater,
    Scan,
    parse,
)
from stream_encryption.guard.remediation import Remediator
from stream_encryption.guard.scan import Scanner
from stream_encryption.guard.settings import VARIABLE, Environment, Settings
from stream_encryption.guard.table import Table
from stream_encryption.log import Log
from stream_encryption.runtime import Runtime, aws_client

NAMESPACE = "StreamEncryptionGuard"
"""Namespace of the metrics."""

RETRY_SHARE, MIN_RETRY_DELAY, MAX_RETRY_DELAY = 1 / 3, 2.0, 60.0
"""A message is retried after a share of its age, within these seconds."""

MAX_AGE = 3600.0
"""Seconds after its first receipt in which a message is retried."""


class Guard:
    """Handles the messages of the guard's queue."""

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self._runtime = runtime
        self._settings = settings

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Handle messages, and return those that have to be received again.

        Source: Lambda developer guide, "Implementing partial batch responses".
        """
        failures = [
            {"itemIdentifier": record["messageId"]}
            for record in event["Records"]
            if not _Receipt(self._runtime, self._settings, record, context).handle()
        ]
        return {"batchItemFailures": failures}


class _Receipt:
    """One receipt of one message."""

    def __init__(
        self, runtime: Runtime, settings: Settings, record: dict[str, Any], context: Any
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._record = record
        self._context = context
        self._log = Log(runtime.clock, runtime.write)

    def handle(self) -> bool:
        """Handle the message; False if it has to be received again."""
        first = float(self._record["attributes"]["ApproximateFirstReceiveTimestamp"]) / 1000
        age = self._runtime.clock.now() - first
        delay, max_age = min(max(RETRY_SHARE * age, MIN_RETRY_DELAY), MAX_RETRY_DELAY), MAX_AGE
        try:
            self._handle()
        except NonRetryableError as error:
            reason, max_age = str(error), error.after
        except RetryLater as error:
            reason, delay = str(error), delay if error.seconds is None else error.seconds
            self._log.info("the message will be retried", reason=reason, seconds=delay)
        except Exception as error:  # noqa: BLE001 - no error may lose a message
            expected = isinstance(error, AwsError | BotoCoreError | ClientError)
            reason = str(error) if expected else traceback.format_exc()
            self._log.warning("handling failed", error=reason, **self._metrics(Failures=1))
        else:
            return True
        return self._give_up(reason) if age >= max_age else self._retry(delay)

    def _handle(self) -> None:
        message, settings = parse(self._record["body"]), self._settings
        place = Place.of(self._context.invoked_function_arn)
        environment = Environment(settings, place, self._runtime.clock, self._runtime.client)
        self._log.add(**(message._asdict() if message else {}))
        limits, runtime = settings.limits, self._runtime
        if isinstance(message, Remediate | Release) and limits:
            Remediator(environment, limits, runtime, self._log, self._count).handle(message)
        elif isinstance(message, Remediate | Release) or limits:
            raise NonRetryableError("malformed message: it is for the guard's other queue")
        else:
            self._check(message, environment)

    def _check(self, message: Check | Scan | Count | None, environment: Environment) -> None:
        settings = self._settings
        if isinstance(message, Scan):
            counts = Scanner(environment).scan(message)
            if counts is None:
                return
            for state, streams in counts.items():
                metrics = self._metrics({"State": str(state)}, Streams=streams)
                self._log.info("finished a scan", **metrics)
        if isinstance(message, Scan | Count):
            arns = Table(environment.client("dynamodb"), settings.table).noncompliant()
            count = sum(settings.selects(arn.split("/", 1)[1]) for arn in arns)
            self._log.info("counted streams", **self._metrics(NoncompliantStreams=count))
        elif message and settings.selects(message.name):
            item = Checker(environment).check(message)
            finding = item and str(item.finding)
            self._log.info("checked the stream", finding=finding, **self._metrics(Checks=1))
        else:
            self._log.info("the message names no guarded stream")

    def _count(self, outcome: str) -> None:
        metrics = self._metrics({"Outcome": outcome}, Remediations=1)
        self._log.info("reported a remediation", **metrics)

    def _retry(self, seconds: float) -> bool:
        try:
            self._runtime.client("sqs").change_message_visibility(
                QueueUrl=self._settings.queue,
                ReceiptHandle=self._record["receiptHandle"],
                VisibilityTimeout=int(seconds) + 1,
            )
        except (BotoCoreError, ClientError) as error:
            self._log.warning("the message is retried after the visibility timeout", error=error)
        return False

    def _give_up(self, reason: str) -> bool:
        try:
            self._runtime.client("sqs").send_message(
                QueueUrl=self._settings.dead_letter_queue,
                MessageBody=self._record["body"],
                MessageAttributes={
                    "reason": {"DataType": "String", "StringValue": cut(reason, MAX_REASON)}
                },
            )
        except (BotoCoreError, ClientError) as error:
            self._log.warning("the message cannot be moved to the dead-letter queue", error=error)
            return False
        metrics = self._metrics(DeadLetters=1)
        self._log.error("moved the message to the dead-letter queue", reason=reason, **metrics)
        return True

    def _metrics(self, dimensions: dict[str, str] | None = None, **counts: int) -> dict[str, Any]:
        """Fields of a log line from which CloudWatch extracts metrics.

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
    """Create a client that retries, unlike the encryption function's."""
    retries = {"mode": "standard", "total_max_attempts": 4}
    return boto3.client(service, config=Config(connect_timeout=2, read_timeout=5, retries=retries))


@cache
def _guard() -> Guard:
    settings = Settings.parse(os.environ[VARIABLE])
    # A retry of botocore may change a stream again after a call whose response was lost.
    return Guard(Runtime(client=aws_client if settings.limits else _client), settings)


def on_event(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle an event of the queue."""
    return _guard()(event, context)


# Lambda gives a whole vCPU until the imports are done, and a seventh of one afterwards at 256 MB.
# If a client cannot be created, the first call reports why.
with suppress(BotoCoreError):
    for _service in ("dynamodb", "kinesis", "cloudformation", "sns", "sqs"):
        _client(_service)
