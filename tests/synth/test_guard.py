"""The guard's template: what is made, what it may do, and what is refused at synth."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, NestedStack, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match, Template
from aws_cdk.aws_cloudwatch_actions import SnsAction

from kinesis_stream_encryption import GuardedStreams, StreamEncryptionGuard
from stream_encryption.guard import check, handler
from stream_encryption.guard.finding import State
from stream_encryption.guard.settings import Settings
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    allowing,
    as_list,
    dependencies,
    documents,
    errors,
    filled_in,
    guard,
    is_acyclic,
    only,
    properties,
    resources,
    statements,
    stream_arn,
    stream_in,
    warnings,
)
from tests.synth.test_authorization import problems_of
from tests.synth.test_findings import SOLUTIONS, findings

READS = {
    "cloudformation:DescribeStacks",
    "kinesis:DescribeStreamSummary",
    "kinesis:ListStreams",
    "kinesis:ListTagsForStream",
    "kms:DescribeKey",
    "tag:GetResources",
}
OF_ITS_OWN = {
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Scan",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sns:Publish",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
}
WILDCARDS = {
    ("kinesis:DescribeStreamSummary", stream_arn("*")): "every stream is guarded",
    ("kinesis:ListTagsForStream", stream_arn("*")): "every stream is guarded",
    ("kinesis:DescribeStreamSummary", stream_arn("prod-*")): "the prefix chooses",
    ("kinesis:ListTagsForStream", stream_arn("prod-*")): "the prefix chooses",
    ("kinesis:ListStreams", "*"): "it lists region and account",
    ("tag:GetResources", "*"): "it searches region and account",
    ("kms:DescribeKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"): "an alias may mean any key",
}
CHOICES = {
    "named": GuardedStreams.named("orders", "returns"),
    "prefixed": GuardedStreams.prefixed("prod-"),
    "tagged": GuardedStreams.tagged("data-class", "pii"),
    "all": GuardedStreams.all(),
}


def everything(stack: Stack, choice: str = "all") -> StreamEncryptionGuard:
    return guard(
        stack,
        streams=CHOICES[choice],
        encryption_key=kms.Key.from_key_arn(stack, "Key", KEY_ARN),
        exempt_tag_key="exempt",
        notification_topic=sns.Topic(stack, "Topic"),
    )


def settings(stack: Stack) -> Settings:
    """What the function reads of its environment."""
    return settings_of(properties(stack, "AWS::Lambda::Function"))


def settings_of(function: dict[str, Any]) -> Settings:
    """The settings in the properties of a function, with logical IDs without their hash."""

    def named(value: Any) -> Any:
        match value:
            case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
                return re.sub(r"[0-9A-F]{8}$", "", name)
            case {"Fn::Join": [separator, parts]}:
                return separator.join(map(named, parts))
        return value

    return Settings.parse(named(function["Environment"]["Variables"]["GUARD"]))


def part(stack: Stack, type_: str, name: str) -> dict[str, Any]:
    """Properties of one of the guard's rules or alarms."""
    found = resources(stack, type_).items()
    (properties,) = (each["Properties"] for id_, each in found if f"Guard{name}" in id_)
    return dict(properties)


def rule(stack: Stack, name: str) -> dict[str, Any]:
    return part(stack, "AWS::Events::Rule", name)


def alarm(stack: Stack, name: str) -> dict[str, Any]:
    return part(stack, "AWS::CloudWatch::Alarm", name)


def infos(stack: Stack) -> list[str]:
    found = Annotations.from_stack(stack).find_info("*", Match.any_value())
    texts = [str(each.entry.data) for each in found]
    return [each for each in texts if "[ack: cdk-kinesis-stream-encryption:" in each]


