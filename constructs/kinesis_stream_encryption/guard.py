"""The guard: reports streams that are not encrypted with the key that they are to have."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any, Unpack, cast

from aws_cdk import Annotations, Aws, CfnElement, Duration, IResource, RemovalPolicy, Stack, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from kinesis_stream_encryption._arguments import check_argument
from kinesis_stream_encryption._final_template import check_final_template
from kinesis_stream_encryption._function import FunctionOptions
from kinesis_stream_encryption._guard_function import GuardFunction
from kinesis_stream_encryption._guarded import GuardedStreams, check_tag
from kinesis_stream_encryption._keys import (
    StreamKey,
    key_of_alias,
    require_retained_keys,
    stream_key,
)
from kinesis_stream_encryption._remediation import Remediation, remediation_key
from kinesis_stream_encryption._service_keys import check_alarm_topics, check_event_queues
from kinesis_stream_encryption._tokens import resolved_or_none, stack_lineage

__all__ = ["StreamEncryptionGuard"]

_DESCRIPTION = "Reports Kinesis data streams that are not encrypted with the desired key"
_NAMESPACE = "StreamEncryptionGuard"
_METRICS = ("NoncompliantStreams", "Streams", "Checks", "Failures", "DeadLetters", "Remediations")
_AGE_ALARMS = ("AgeAlarm", "RemediationAgeAlarm")

_CHANGES = ["CreateStream", "DeleteStream", "StartStreamEncryption", "StopStreamEncryption"]
_TAG_CHANGES = ["AddTagsToStream", "RemoveTagsFromStream", "TagResource", "UntagResource"]
_DEPLOYED = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"]

# A scan of 4,500 streams takes a quarter of an hour. Two intervals have to fit the seven days that
# CloudWatch evaluates at most ("PutMetricAlarm", CloudWatch API Reference).
_SHORTEST, _LONGEST = Duration.minutes(15), Duration.days(3)
_TIMEOUT = Duration.seconds(90)
# After a crash a message is received again after it. Lambda requires at least the timeout.
_VISIBILITY = Duration.seconds(120)
_REMEDIATES = "Restores encryption of Kinesis data streams that was stopped"
_REMEDIATION_TIMEOUT, _REMEDIATION_VISIBILITY = Duration.minutes(5), Duration.minutes(6)


class StreamEncryptionGuard(Construct):
    """Reports a stream that is unencrypted or has another key, and who changed it.

    A call of StopStreamEncryption is reported immediately, other drift once it has lasted ten
    minutes, in which a deployment may encrypt what it has created. The guard has no permission to
    change a stream without ``remediation``. It checks a stream when CloudTrail logs a call that
    may have changed it, which requires a trail that logs management events; and all streams after
    each deployment of its stack and every ``check_interval``.

    Parameters
    ----------
    scope
        Parent construct.
    id
        Id within the parent.
    streams
        Which streams: ``GuardedStreams.named("orders")``, ``.prefixed("prod-")``,
        ``.tagged("data-class", "pii")``, or ``.all()``.
    encryption_key
        Key or alias that the streams are to have. Default: every KMS key is compliant.
    exempt_tag_key
        Key of a tag that exempts a stream, whatever its value. Default: no stream is exempt.
    check_interval
        Time between two scans of all streams: 15 minutes to 3 days, in whole minutes. It has to be
        longer than a scan takes, an hour for 17,000 streams. Default: 6 hours.
    notification_topic
        Standard topic of the guard's Region. Default: findings are in table and metrics only.
    remediation
        Limits within which encryption that was stopped is restored with ``encryption_key``, which
        must be known by ARN. A second function does it, with the same ``options``, except ``role``:
        it always gets a role of its own. Default: streams are not changed.
    queue_encryption_key
        Customer managed key of the guard's queues. EventBridge must be allowed to use it: the
        policy of a ``kms.Key`` of the app is extended. Default: the queues' own encryption
        (SSE-SQS).
    table_encryption_key
        Customer managed key of the guard's table. Default: a key that AWS owns.
    options
        Options of the function, as keyword arguments: :class:`FunctionOptions`. Default: as there.

    Raises
    ------
    TypeError
        If an argument is of another type.
    ValueError
        If a value is out of bounds, a key cannot be used for its purpose, the key of the selecting
        tag is a token with ``remediation``, or the class of the log group is not Standard. A stream
        or a topic in another Region is an error annotation.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        streams: GuardedStreams,
        encryption_key: kms.IKey | None = None,
        exempt_tag_key: str | None = None,
        check_interval: Duration | None = None,
        notification_topic: sns.ITopic | None = None,
        remediation: Remediation | None = None,
        queue_encryption_key: kms.IKey | None = None,
        table_encryption_key: kms.IKey | None = None,
        **options: Unpack[FunctionOptions],
    ) -> None:
        super().__init__(scope, id)
        _check_types(streams, notification_topic, remediation, queue_encryption_key)
        if queue_encryption_key is not None:
            queue_encryption_key = key_of_alias(queue_encryption_key)
        check_interval = check_interval or Duration.hours(6)
        _check_interval(check_interval)
        if exempt_tag_key is not None:
            check_tag(exempt_tag_key)
        stack, self._streams, self._check_interval = Stack.of(self), streams, check_interval
        for stream in streams.streams:
            _check_environment(self, stream, "region", "account")
        reads_tags = exempt_tag_key is not None or "tag" in streams.settings
        self._tags = ["kinesis:ListTagsForStream"] if reads_tags else []
        self._any_key = stack.format_arn(service="kms", resource="key", resource_name="*")
        # The outermost stack, which is the last one to be idle.
        self._deployed = stack_lineage(stack)[-1].stack_id
        key = None if encryption_key is None else stream_key(stack, encryption_key)
        self._checks = GuardFunction(self, options, _DESCRIPTION, _TIMEOUT)
        self._dead_letter_queue = sqs.Queue(
            self,
            "DeadLetters",
            enforce_ssl=True,
            retention_period=Duration.days(14),
            encryption_master_key=queue_encryption_key,
        )
        self._table = dynamodb.TableV2(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="arn", type=dynamodb.AttributeType.STRING),
            time_to_live_attribute="expires",
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._checks.add_queue(self._dead_letter_queue, _VISIBILITY, queue_encryption_key)
        self._functions = [self._checks]
        settings = {
            "dead_letter_queue": self._dead_letter_queue.queue_url,
            "table": self._table.table_name,
            "stack": self._deployed,
            "topic": notification_topic and notification_topic.topic_arn,
            "key": key and key.key_id,
            "exempt_tag_key": exempt_tag_key,
            **streams.settings,
        }
        self._allow_checks(key)
        if remediation is not None:
            arn, own = remediation_key(key), FunctionOptions(**{**options, "role": None})
            require_retained_keys(self, cast(StreamKey, key))
            remediates = self._add_remediation(arn, own, queue_encryption_key)
            remediates.configure(settings | {"limits": self._limits(remediation, arn)})
            self._functions.append(remediates)
            settings["remediation_queue"] = remediates.queue.queue_url
        self._checks.configure(settings)
        if queue_encryption_key is not None:
            self._allow_queue_key(queue_encryption_key)
        if table_encryption_key is not None:
            self._encrypt_table(table_encryption_key)
        if notification_topic is not None:
            self._allow_topic(notification_topic)
        for each in self._functions:
            each.connect()
        self._check_functions(notification_topic)
        self._add_rules()

    @property
    def function(self) -> lambda_.Function:
        """The function that checks and reports."""
        return self._checks.function

    @property
    def queue(self) -> sqs.Queue:
        """The queue of checks; the message ``{"scan": {}}`` starts a scan."""
        return self._checks.queue

    @property
    def dead_letter_queue(self) -> sqs.Queue:
        """The queue of messages that were given up, with the reason as a message attribute."""
        return self._dead_letter_queue

    @property
    def table(self) -> dynamodb.TableV2:
        """The table of streams, by ARN; its grants do not include ``table_encryption_key``."""
        return self._table

    @property
    def remediation_function(self) -> lambda_.Function | None:
        """The function that restores encryption; None without ``remediation``."""
        return self._functions[1].function if self._functions[1:] else None

    @property
    def remediation_queue(self) -> sqs.Queue | None:
        """The queue of remediations; None without ``remediation``.

        ``{"release": {"stream": "orders"}}`` has the guard forget its changes of a stream, and
        ``{"release": {}}`` closes the circuit breaker.
        """
        return self._functions[1].queue if self._functions[1:] else None

    def metric(
        self, metric_name: str, state: str | None = None, **options: Any
    ) -> cloudwatch.Metric:
        """Metric of the guard.

        Parameters
        ----------
        metric_name
            ``NoncompliantStreams`` (confirmed, after each change and each scan), ``Streams`` (by
            state, after each scan), ``Checks`` (of one stream), ``Failures`` (of calls, which are
            retried), ``DeadLetters`` (messages that were given up), or ``Remediations`` (by
            outcome; the others do not count what the remediation function does).
        state
            Of ``Streams``: ``compliant``, ``unencrypted``, ``other key``, ``unknown``, ``exempt``,
            or ``deleted``. Of ``Remediations``: ``restored``, ``failed``, ``unconfirmed``,
            ``yielded``, or ``circuit breaker opened``. Default: none.
        options
            Options of :class:`aws_cdk.aws_cloudwatch.MetricOptions`, for example ``period``.
            Default: the maximum of the numbers of streams, the sum of the others, in five minutes.

        Raises
        ------
        ValueError
            If the guard has no such metric.
        """
        names = _METRICS if self._functions[1:] else _METRICS[:-1]
        if metric_name not in names:
            raise ValueError(f"the guard has no metric {metric_name!r}: use {', '.join(names)}")
        made, dimension = self._checks, "State"
        if metric_name == "Remediations":
            made, dimension = self._functions[-1], "Outcome"
        dimensions = {"FunctionName": made.function.function_name}
        defaults = {
            "statistic": "Maximum" if metric_name.endswith("Streams") else "Sum",
            "dimensions_map": dimensions | ({dimension: state} if state else {}),
        }
        metric = cloudwatch.Metric(
            namespace=_NAMESPACE, metric_name=metric_name, **(defaults | options)
        )
        return metric.attach_to(self)

    def alarms(self, *actions: cloudwatch.IAlarmAction) -> list[cloudwatch.Alarm]:
        """Create four alarms, five with ``remediation``; call it once.

        ``DriftAlarm``: a stream is noncompliant. ``ScanAlarm``: no scan was completed within two
        intervals, as before the first scan of a new guard. ``DeadLettersAlarm``: a message was
        given up. ``AgeAlarm`` and ``RemediationAgeAlarm``: a message in the queue of checks, or of
        remediations, is older than two hours.

        Parameters
        ----------
        actions
            What each of them does when it goes into ALARM, for example
            ``aws_cloudwatch_actions.SnsAction(topic)``. Default: nothing. Synthesis fails if the
            key of the topic is known and CloudWatch cannot use it.
        """
        missing = cloudwatch.TreatMissingData
        drift = self.metric("NoncompliantStreams", period=Duration.minutes(1))
        dead = self._dead_letter_queue.metric_approximate_number_of_messages_visible()
        # Only a completed scan emits this metric, whatever its value.
        hour = Duration.hours(1)
        scans = self.metric("Streams", "compliant", statistic="SampleCount", period=hour)
        no_scan = {
            "comparison_operator": cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            "evaluation_periods": ceil(2 * self._check_interval.to_minutes() / 60) + 1,
            "treat_missing_data": missing.BREACHING,
        }
        defaults: dict[str, Any] = {
            "evaluation_periods": 1,
            "treat_missing_data": missing.NOT_BREACHING,
        }
        ages: list[tuple[str, cloudwatch.Metric, int, dict[str, Any]]] = [
            (name, each.queue.metric_approximate_age_of_oldest_message(), 2 * 3600, {})
            for name, each in zip(_AGE_ALARMS, self._functions, strict=False)
        ]
        rows = [
            ("DriftAlarm", drift, 1, {"treat_missing_data": missing.IGNORE}),
            ("DeadLettersAlarm", dead, 1, {}),
            *ages,
            ("ScanAlarm", scans, 1, no_scan),
        ]
        alarms = []
        for name, metric, threshold, options in rows:
            alarm = metric.create_alarm(self, name, threshold=threshold, **(defaults | options))
            alarm.add_alarm_action(*actions)
            alarms.append(alarm)
        elements = [cast(CfnElement, each.node.default_child) for each in alarms]
        check_final_template(self, partial(check_alarm_topics, elements))
        return alarms

    def _add_remediation(
        self, key: str, options: FunctionOptions, queue_key: kms.IKey | None
    ) -> GuardFunction:
        """Create the only function that changes streams."""
        scope = Construct(self, "Remediation")
        made = GuardFunction(scope, options, _REMEDIATES, _REMEDIATION_TIMEOUT)
        made.add_queue(self._dead_letter_queue, _REMEDIATION_VISIBILITY, queue_key)
        self._checks.permissions.add("sqs:SendMessage", on=[made.queue.queue_arn])
        self._allow_own(made)
        tag = self._streams.settings.get("tag")
        if tag and Token.is_unresolved(tag[0]):
            raise ValueError(
                "the key of the selecting tag is known only at deployment, and with remediation it "
                "is part of a condition in a policy: pass the key as text"
            )
        actions = ("kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption", *self._tags)
        condition = tag and {f"aws:ResourceTag/{tag[0]}": tag[1]}
        made.allow_streams(self._streams, *actions, condition=condition, operator="StringEquals")
        # The key, too, is a resource of the call ("Actions, resources, and condition keys for
        # Amazon Kinesis Data Streams", Service Authorization Reference).
        made.permissions.add("kinesis:StartStreamEncryption", "kms:DescribeKey", on=[key])
        return made

    def _limits(self, remediation: Remediation, key: str) -> dict[str, Any]:
        return {
            "key": key,
            "check_queue": self.queue.queue_url,
            "max_changes_per_stream": remediation.max_changes_per_stream,
            "max_streams_per_hour": remediation.max_streams_per_hour,
            # Scans are not punctual.
            "known_good_for": max(24 * 60, self._check_interval.to_minutes() + 60) * 60,
        }

    def _allow_own(self, made: GuardFunction, *table_actions: str) -> None:
        """Allow what both functions need of the guard's own resources."""
        add = made.permissions.add
        add("cloudformation:DescribeStacks", on=[self._deployed])
        # Remediation sends checks to the first queue, and copies of its messages to its own.
        queues = dict.fromkeys((self.queue, self._dead_letter_queue, made.queue))
        add("sqs:SendMessage", on=[each.queue_arn for each in queues])
        receive = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        add(*receive, "sqs:ChangeMessageVisibility", on=[made.queue.queue_arn])
        add("dynamodb:GetItem", "dynamodb:PutItem", *table_actions, on=[self._table.table_arn])

    def _allow_checks(self, key: StreamKey | None) -> None:
        self._allow_own(self._checks, "dynamodb:Scan")
        self._checks.allow_streams(self._streams, "kinesis:DescribeStreamSummary", *self._tags)
        add = self._checks.permissions.add
        if not {"names", "tag"} & self._streams.settings.keys():
            # It lists the streams of the Region: there is no resource to name.
            add("kinesis:ListStreams", on=["*"])
        if self._tags:
            # It searches the Region: there is no resource to name.
            add("tag:GetResources", on=["*"])
        if key is not None:
            # A stream may have any alias, and only KMS can resolve it. KMS authorizes by key ("Use
            # aliases to control access to KMS keys", KMS Developer Guide).
            add("kms:DescribeKey", on=[self._any_key, *([key.arn] if key.arn else [])])

    def _allow_key(self, key: kms.IKey | None, *actions: str) -> StreamKey | None:
        """Allow the use of a key, unless AWS manages it and its policy allows all principals."""
        if key is None or str(getattr(key, "alias_name", "")).startswith("alias/aws/"):
            return None
        used = stream_key(Stack.of(self), key)
        condition = used.alias and {"kms:ResourceAliases": used.alias}
        resources = [used.arn or self._any_key]
        for each in self._functions:
            each.permissions.add("kms:Decrypt", *actions, on=resources, condition=condition)
        return used

    def _allow_queue_key(self, key: kms.IKey) -> None:
        used = self._allow_key(key, "kms:GenerateDataKey")
        if used is None:
            raise ValueError(
                "queue_encryption_key is an AWS managed key, which EventBridge is not allowed to "
                "use: pass a customer managed key"
            )
        if used.owned is None or used.is_in_other_stack(Stack.of(self)):
            Annotations.of(self).acknowledge_warning(
                "cdk-kinesis-stream-encryption:queueKey", "the key policy is in another template"
            )
        if used.owned is None:
            self._inform(
                "queueKeyPolicy",
                "the policy of the queues' key is not changed, as the key is imported: it must "
                "allow kms:Decrypt and kms:GenerateDataKey for events.amazonaws.com",
            )

    def _encrypt_table(self, key: kms.IKey) -> None:
        write = ("kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*")
        self._allow_key(key, "kms:DescribeKey", *write)
        # TableV2 itself takes a key only in a stack whose Region is known at synth.
        table = cast(dynamodb.CfnGlobalTable, self._table.node.default_child)
        table.add_property_override("SSESpecification", {"SSEEnabled": True, "SSEType": "KMS"})
        table.add_property_override("Replicas.0.SSESpecification.KMSMasterKeyId", key.key_arn)

    def _allow_topic(self, topic: sns.ITopic) -> None:
        if topic.fifo:
            raise ValueError(f"{topic.node.path!r} is a FIFO topic: pass a standard one")
        _check_environment(self, topic, "region")
        for each in self._functions:
            topic.grant_publish(each.function)
            # A role that cannot be changed gets none of it: the warning lists what is added here.
            each.permissions.add("sns:Publish", on=[topic.topic_arn])
        self._allow_key(getattr(topic, "master_key", None), "kms:GenerateDataKey*")
        if not isinstance(topic, sns.Topic):
            self._inform(
                "topicKeyPolicy",
                f"if the imported topic {topic.node.path!r} is encrypted with a customer managed "
                "key, the key policy must allow kms:Decrypt and kms:GenerateDataKey* for the role "
                + " and ".join(repr(each.permissions.role.node.path) for each in self._functions)
                + "; if it is in another account, the topic policy must allow sns:Publish for it",
            )

    def _check_functions(self, topic: sns.ITopic | None) -> None:
        element = topic and topic.node.default_child
        in_stack = isinstance(element, sns.CfnTopic) and element.stack is Stack.of(self)
        topics = [cast(CfnElement, element)] if in_stack else []
        sources = [cast(CfnElement, each.queue.node.default_child) for each in self._functions]
        dead = cast(CfnElement, self._dead_letter_queue.node.default_child)
        for each, source in zip(self._functions, sources, strict=True):
            each.check(source=source, queues=[*sources, dead], topics=topics)
        check_final_template(self, partial(check_event_queues, [sources[0], dead]))

    def _inform(self, id_: str, message: str) -> None:
        Annotations.of(self).add_info_v2(f"cdk-kinesis-stream-encryption:{id_}", message)

    def _add_rules(self) -> None:
        dead = self._dead_letter_queue
        check = targets.SqsQueue(self.queue, dead_letter_queue=dead)
        message = events.RuleTargetInput.from_object({"scan": {}})
        scan = targets.SqsQueue(self.queue, dead_letter_queue=dead, message=message)
        # Events of rejected calls have an error code: they changed nothing. Other accounts and
        # Regions may forward their events to this event bus.
        changes = events.EventPattern(
            account=[Aws.ACCOUNT_ID],
            region=[Aws.REGION],
            source=["aws.kinesis"],
            detail_type=["AWS API Call via CloudTrail"],
            detail={
                "eventSource": ["kinesis.amazonaws.com"],
                "eventName": [*_CHANGES, *(_TAG_CHANGES if self._tags else [])],
                "errorCode": [{"exists": False}],
            },
        )
        events.Rule(self, "Calls", event_pattern=changes, targets=[check])
        schedule = events.Schedule.rate(self._check_interval)
        events.Rule(self, "Schedule", schedule=schedule, targets=[scan])
        # "Stack Status Change event detail", CloudFormation User Guide. It requires no trail.
        deployments = events.EventPattern(
            source=["aws.cloudformation"],
            detail_type=["CloudFormation Stack Status Change"],
            detail={"stack-id": [self._deployed], "status-details": {"status": _DEPLOYED}},
        )
        events.Rule(self, "Deployments", event_pattern=deployments, targets=[scan])


