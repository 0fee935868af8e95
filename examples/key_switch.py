"""Switch a stream to another key, with automatic rollback if its records stop.

With `cdk deploy --app "python3 examples/key_switch.py"` and:

    (nothing)                        encrypts the stream with the first key
    -c previous=second               lets the consumer decrypt with the second key, too
    -c key=second -c previous=first  switches the stream to the second key
    -c key=second                    removes access to the first key, one retention period later

The outputs are the ARNs of the alarms that roll back the third deployment. docs/key-switch.md shows
how to pass them to CloudFormation.
"""

from __future__ import annotations

from aws_cdk import App, CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption

STREAM = "orders"


class KeySwitch(Stack):
    """Two keys, one of them in use, a producer, a consumer, and alarms on both."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        keys = {
            name: kms.Key(self, name.capitalize(), enable_key_rotation=True)
            for name in ("first", "second")
        }
        arn = self.format_arn(service="kinesis", resource="stream", resource_name=STREAM)
        previous = self.node.try_get_context("previous")
        encryption = KinesisStreamEncryption(
            self,
            "Encryption",
            stream=kinesis.Stream.from_stream_arn(self, "Stream", arn),
            encryption_key=keys[self.node.try_get_context("key") or "first"],
            previous_keys=[keys[previous]] if previous else [],
        )
        encryption.grant_write(self._role("Producer"))
        encryption.grant_read(self._role("Consumer"))
        minute = Duration.minutes(1)
        self._alarm(
            "NoIncomingRecords",
            encryption.metric_incoming_records(statistic="Sum", period=minute),
            cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            threshold=1,
        )
        self._alarm(
            "IteratorAge",
            encryption.metric_get_records_iterator_age_milliseconds(period=minute),
            cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=Duration.minutes(5).to_milliseconds(),
        )

    def _role(self, id: str) -> iam.Role:
        return iam.Role(self, id, assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))

    def _alarm(
        self,
        id: str,
        metric: cloudwatch.Metric,
        operator: cloudwatch.ComparisonOperator,
        *,
        threshold: float,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id,
            metric=metric,
            comparison_operator=operator,
            threshold=threshold,
            evaluation_periods=5,
            # Requests without permission on the key emit no data.
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        CfnOutput(self, f"{id}Arn", value=alarm.alarm_arn)


app = App()
KeySwitch(app, "KeySwitch")
app.synth()