def test_function_has_all_settings(stack: Stack) -> None:
    everything(stack, "named")
    found = settings(stack)
    assert found == Settings(
        queue="GuardQueue",
        dead_letter_queue="GuardDeadLetters",
        table="GuardTable",
        stack="AWS::StackId",
        topic="Topic",
        key=KEY_ARN,
        names=["orders", "returns"],
        exempt_tag_key="exempt",
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("named", {"names": ["orders", "returns"]}),
        ("prefixed", {"prefix": "prod-"}),
        ("tagged", {"tag": ["data-class", "pii"]}),
        ("all", {}),
    ],
)
def test_choice_reaches_the_function(stack: Stack, choice: str, expected: dict[str, Any]) -> None:
    guard(stack, streams=CHOICES[choice])
    found = settings(stack)
    assert (found.key, found.topic, found.exempt_tag_key) == (None, None, None)
    assert found._asdict() | expected == found._asdict()


def test_alias_reaches_the_function_as_such(stack: Stack) -> None:
    guard(stack, encryption_key=kms.Alias.from_alias_name(stack, "Alias", "alias/orders"))
    assert settings(stack).key == "alias/orders"


def test_key_of_the_same_stack_reaches_the_function(stack: Stack) -> None:
    guard(stack, encryption_key=kms.Key(stack, "Key"))
    assert settings(stack).key == "Key"


def test_handler_is_in_the_asset(stack: Stack) -> None:
    guard(stack)
    function = properties(stack, "AWS::Lambda::Function")
    assert function["Handler"] == f"{handler.__name__}.{handler.on_event.__name__}"


def test_calls_are_those_that_may_change_a_stream(stack: Stack) -> None:
    everything(stack)
    assert rule(stack, "Calls")["EventPattern"] == {
        # Not those that other accounts and Regions forward.
        "account": [{"Ref": "AWS::AccountId"}],
        "region": [{"Ref": "AWS::Region"}],
        "source": ["aws.kinesis"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": ["kinesis.amazonaws.com"],
            "eventName": [
                "CreateStream",
                "DeleteStream",
                "StartStreamEncryption",
                "StopStreamEncryption",
                "AddTagsToStream",
                "RemoveTagsFromStream",
                "TagResource",
                "UntagResource",
            ],
            "errorCode": [{"exists": False}],
        },
    }


def test_tags_are_listened_to_only_where_they_count(stack: Stack) -> None:
    guard(stack)
    assert len(rule(stack, "Calls")["EventPattern"]["detail"]["eventName"]) == 4
    assert not any("Tag" in action for each in statements(stack) for action in each["Action"])


def test_schedule_starts_a_scan(stack: Stack) -> None:
    guard(stack, check_interval=Duration.hours(1))
    schedule = rule(stack, "Schedule")
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    assert json.loads(schedule["Targets"][0]["Input"]) == {"scan": {}}


def test_deployment_of_the_own_stack_starts_a_scan(stack: Stack) -> None:
    """Event format: "Stack Status Change event detail", CloudFormation User Guide."""
    guard(stack)
    deployments = rule(stack, "Deployments")
    assert deployments["EventPattern"] == {
        "source": ["aws.cloudformation"],
        "detail-type": ["CloudFormation Stack Status Change"],
        "detail": {
            "stack-id": [{"Ref": "AWS::StackId"}],
            "status-details": {
                "status": ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"]
            },
        },
    }
    assert json.loads(deployments["Targets"][0]["Input"]) == {"scan": {}}


def test_queue_lets_a_message_come_back_and_gives_it_up_in_the_end(stack: Stack) -> None:
    guard(stack)
    template = Template.from_stack(stack)
    template.has_resource_properties(
        "AWS::Lambda::EventSourceMapping",
        {
            "BatchSize": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 2},
        },
    )
    redrive = {"maxReceiveCount": 100, "deadLetterTargetArn": Match.any_value()}
    template.has_resource_properties(
        "AWS::SQS::Queue", {"RedrivePolicy": redrive, "VisibilityTimeout": 120}
    )
    timeout = properties(stack, "AWS::Lambda::Function")["Timeout"]
    assert timeout < check.NOTIFICATION_LEASE < 120
    waits = 0.0
    receives = 0
    while waits < handler.MAX_AGE:
        delay = max(handler.RETRY_SHARE * waits, handler.MIN_RETRY_DELAY)
        waits += 0.8 * min(delay, handler.MAX_RETRY_DELAY)
        receives += 1
    assert receives < 100, "the function gives up before the queue does"


