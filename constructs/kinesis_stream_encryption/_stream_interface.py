"""Members of ``kinesis.IStream`` that do not depend on the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from constructs import IConstruct

if TYPE_CHECKING:
    # Missing in the oldest supported release of aws-cdk-lib.
    from aws_cdk.interfaces import ResourceEnvironment
    from aws_cdk.interfaces.aws_kinesis import StreamReference

__all__ = ["StreamInterface"]


def _metric(name: str) -> Callable[..., cloudwatch.Metric]:
    def metric(self: StreamInterface, *args: object, **options: object) -> cloudwatch.Metric:
        metric: cloudwatch.Metric = getattr(self.stream, name)(*args, **options)
        return metric

    metric.__doc__ = getattr(kinesis.IStream, name).__doc__
    return metric


class StreamInterface:
    """Forwards members of ``kinesis.IStream`` to the encrypted stream.

    jsii exposes only members that a class defines, so each one is listed.
    """

    _stream: kinesis.IStream

    @property
    def stream(self) -> kinesis.IStream:
        """The stream that was passed in. Its grant methods do not cover the key."""
        return self._stream

    @property
    def stream_arn(self) -> str:
        """ARN of the stream."""
        return self._stream.stream_arn

    @property
    def stream_name(self) -> str:
        """Name of the stream."""
        return self._stream.stream_name

    @property
    def stream_ref(self) -> StreamReference:
        """Reference to the stream, in releases of aws-cdk-lib that support it."""
        return self._stream.stream_ref

    @property
    def env(self) -> ResourceEnvironment:
        """Account and Region of the stream."""
        return self._stream.env

    @property
    def stack(self) -> Stack:
        """The stack of the custom resource."""
        return Stack.of(cast(IConstruct, self))

    def add_to_resource_policy(
        self, statement: iam.PolicyStatement
    ) -> iam.AddToResourcePolicyResult:
        """Add a statement to the resource policy of the stream; no effect on an imported stream.

        Parameters
        ----------
        statement
            Statement of the resource policy.
        """
        return self._stream.add_to_resource_policy(statement)

    def apply_removal_policy(self, policy: RemovalPolicy) -> None:
        """Apply a removal policy to the stream; an imported stream raises an error.

        Parameters
        ----------
        policy
            Removal policy.
        """
        self._stream.apply_removal_policy(policy)

    metric = _metric("metric")
    metric_get_records = _metric("metric_get_records")
    metric_get_records_bytes = _metric("metric_get_records_bytes")
    metric_get_records_iterator_age_milliseconds = _metric(
        "metric_get_records_iterator_age_milliseconds"
    )
    metric_get_records_latency = _metric("metric_get_records_latency")
    metric_get_records_success = _metric("metric_get_records_success")
    metric_incoming_bytes = _metric("metric_incoming_bytes")
    metric_incoming_records = _metric("metric_incoming_records")
    metric_put_record_bytes = _metric("metric_put_record_bytes")
    metric_put_record_latency = _metric("metric_put_record_latency")
    metric_put_record_success = _metric("metric_put_record_success")
    metric_put_records_bytes = _metric("metric_put_records_bytes")
    metric_put_records_failed_records = _metric("metric_put_records_failed_records")
    metric_put_records_latency = _metric("metric_put_records_latency")
    metric_put_records_success = _metric("metric_put_records_success")
    metric_put_records_successful_records = _metric("metric_put_records_successful_records")
    metric_put_records_throttled_records = _metric("metric_put_records_throttled_records")
    metric_put_records_total_records = _metric("metric_put_records_total_records")
    metric_read_provisioned_throughput_exceeded = _metric(
        "metric_read_provisioned_throughput_exceeded"
    )
    metric_write_provisioned_throughput_exceeded = _metric(
        "metric_write_provisioned_throughput_exceeded"
    )
