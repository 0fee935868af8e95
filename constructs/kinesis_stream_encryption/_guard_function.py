"""A function of the guard, with the queue from which it receives."""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from kinesis_stream_encryption._asset import handler_code
from kinesis_stream_encryption._function import FunctionOptions, HandlerFunction
from kinesis_stream_encryption._guarded import GuardedStreams

__all__ = ["GuardFunction"]

_HANDLER = "stream_encryption.guard.handler.on_event"
_REMEDY = "select the streams by prefix or tag, or give some of them a guard of their own"
# The function itself gives up after an hour: this is for messages on which it crashes.
_MAX_RECEIVES = 100


class GuardFunction(HandlerFunction):
    """A function with the guard's code; ``queue`` exists once :meth:`add_queue` was called."""

    queue: sqs.Queue

    def __init__(
        self, scope: Construct, options: FunctionOptions, description: str, timeout: Duration
    ) -> None:
        code: Any = {"handler": _HANDLER, "code": handler_code(guard=True)}
        super().__init__(scope, options, description, timeout, _REMEDY, **code)
        _check_log_class(self.log_group)

    def add_queue(
        self, dead_letter_queue: sqs.Queue, visibility_timeout: Duration, key: kms.IKey | None
    ) -> None:
        """Create the queue."""
        self.queue = sqs.Queue(
            self.permissions.scope,
            "Queue",
            enforce_ssl=True,
            visibility_timeout=visibility_timeout,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=dead_letter_queue, max_receive_count=_MAX_RECEIVES
            ),
            encryption_master_key=key,
        )

    def allow_streams(self, streams: GuardedStreams, *actions: str, **condition: Any) -> None:
        """Allow actions on the guarded streams."""
        for name in streams.names:
            # A statement each: a policy that grows too large is split between statements.
            arn = Stack.of(self.function).format_arn(
                service="kinesis", resource="stream", resource_name=name
            )
            self.permissions.add(*actions, on=[arn], **condition)

    def configure(self, settings: dict[str, Any]) -> None:
        """Pass settings to the function."""
        text = Stack.of(self.function).to_json_string({"queue": self.queue.queue_url, **settings})
        self.function.add_environment("GUARD", text)

    def connect(self) -> None:
        """Have Lambda invoke the function with the messages of its queue."""
        source = sources.SqsEventSource(
            self.queue, batch_size=1, max_concurrency=2, report_batch_item_failures=True
        )
        self.function.add_event_source(source)


def _check_log_class(log_group: logs.ILogGroup) -> None:
    """Reject a log group whose class has no metrics ("Log classes", CloudWatch Logs User Guide)."""
    found = getattr(log_group.node.default_child, "log_group_class", None)
    if found not in {None, "STANDARD"}:
        raise ValueError(
            f"the log group {log_group.node.path!r} has the class {found!r}, from which CloudWatch "
            "extracts no metrics, so the alarms would not work: pass one of the class STANDARD"
        )