@pytest.mark.parametrize("name", ["Calls", "Schedule", "Deployments"])
def test_undelivered_events_land_in_the_dead_letter_queue(stack: Stack, name: str) -> None:
    guard(stack)
    assert "DeadLetters" in json.dumps(rule(stack, name)["Targets"][0]["DeadLetterConfig"])


@pytest.mark.parametrize("choice", CHOICES)
def test_permissions_are_reads_and_the_guards_own_resources(stack: Stack, choice: str) -> None:
    everything(stack, choice)
    allowed = {action for each in statements(stack) for action in as_list(each["Action"])}
    assert allowed <= READS | OF_ITS_OWN
    assert ("kinesis:ListStreams" in allowed) == (choice in {"prefixed", "all"})


@pytest.mark.parametrize("choice", CHOICES)
def test_permissions_are_as_documented(stack: Stack, choice: str) -> None:
    everything(stack, choice)
    kinds = {
        "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue",
        "AWS::DynamoDB::GlobalTable": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/guard",
        "AWS::SNS::Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic",
        "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:function:*",
    }

    def deployed(resource: Any) -> Any:
        match resource:
            case {"Fn::GetAtt": [name, "Arn"]} | {"Ref": name} if name in resources(stack):
                return kinds[resources(stack)[name]["Type"]]
        return resource

    found = []
    for each in statements(stack):
        named = [deployed(resource) for resource in as_list(each["Resource"])]
        found += list(problems_of(filled_in({**each, "Resource": named})))
    known = {f"{action} on {resource} has no written reason" for action, resource in WILDCARDS}
    assert set(found) <= known


def test_role_allows_describing_only_named_streams(stack: Stack) -> None:
    guard(stack, streams=CHOICES["named"])
    (statement,) = (
        each for each in statements(stack) if "kinesis:DescribeStreamSummary" in each["Action"]
    )
    assert filled_in(statement["Resource"]) == [stream_arn("orders"), stream_arn("returns")]
    assert not [each for each in statements(stack) if each["Resource"] == "*"]


def test_deleting_the_stack_leaves_nothing(stack: Stack) -> None:
    guard(stack)
    for id_, resource in resources(stack).items():
        assert resource.get("DeletionPolicy", "Delete") == "Delete", id_
    (table,) = resources(stack, "AWS::DynamoDB::GlobalTable").values()
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["Properties"]["TimeToLiveSpecification"]["AttributeName"] == "expires"


def test_alarms_are_created_on_request_only(stack: Stack) -> None:
    made = guard(stack)
    assert resources(stack, "AWS::CloudWatch::Alarm") == {}
    names = [each.node.id for each in made.alarms()]
    assert names == ["DriftAlarm", "DeadLettersAlarm", "AgeAlarm", "ScanAlarm"]


