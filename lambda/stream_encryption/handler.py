"""Entry point of the Lambda function: connects the layers, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError

from stream_encryption.aws.arn import Place
from stream_encryption.aws.cloudformation import stale_reason
from stream_encryption.aws.errors import AwsError
from stream_encryption.aws.kinesis import Stream
from stream_encryption.aws.kms import Kms
from stream_encryption.encryption.best_effort import BestEffort
from stream_encryption.encryption.job import EncryptionJob
from stream_encryption.encryption.key import DesiredKey
from stream_encryption.encryption.progress import Progress
from stream_encryption.log import Log
from stream_encryption.protocol.custom_resource import CustomResource
from stream_encryption.protocol.request import Request
from stream_encryption.runtime import Runtime, aws_client
from stream_encryption.waiting import Backoff, Wait


class Handler:
    """Handles custom resource events."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __call__(self, event: dict[str, Any], context: Any) -> None:
        """Handle one event and send the response, unless a new invocation continues."""
        CustomResource(self._runtime, self._job)(event, context)

    def _job(self, request: Request, progress: Progress, wait: Wait, log: Log) -> EncryptionJob:
        client = self._runtime.client
        errors: dict[str, AwsError] = {}

        def backoff() -> Backoff:
            return Backoff(self._runtime.uniform)

        stack = BestEffort("the stack", wait, backoff(), log, errors)
        key = DesiredKey(
            request.key_id,
            Place.of(request.stream_arn),
            Kms(lambda: client("kms")),
            BestEffort("the key", wait, backoff(), log, errors),
        )
        return EncryptionJob(
            stream=Stream(client("kinesis"), request.stream_arn),
            key=key,
            stale_reason=lambda: stack.attempt(
                lambda: stale_reason(
                    client("cloudformation"),
                    stack_id=request.stack_id,
                    logical_id=request.logical_id,
                    issued=request.issued,
                    dated=request.dated,
                    now=wait.clock.now(),
                )
            ),
            wait=wait,
            deadline=request.deadline,
            issued=request.issued,
            backoff=backoff,
            progress=progress,
            log=log,
            errors=errors,
        )


on_event = Handler(Runtime())

# Lambda gives a whole vCPU until the imports are done, and a seventh of one afterwards at 256 MB.
# If no client can be created here, the first call reports why.
with suppress(BotoCoreError):
    aws_client("kinesis")