def _check_types(streams: object, topic: object, remediation: object, queue_key: object) -> None:
    if not isinstance(streams, GuardedStreams):
        raise TypeError(f"streams is {streams!r}: pass for example GuardedStreams.all()")
    if queue_key is not None:
        check_argument("queue_encryption_key", queue_key, "key_arn", "an IKey")
    if topic is not None:
        remedy = "an ITopic, for example sns.Topic.from_topic_arn(scope, id, arn)"
        check_argument("notification_topic", topic, "topic_arn", remedy)
    if remediation is not None:
        remedy = "its limits, for example Remediation(max_changes_per_stream=3)"
        check_argument("remediation", remediation, "max_changes_per_stream", remedy)


def _check_interval(check_interval: Duration) -> None:
    remedy = "a Duration, as Duration.hours(6)"
    check_argument("check_interval", check_interval, "is_unresolved", remedy)
    if check_interval.is_unresolved():
        raise ValueError("check_interval is known only at deployment: pass a fixed Duration")
    seconds = check_interval.to_milliseconds() / 1000
    if seconds % 60 or not _SHORTEST.to_seconds() <= seconds <= _LONGEST.to_seconds():
        raise ValueError(
            f"check_interval {check_interval.to_human_string()} is out of bounds: it must be whole "
            f"minutes between {_SHORTEST.to_human_string()} and {_LONGEST.to_human_string()}"
        )


def _check_environment(scope: Construct, resource: IResource, *properties: str) -> None:
    """Report a resource that the guard cannot reach.

    As an error annotation: an exception would stop the first pass of a context lookup.
    """
    for name in properties:
        own, other = (
            resolved_or_none(getattr(Stack.of(scope), name)),
            resolved_or_none(getattr(resource.env, name)),
        )
        if own is not None and other is not None and own != other:
            Annotations.of(scope).add_error(
                f"{resource.node.path!r} is in {name} {other!r}, and the guard in {own!r}: pass a "
                f"resource in the {name} of the guard"
            )