def test_drift_alarm_lasts_until_the_next_count(stack: Stack) -> None:
    guard(stack).alarms()
    drift = alarm(stack, "DriftAlarm")
    assert (drift["MetricName"], drift["Statistic"]) == ("NoncompliantStreams", "Maximum")
    assert drift["TreatMissingData"] == "ignore"
    assert drift["Period"] * drift["EvaluationPeriods"] < check.COUNT_DELAY
    assert drift["Threshold"] == 1
    assert drift["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


@pytest.mark.parametrize(
    ("interval", "hours"),
    [
        (Duration.minutes(15), 2),
        (Duration.minutes(61), 4),
        (Duration.hours(6), 13),
        (Duration.days(3), 145),
    ],
)
def test_missing_scans_are_alarming(stack: Stack, interval: Duration, hours: int) -> None:
    """Within what CloudWatch evaluates: seven days, for periods of an hour or more."""
    guard(stack, check_interval=interval).alarms()
    scans = alarm(stack, "ScanAlarm")
    assert (scans["MetricName"], scans["Statistic"]) == ("Streams", "SampleCount")
    assert {"Name": "State", "Value": State.COMPLIANT} in scans["Dimensions"]
    assert scans["TreatMissingData"] == "breaching"
    assert (scans["Threshold"], scans["ComparisonOperator"]) == (1, "LessThanThreshold")
    assert (scans["Period"], scans["EvaluationPeriods"]) == (3600, hours)
    assert hours * 3600 <= 7 * 24 * 3600
    assert hours * 3600 > 2 * interval.to_seconds()


@pytest.mark.parametrize("name", ["DeadLettersAlarm", "AgeAlarm"])
def test_empty_queues_are_not_alarming(stack: Stack, name: str) -> None:
    guard(stack).alarms()
    assert alarm(stack, name)["TreatMissingData"] == "notBreaching"


def test_alarms_take_actions(stack: Stack) -> None:
    topic = sns.Topic(stack, "Oncall")
    guard(stack).alarms(SnsAction(topic))
    for each in resources(stack, "AWS::CloudWatch::Alarm").values():
        assert each["Properties"]["AlarmActions"] == [stack.resolve(topic.topic_arn)]


def test_metrics_are_those_that_the_function_emits(stack: Stack) -> None:
    made = guard(stack)
    source = Path(handler.__file__).read_text()
    for name in ("Checks", "NoncompliantStreams", "Failures", "DeadLetters"):
        metric = made.metric(name)
        assert (metric.metric_name, metric.namespace) == (name, handler.NAMESPACE)
        assert list(metric.dimensions or {}) == ["FunctionName"]
        assert metric.statistic == ("Maximum" if name == "NoncompliantStreams" else "Sum")
        assert f"{name}=" in source
    streams = made.metric("Streams", "unencrypted")
    assert streams.statistic == "Maximum"
    assert (streams.dimensions or {})["State"] == "unencrypted"
    assert sorted(streams.dimensions or {}) == ["FunctionName", "State"]


@pytest.mark.parametrize("name", ["Remediations", "Drift"])
def test_metric_without_data_is_rejected(stack: Stack, name: str) -> None:
    with pytest.raises(ValueError, match=f"no metric '{name}': use NoncompliantStreams, Streams, "):
        guard(stack).metric(name)


def test_metrics_accept_the_usual_options(stack: Stack) -> None:
    metric = guard(stack).metric(
        "Checks",
        period=Duration.hours(1),
        statistic="SampleCount",
        label="checks",
        color="#00ff00",
        unit=cloudwatch.Unit.COUNT,
        account="444455556666",
        region="us-east-1",
        dimensions_map={"FunctionName": "another"},
    )
    assert metric.period.to_seconds() == 3600
    assert (metric.statistic, metric.label, metric.color) == ("SampleCount", "checks", "#00ff00")
    assert (metric.account, metric.region) == ("444455556666", "us-east-1")
    assert metric.dimensions == {"FunctionName": "another"}


def test_parts_are_offered(stack: Stack) -> None:
    made = guard(stack)
    assert made.function.node.path == "Stack/Guard/Function"
    assert made.queue.node.path == "Stack/Guard/Queue"
    assert made.dead_letter_queue.node.path == "Stack/Guard/DeadLetters"
    assert made.table.node.path == "Stack/Guard/Table"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (GuardedStreams.named, "no stream is named"),
        (lambda: GuardedStreams.named("orders", "my stream"), "malformed stream name 'my stream'"),
        (lambda: GuardedStreams.named(*(f"{n:0128}" for n in range(30))), "by prefix or tag"),
        (
            lambda: GuardedStreams.named(
                "orders", *CfnParameter(Stack(), "Names", type="List<String>").value_as_list
            ),
            "known only at deployment cannot be guarded: pass each name by itself, or select",
        ),
        (lambda: GuardedStreams.prefixed(""), "malformed prefix ''"),
        (lambda: GuardedStreams.tagged("", "pii"), "malformed tag key ''"),
        (lambda: GuardedStreams.tagged("class", "x" * 257), "takes up to 256 characters"),
    ],
)
def test_bad_choice_is_rejected(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GuardedStreams.prefixed(None), "the prefix is None: pass a string"),  # type: ignore[arg-type]
        (lambda: GuardedStreams.tagged(None, "pii"), "the tag key is None"),  # type: ignore[arg-type]
        (lambda: GuardedStreams.tagged("class", None), "the value of tag 'class' is None"),  # type: ignore[arg-type]
        (lambda: GuardedStreams.tagged("class", True), "the value of tag 'class' is True"),  # type: ignore[arg-type]
        (lambda: GuardedStreams.named(None), "a stream is None"),  # type: ignore[arg-type]
        (lambda: guard(Stack(), exempt_tag_key=5), "the tag key is 5"),
        (lambda: guard(Stack(), streams=GuardedStreams), "pass for example GuardedStreams.all()"),
        (
            lambda: guard(Stack(), queue_encryption_key="alias/x"),
            "queue_encryption_key is 'alias/x'",
        ),
    ],
)
def test_argument_of_another_type_is_rejected(make: Any, message: str) -> None:
    """Context values that are not set are None."""
    with pytest.raises(TypeError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("owned", [False, True])
def test_queue_key_may_be_an_alias(stack: Stack, *, owned: bool) -> None:
    alias = (
        kms.Key(stack, "Key").add_alias("alias/queues")
        if owned
        else kms.Alias.from_alias_name(stack, "Alias", "alias/queues")
    )
    guard(stack, queue_encryption_key=alias)
    assert warnings(stack) == []


def managed_key(stack: Stack, service: str) -> kms.IKey:
    return kms.Alias.from_alias_name(stack, "Alias", f"alias/aws/{service}")


def log_group(stack: Stack, class_: logs.LogGroupClass) -> logs.LogGroup:
    return logs.LogGroup(stack, "Logs", log_group_class=class_)


@pytest.mark.parametrize(
    ("option", "make", "message"),
    [
        ("check_interval", lambda _: Duration.minutes(14), "14 minutes is out of bounds"),
        ("check_interval", lambda _: Duration.hours(73), "3 days 1 hour is out of bounds"),
        ("check_interval", lambda _: Duration.seconds(1001), "must be whole minutes"),
        ("exempt_tag_key", lambda _: "x" * 129, "takes 1 to 128 characters"),
        ("encryption_key", lambda stack: managed_key(stack, "s3"), "another AWS service"),
        (
            "log_group",
            lambda stack: log_group(stack, logs.LogGroupClass.INFREQUENT_ACCESS),
            "'Stack/Logs' has the class 'INFREQUENT_ACCESS'",
        ),
        (
            "notification_topic",
            lambda stack: sns.Topic(stack, "Fifo", fifo=True),
            "'Stack/Fifo' is a FIFO topic: pass a standard one",
        ),
        (  # EventBridge could not deliver, and no principal can change that key policy.
            "queue_encryption_key",
            lambda stack: managed_key(stack, "sqs"),
            "EventBridge is not allowed to use: pass a customer",
        ),
    ],
)
def test_bad_option_is_rejected(
    stack: Stack, option: str, make: Callable[[Stack], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        guard(stack, **{option: make(stack)})


def test_standard_log_group_is_accepted(stack: Stack) -> None:
    guard(stack, log_group=log_group(stack, logs.LogGroupClass.STANDARD))
    assert warnings(stack) == []


def test_topic_of_another_region_is_rejected(stack: Stack) -> None:
    elsewhere = f"arn:aws:sns:us-east-1:{ACCOUNT}:topic"
    topic = sns.Topic.from_topic_arn(stack, "Topic", elsewhere)
    guard(stack, notification_topic=topic)
    (error,) = errors(stack)
    assert f"is in region 'us-east-1', and the guard in '{REGION}'" in error


def test_topic_may_be_of_another_account(stack: Stack) -> None:
    elsewhere = f"arn:aws:sns:{REGION}:444455556666:topic"
    guard(stack, notification_topic=sns.Topic.from_topic_arn(stack, "Topic", elsewhere))
    assert settings(stack).topic == elsewhere
    (info,) = infos(stack)
    assert "'Stack/Guard/Role'; if it is in another account, the topic policy must allow" in info


class TestStreamsAsConstructs:
    def test_imported_and_own_streams(self, stack: Stack) -> None:
        own = kinesis.Stream(stack, "Own")
        guard(stack, streams=GuardedStreams.named(stream_in(stack, "orders"), own, "returns"))
        assert settings(stack).names == ["orders", "Own", "returns"]
        (statement,) = allowing(stack, "kinesis:DescribeStreamSummary")
        allowed = filled_in(statement["Resource"])
        assert len(allowed) == 3
        assert {stream_arn("orders"), stream_arn("returns")} <= set(allowed)

    @pytest.mark.parametrize(
        ("place", "message"),
        [
            ({"region": "us-east-1"}, f"is in region 'us-east-1', and the guard in '{REGION}'"),
            ({"account": "444455556666"}, "is in account '444455556666', and the guard in"),
        ],
    )
    def test_stream_elsewhere_is_rejected(
        self, stack: Stack, place: dict[str, str], message: str
    ) -> None:
        """A guard describes streams by name, so another stream of that name would be guarded."""
        elsewhere = stream_in(stack, **place)
        guard(stack, streams=GuardedStreams.named(elsewhere))
        (error,) = errors(stack)
        assert message in error


class TestFunctionOptions:
    """The same as those of the provider."""

    def test_function(self, stack: Stack) -> None:
        log_group = logs.LogGroup(stack, "Logs")
        guard(
            stack,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.X86_64,
            memory_size=512,
            tracing=lambda_.Tracing.ACTIVE,
            log_group=log_group,
        )
        function = properties(stack, "AWS::Lambda::Function")
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["x86_64"]
        assert function["MemorySize"] == 512
        assert function["TracingConfig"] == {"Mode": "Active"}
        (only_log_group,) = resources(stack, "AWS::Logs::LogGroup")
        assert stack.resolve(log_group.log_group_name) == {"Ref": only_log_group}
        assert function["LoggingConfig"] == {"LogGroup": {"Ref": only_log_group}}
        (statement,) = allowing(stack, "logs:PutLogEvents")
        assert statement["Resource"] == stack.resolve(log_group.log_group_arn)
        assert allowing(stack, "xray:PutTraceSegments")

    def test_role_gets_the_permissions(self, stack: Stack) -> None:
        role = iam.Role(stack, "Own", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        guard(stack, role=role)
        (only_role,) = resources(stack, "AWS::IAM::Role")
        assert stack.resolve(role.role_name) == {"Ref": only_role}
        assert allowing(stack, "kinesis:DescribeStreamSummary")
        assert allowing(stack, "sqs:ReceiveMessage")

    def test_warning_lists_all_permissions_of_a_role_that_cannot_be_changed(
        self, stack: Stack
    ) -> None:
        def actions(role: iam.IRole | None, name: str) -> set[str]:
            other = Stack(App(), name, env=HERE)
            guard(
                other,
                role=role and iam.Role.from_role_arn(other, "Role", role.role_arn, mutable=False),
                encryption_key=kms.Key.from_key_arn(other, "Key", KEY_ARN),
                exempt_tag_key="exempt",
                notification_topic=sns.Topic(other, "Topic", master_key=kms.Key(other, "TopicKey")),
                queue_encryption_key=kms.Key(other, "QueueKey"),
                table_encryption_key=kms.Key(other, "TableKey"),
                tracing=lambda_.Tracing.ACTIVE,
            )
            if role is None:
                policies = documents(other).values()
                found = [each["Action"] for policy in policies for each in policy["Statement"]]
                return {action for each in found for action in as_list(each)}
            assert documents(other) == {}
            (warning,) = warnings(other)
            return set(re.findall(r'"(\w+:[\w*]+)"', warning))

        given = iam.Role.from_role_arn(stack, "Role", f"arn:aws:iam::{ACCOUNT}:role/mine")
        # Only needed to find a queue by its name, which is not used here.
        assert actions(None, "Own") - actions(given, "Given") == {"sqs:GetQueueUrl"}

    def test_vpc_endpoints_precede_the_function(self, app: App, stack: Stack) -> None:
        isolated = ec2.SubnetConfiguration(
            name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED
        )
        vpc = ec2.Vpc(stack, "Vpc", subnet_configuration=[isolated])
        vpc.add_gateway_endpoint("Table", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        queue = vpc.add_interface_endpoint("Sqs", service=ec2.InterfaceVpcEndpointAwsService.SQS)
        made = guard(stack, vpc=vpc, vpc_subnets=ec2.SubnetSelection(subnets=vpc.isolated_subnets))
        queue.connections.allow_default_port_from(made.function)
        app.synth()
        graph = dependencies(resources(stack))
        assert is_acyclic(graph)
        (function,) = resources(stack, "AWS::Lambda::Function")
        assert resources(stack, "AWS::EC2::VPCEndpoint").keys() <= graph[function]
        assert len(resources(stack, "AWS::EC2::VPCEndpoint")) == 2


class TestKeys:
    @staticmethod
    def imported(stack: Stack) -> kms.IKey:
        return kms.Key.from_key_arn(stack, "Imported", KEY_ARN)

    @staticmethod
    def key_actions(stack: Stack, resource: Any) -> set[str]:
        """What the function may do with a key."""
        found = [each for each in statements(stack) if each["Resource"] == resource]
        return {action for each in found for action in as_list(each["Action"])}

    def test_queues(self, stack: Stack) -> None:
        key = kms.Key(stack, "Own")
        guard(stack, queue_encryption_key=key)
        arn = stack.resolve(key.key_arn)
        for queue in resources(stack, "AWS::SQS::Queue").values():
            assert queue["Properties"]["KmsMasterKeyId"] == arn
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= self.key_actions(stack, arn)
        policy = properties(stack, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
        (statement,) = (
            each for each in policy if each["Principal"] == {"Service": "events.amazonaws.com"}
        )
        assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(statement["Action"])
        assert infos(stack) == warnings(stack) == []

    def test_imported_key_of_the_queues(self, stack: Stack) -> None:
        guard(stack, queue_encryption_key=self.imported(stack))
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= self.key_actions(stack, KEY_ARN)
        (info,) = infos(stack)
        assert "must allow kms:Decrypt and kms:GenerateDataKey for events.amazonaws.com" in info
        assert warnings(stack) == [], "it may allow it, and cdk deploy --strict fails on warnings"

    def test_key_of_another_stack_of_the_app(self, app: App, stack: Stack) -> None:
        shared = Stack(app, "Shared", env=HERE)
        guard(stack, queue_encryption_key=kms.Key(shared, "Key"))
        policy = str(properties(shared, "AWS::KMS::Key")["KeyPolicy"])
        assert "events.amazonaws.com" in policy
        assert infos(stack) == warnings(stack) == []

    @pytest.mark.parametrize("where", ["stack", "env_agnostic_stack"])
    def test_table(self, request: pytest.FixtureRequest, where: str) -> None:
        """Also in a stack that can be deployed to any Region."""
        stack = request.getfixturevalue(where)
        guard(stack, table_encryption_key=self.imported(stack))
        (table,) = resources(stack, "AWS::DynamoDB::GlobalTable").values()
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
        (replica,) = table["Properties"]["Replicas"]
        assert replica["Region"] in (REGION, {"Ref": "AWS::Region"})
        assert replica["SSESpecification"] == {"KMSMasterKeyId": KEY_ARN}
        assert self.key_actions(stack, KEY_ARN) == {
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey*",
            "kms:ReEncrypt*",
        }

    def test_alias_restricts_the_permission(self, stack: Stack) -> None:
        alias = kms.Alias.from_alias_name(stack, "Alias", "alias/guard")
        guard(stack, queue_encryption_key=alias)
        (statement,) = allowing(stack, "kms:GenerateDataKey")
        assert statement["Condition"] == {
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/guard"}
        }
        assert filled_in(statement["Resource"]) == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"

    def test_topic(self, stack: Stack) -> None:
        key = kms.Key(stack, "Own")
        guard(stack, notification_topic=sns.Topic(stack, "Topic", master_key=key))
        assert self.key_actions(stack, stack.resolve(key.key_arn)) == {
            "kms:Decrypt",
            "kms:GenerateDataKey*",
        }
        assert infos(stack) == warnings(stack) == []

    def test_topic_with_the_managed_key(self, stack: Stack) -> None:
        """Its policy allows all callers of the account."""
        alias = kms.Alias.from_alias_name(stack, "Alias", "alias/aws/sns")
        guard(stack, notification_topic=sns.Topic(stack, "Topic", master_key=alias))
        assert not allowing(stack, "kms:GenerateDataKey*")

    def test_imported_topic_may_have_a_key_that_is_not_known(self, stack: Stack) -> None:
        topic = sns.Topic.from_topic_arn(stack, "Topic", f"arn:aws:sns:{REGION}:{ACCOUNT}:topic")
        guard(stack, notification_topic=topic)
        (info,) = infos(stack)
        assert "key policy must allow kms:Decrypt and kms:GenerateDataKey* for the role" in info
        assert "'Stack/Guard/Role'" in info
        assert warnings(stack) == []


def test_as_many_names_as_fit_the_environment_fit_the_policies(app: App, stack: Stack) -> None:
    guard(stack, streams=GuardedStreams.named(*(f"orders-{n:03}" for n in range(140))))
    app.synth()
    described = [arn for each in documents(stack).values() for arn in described_streams(each)]
    assert len(set(described)) == 140


def described_streams(document: dict[str, Any]) -> list[Any]:
    return [
        json.dumps(arn)
        for each in document["Statement"]
        if "kinesis:DescribeStreamSummary" in each["Action"]
        for arn in as_list(each["Resource"])
    ]


def test_more_names_than_fit_the_policies_are_refused(app: App, stack: Stack) -> None:
    streams = [kinesis.Stream(stack, f"Stream{n}") for n in range(75)]
    guard(stack, streams=GuardedStreams.named(*(each.stream_name for each in streams)))
    with pytest.raises(RuntimeError, match="select the streams by prefix or tag"):
        app.synth()


def test_role_allows_describing_a_key_of_another_account(stack: Stack) -> None:
    theirs = KEY_ARN.replace(ACCOUNT, "222222222222")
    guard(stack, encryption_key=kms.Key.from_key_arn(stack, "Key", theirs))
    (statement,) = (each for each in statements(stack) if each["Action"] == "kms:DescribeKey")
    assert theirs in statement["Resource"]


def test_guard_in_a_nested_stack_watches_the_deployment_of_all(stack: Stack) -> None:
    nested = NestedStack(NestedStack(stack, "Outer"), "Inner")
    guard(nested)
    stack_id = settings(nested).stack
    assert stack_id.startswith("referencetoStack")
    assert "AWSStackId" in stack_id
    (statement,) = (e for e in statements(nested) if e["Action"] == "cloudformation:DescribeStacks")
    assert statement["Resource"] == {"Ref": stack_id} or stack_id in json.dumps(
        statement["Resource"]
    )
    # It is the outermost stack whose deployment ends last.
    detail = rule(nested, "Deployments")["EventPattern"]["detail"]
    assert detail["stack-id"] == [{"Ref": stack_id}]


def test_longest_choice_fits_the_environment(stack: Stack) -> None:
    """Lambda lets all variables of a function have 4 KB."""
    guard(
        stack,
        streams=GuardedStreams.named(*(f"{n:0100}" for n in range(19))),
        encryption_key=kms.Alias.from_alias_name(stack, "Alias", f"alias/{'x' * 250}"),
        exempt_tag_key="x" * 128,
        notification_topic=sns.Topic.from_topic_arn(
            stack, "Topic", f"arn:aws:sns:{REGION}:{ACCOUNT}:{'x' * 250}"
        ),
    )
    found = settings(stack)
    # What deployment fills in: two URLs, a table's name, and the stack's id.
    assert len(json.dumps(found._asdict())) + 2 * 150 + 255 + 200 < 4096


def test_guard_works_in_any_account(env_agnostic_stack: Stack) -> None:
    everything(env_agnostic_stack).alarms()
    assert only(env_agnostic_stack, "AWS::Lambda::Function")


def test_solutions_pack_finds_what_the_documentation_names(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"))
    everything(Stack(app, "Stack", env=HERE)).alarms()
    found = [each for each in findings(app, SOLUTIONS) if "/Guard/" in each]
    assert {each.split("[")[0] for each in found} == {"AwsSolutions-IAM5"}
