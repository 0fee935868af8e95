"""The guard: tells when a stream has not, or no longer, the key that it is to have."""

from __future__ import annotations

from math import ceil
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from kinesis_stream_encryption._asset import handler_code
from kinesis_stream_encryption._guarded import GuardedStreams, check_tag
from kinesis_stream_encryption._keys import StreamKey, stream_key
from kinesis_stream_encryption._rights import FunctionRights
from kinesis_stream_encryption._tokens import known

__all__ = ["StreamEncryptionGuard"]

_HANDLER = "stream_encryption.guard.handler.on_event"
_DESCRIPTION = "Tells when a Kinesis data stream is not encrypted as it is to be"
_NAMESPACE = "StreamEncryptionGuard"
# By name, as older releases of aws-cdk-lib do not list it.
_RUNTIME = lambda_.Runtime("python3.14", lambda_.RuntimeFamily.PYTHON)

_CHANGES = ["CreateStream", "DeleteStream", "StartStreamEncryption", "StopStreamEncryption"]
_TAG_CHANGES = ["AddTagsToStream", "RemoveTagsFromStream", "TagResource", "UntagResource"]

# A sweep of 4,500 streams takes a quarter of an hour.
# Two intervals have to fit the seven days that CloudWatch evaluates at most ("PutMetricAlarm",
# CloudWatch API Reference).
_SHORTEST, _LONGEST = Duration.minutes(15), Duration.days(3)
_TIMEOUT = Duration.seconds(90)
# A message that a crash left behind comes back after it. Lambda wants no less than the timeout.
_VISIBILITY = Duration.seconds(120)
_REMEDY = "choose the streams by prefix or tag, or give some of them a guard of their own"
# The function itself gives up after an hour: this is for messages that it crashes on.
_MOST_RECEIVES = 100


class StreamEncryptionGuard(Construct):
    """Tells that a stream has not the key that it is to have, and who did it.

    Of a stop it tells at once, of the rest when it has lasted ten minutes, in which a deployment
    may encrypt what it has made. It has no right to change a stream. It looks when CloudTrail tells
    of a call that may have changed one, which needs a trail that logs management events, and at
    all streams every ``check_every``.

    Parameters
    ----------
    scope
        Parent construct.
    id
        Id within the parent.
    streams
        Which streams: ``GuardedStreams.named("orders")``, ``.prefixed("prod-")``,
        ``.tagged("data-class", "pii")`` or ``.all()``.
    encryption_key
        Key or alias that they are to have. Default: any KMS key will do.
    exempt_tag
        Key of a tag that exempts a stream, whatever its value. Default: none is exempt.
    check_every
        How often all streams are looked at: 15 minutes to 3 days, in whole minutes. It has to be
        longer than a sweep takes, an hour for 17,000 streams. Default: 6 hours. The first sweep is
        that long after the deployment.
    notify
        Topic that people are told by: a standard topic of the guard's region. Default: the table
        and the metrics alone tell.

    Raises
    ------
    ValueError
        If a value is out of bounds, or Kinesis cannot use the key.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        streams: GuardedStreams,
        encryption_key: kms.IKey | None = None,
        exempt_tag: str | None = None,
        check_every: Duration = Duration.hours(6),  # noqa: B008 - immutable
        notify: sns.ITopic | None = None,
    ) -> None:
        super().__init__(scope, id)
        _check_interval(check_every)
        self._check_interval = check_every
        if exempt_tag is not None:
            check_tag(exempt_tag)
        stack, rights = Stack.of(self), FunctionRights(self, None, _DESCRIPTION, remedy=_REMEDY)
        _check_topic(stack, notify)
        deployed = _deployed_with(stack)
        key = None if encryption_key is None else stream_key(stack, encryption_key)
        tags = exempt_tag is not None or "tag" in streams.settings
        self._dead_letter_queue = sqs.Queue(
            self, "DeadLetters", enforce_ssl=True, retention_period=Duration.days(14)
        )
        self._queue = sqs.Queue(
            self,
            "Queue",
            enforce_ssl=True,
            visibility_timeout=_VISIBILITY,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self._dead_letter_queue, max_receive_count=_MOST_RECEIVES
            ),
        )
        self._table = dynamodb.TableV2(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="arn", type=dynamodb.AttributeType.STRING),
            time_to_live_attribute="expires",
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._log_group = logs.LogGroup(
            self,
            "LogGroup",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        settings = {
            "queue": self._queue.queue_url,
            "dead_letter_queue": self._dead_letter_queue.queue_url,
            "table": self._table.table_name,
            "stack": deployed,
            "topic": notify and notify.topic_arn,
            "key": key and key.key_id,
            "exempt_tag_key": exempt_tag,
            **streams.settings,
        }
        self._allow(rights, streams, deployed, key, tags=tags)
        self._function = lambda_.Function(
            self,
            "Function",
            description=_DESCRIPTION,
            runtime=_RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            handler=_HANDLER,
            code=handler_code(),
            timeout=_TIMEOUT,
            memory_size=256,
            environment={"GUARD": stack.to_json_string(settings)},
            role=rights.role,
            log_group=self._log_group,
        )
        if notify is not None:
            notify.grant_publish(self._function)
        self._function.add_event_source(
            sources.SqsEventSource(
                self._queue, batch_size=1, max_concurrency=2, report_batch_item_failures=True
            )
        )
        self._rules(check_every, [*_CHANGES, *(_TAG_CHANGES if tags else [])])

    @property
    def function(self) -> lambda_.Function:
        """The function that looks and tells."""
        return self._function

    @property
    def queue(self) -> sqs.Queue:
        """The queue of what is to be looked at; the message ``{"scan": {}}`` begins a scan."""
        return self._queue

    @property
    def dead_letter_queue(self) -> sqs.Queue:
        """The queue of messages that could not be handled; those given up have a reason."""
        return self._dead_letter_queue

    @property
    def table(self) -> dynamodb.TableV2:
        """The table of streams, by ARN."""
        return self._table

    def metric(
        self, metric_name: str, state: str | None = None, **options: Any
    ) -> cloudwatch.Metric:
        """Metric of the guard.

        Parameters
        ----------
        metric_name
            ``NoncompliantStreams`` (confirmed, after each change and each scan), ``Streams`` (by
            state, after each scan), ``Checks`` (of one stream), ``Failures`` (of calls, which are
            retried), or ``DeadLetters`` (messages that were given up).
        state
            Of ``Streams``: ``compliant``, ``unencrypted``, ``other key``, ``unknown``, ``exempt``,
            or ``deleted``. Default: none.
        options
            Options of :class:`aws_cdk.aws_cloudwatch.MetricOptions`, for example ``period``.
            Default: the maximum of the numbers of streams, the sum of the others, in five minutes.
        """
        dimensions = {"FunctionName": self._function.function_name}
        defaults = {
            "statistic": "Maximum" if metric_name.endswith("Streams") else "Sum",
            "dimensions_map": dimensions | ({"State": state} if state else {}),
        }
        metric = cloudwatch.Metric(
            namespace=_NAMESPACE, metric_name=metric_name, **(defaults | options)
        )
        return metric.attach_to(self)

    def alarms(self, *actions: cloudwatch.IAlarmAction) -> list[cloudwatch.Alarm]:
        """Create four alarms; call it once.

        ``DriftAlarm``: a stream is noncompliant. ``ScanAlarm``: no scan has been completed for two
        intervals, nor the first one of a new guard. ``DeadLettersAlarm``: a message was given up.
        ``AgeAlarm``: a message is older than two hours.

        Parameters
        ----------
        actions
            What each of them does when it goes into ALARM, for example
            ``aws_cloudwatch_actions.SnsAction(topic)``. Default: nothing.
        """
        missing = cloudwatch.TreatMissingData
        drift = self.metric("NoncompliantStreams", period=Duration.minutes(1))
        dead = self._dead_letter_queue.metric_approximate_number_of_messages_visible()
        age = self._queue.metric_approximate_age_of_oldest_message()
        alarms = [
            metric.create_alarm(
                self, name, threshold=threshold, evaluation_periods=1, treat_missing_data=treatment
            )
            for name, metric, threshold, treatment in (
                ("DriftAlarm", drift, 1, missing.IGNORE),
                ("DeadLettersAlarm", dead, 1, missing.NOT_BREACHING),
                ("AgeAlarm", age, 2 * 3600, missing.NOT_BREACHING),
            )
        ]
        # Only a completed scan emits this metric, whatever its value.
        hour = Duration.hours(1)
        scans = self.metric("Streams", "compliant", statistic="SampleCount", period=hour)
        scan_alarm = scans.create_alarm(
            self,
            "ScanAlarm",
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=ceil(2 * self._check_interval.to_minutes() / 60) + 1,
            treat_missing_data=missing.BREACHING,
        )
        alarms.append(scan_alarm)
        for alarm in alarms:
            alarm.add_alarm_action(*actions)
        return alarms

    def _allow(
        self,
        rights: FunctionRights,
        streams: GuardedStreams,
        deployed: str,
        key: StreamKey | None,
        *,
        tags: bool,
    ) -> None:
        stack, add = Stack.of(self), rights.add
        add("logs:CreateLogStream", "logs:PutLogEvents", on=[self._log_group.log_group_arn])
        add("cloudformation:DescribeStacks", on=[deployed])
        add("sqs:SendMessage", on=[self._queue.queue_arn, self._dead_letter_queue.queue_arn])
        add("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan", on=[self._table.table_arn])
        looks = ["kinesis:DescribeStreamSummary", *(["kinesis:ListTagsForStream"] if tags else [])]
        for name in streams.names:
            # A statement each: a policy that grows too large is split between statements.
            arn = stack.format_arn(service="kinesis", resource="stream", resource_name=name)
            add(*looks, on=[arn])
        if not {"names", "tag"} & streams.settings.keys():
            # It lists the streams of region and account: there is no resource to name.
            add("kinesis:ListStreams", on=["*"])
        if tags:
            # It searches region and account: there is no resource to name.
            add("tag:GetResources", on=["*"])
        if key is not None:
            # A stream may be found with any alias, and which key that means is known only to KMS,
            # which authorizes by key ("Use aliases to control access to KMS keys", KMS Developer
            # Guide).
            any_key = stack.format_arn(service="kms", resource="key", resource_name="*")
            add("kms:DescribeKey", on=[any_key, *([key.arn] if key.arn else [])])

    def _rules(self, check_every: Duration, calls: list[str]) -> None:
        # Events of calls that were refused have an error code, and have changed nothing.
        pattern = events.EventPattern(
            source=["aws.kinesis"],
            detail_type=["AWS API Call via CloudTrail"],
            detail={
                "eventSource": ["kinesis.amazonaws.com"],
                "eventName": calls,
                "errorCode": [{"exists": False}],
            },
        )
        undelivered = self._dead_letter_queue
        events.Rule(
            self,
            "Calls",
            event_pattern=pattern,
            targets=[targets.SqsQueue(self._queue, dead_letter_queue=undelivered)],
        )
        scan = events.RuleTargetInput.from_object({"scan": {}})
        events.Rule(
            self,
            "Schedule",
            schedule=events.Schedule.rate(check_every),
            targets=[targets.SqsQueue(self._queue, message=scan, dead_letter_queue=undelivered)],
        )


def _check_interval(check_every: Duration) -> None:
    if check_every.is_unresolved():
        raise ValueError("check_every is known only at deployment: pass a fixed Duration")
    seconds = check_every.to_milliseconds() / 1000
    if seconds % 60 or not _SHORTEST.to_seconds() <= seconds <= _LONGEST.to_seconds():
        raise ValueError(
            f"check_every {check_every.to_human_string()} is out of bounds: it must be whole "
            f"minutes between {_SHORTEST.to_human_string()} and {_LONGEST.to_human_string()}"
        )


def _check_topic(stack: Stack, topic: sns.ITopic | None) -> None:
    if topic is None:
        return
    if topic.fifo:
        raise ValueError(f"{topic.node.path!r} is a FIFO topic: pass a standard one")
    own, theirs = known(stack.region), known(topic.env.region)
    if own is not None and theirs is not None and own != theirs:
        raise ValueError(
            f"the topic {topic.node.path!r} is in region {theirs!r}, the guard in {own!r}: pass a "
            "topic of the guard's region, which is the only one that it can tell by"
        )


def _deployed_with(stack: Stack) -> str:
    """Id of the stack that is deployed: a nested one is at rest before the rest of it is."""
    while (parent := stack.nested_stack_parent) is not None:
        stack = parent
    return stack.stack_id
