"""Remediation in the template: a second function that alone may start encryption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from kinesis_stream_encryption import GuardedStreams, Remediation, StreamEncryptionGuard
from stream_encryption.guard import remediation
from stream_encryption.guard.settings import Settings
from tests.synth.templates import (
    HERE,
    KEY_ARN,
    REGION,
    as_list,
    documents,
    filled_in,
    guard,
    resources,
    stream_arn,
    warnings,
)
from tests.synth.test_findings import SOLUTIONS, findings
from tests.synth.test_guard import CHOICES, settings_of


def remediating(stack: Stack, choice: str = "named", **options: Any) -> StreamEncryptionGuard:
    given = {
        "streams": CHOICES[choice],
        "encryption_key": kms.Key.from_key_arn(stack, "Key", KEY_ARN),
        "remediation": Remediation(),
    }
    return guard(stack, **given | options)


def permissions(stack: Stack, *, remediates: bool) -> list[dict[str, Any]]:
    """Statements of one of the two roles."""
    return [
        each
        for id_, document in documents(stack).items()
        for each in document["Statement"]
        if ("Remediation" in id_) == remediates and "Role" in id_
    ]


def function(stack: Stack, *, remediates: bool) -> dict[str, Any]:
    (found,) = (
        each["Properties"]
        for id_, each in resources(stack, "AWS::Lambda::Function").items()
        if ("Remediation" in id_) == remediates
    )
    return dict(found)


def settings(stack: Stack, *, remediates: bool) -> Settings:
    return settings_of(function(stack, remediates=remediates))


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("tags", [False, True])
def test_only_the_remediation_function_may_start_encryption(
    stack: Stack, choice: str, *, tags: bool
) -> None:
    topic = sns.Topic(stack, "Topic")
    options = {"exempt_tag_key": "exempt"} if tags else {}
    remediating(stack, choice, notification_topic=topic, **options)
    found: dict[str, list[dict[str, Any]]] = {}
    for each in permissions(stack, remediates=True):
        for action in as_list(each["Action"]):
            found.setdefault(action, []).append(each)
    reads_tags = tags or choice == "tagged"
    assert found.keys() == {
        *("kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption", "kms:DescribeKey"),
        *(["kinesis:ListTagsForStream"] if reads_tags else []),
        *("cloudformation:DescribeStacks", "dynamodb:GetItem", "dynamodb:PutItem"),
        *("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
        *("sqs:GetQueueUrl", "sqs:ChangeMessageVisibility", "sns:Publish"),
        *("logs:CreateLogStream", "logs:PutLogEvents"),
    }
    started = [
        resource
        for each in found["kinesis:StartStreamEncryption"]
        for resource in as_list(filled_in(each["Resource"]))
    ]
    names = {"named": ["orders", "returns"], "prefixed": ["prod-*"]}.get(choice, ["*"])
    assert sorted(started) == sorted([KEY_ARN, *map(stream_arn, names)])
    (described,) = found["kms:DescribeKey"]
    assert described["Resource"] == KEY_ARN
    others = {action for each in permissions(stack, remediates=False) for action in each["Action"]}
    assert "kinesis:StartStreamEncryption" not in others
    assert "StopStreamEncryption" not in json.dumps(documents(stack))


def test_tag_restricts_the_streams_that_may_be_changed(stack: Stack) -> None:
    remediating(stack, "tagged")
    tagged = {"StringEquals": {"aws:ResourceTag/data-class": "pii"}}
    (streams,) = (
        each
        for each in permissions(stack, remediates=True)
        if "kinesis:ListTagsForStream" in each["Action"]
    )
    assert streams["Condition"] == tagged
    (key,) = (each for each in permissions(stack, remediates=True) if each["Resource"] == KEY_ARN)
    assert "Condition" not in key


def test_without_remediation_only_its_parts_are_missing() -> None:
    """Resources are the same, except what the check function needs to send to the other queue."""
    templates = []
    given: list[dict[str, Any]] = [{"remediation": None}, {}]
    for options in given:
        stack = Stack(App(), "Stack", env=HERE)
        remediating(stack, exempt_tag_key="exempt", **options)
        templates.append(resources(stack))
    without, with_ = templates
    assert not [id_ for id_ in without if "Remediation" in id_]
    assert all("Remediation" in id_ for id_ in with_.keys() - without.keys())
    differ = {id_[:-8] for id_, each in without.items() if with_[id_] != each}
    assert differ == {"GuardFunction", "GuardRoleDefaultPolicy"}
    assert "emediation" not in json.dumps(without)


def test_functions_have_the_settings_of_each_other(stack: Stack) -> None:
    remediating(stack, remediation=Remediation(max_changes_per_stream=2, max_streams_per_hour=7))
    checks, remediates = (settings(stack, remediates=each) for each in (False, True))
    assert (checks.queue, checks.remediation_queue) == ("GuardQueue", "GuardRemediationQueue")
    assert checks.limits is None
    assert (remediates.queue, remediates.key) == ("GuardRemediationQueue", KEY_ARN)
    assert remediates.table == checks.table
    assert remediates.limits is not None
    assert remediates.limits._asdict() == {
        "key": KEY_ARN,
        "check_queue": "GuardQueue",
        "max_changes_per_stream": 2,
        "max_streams_per_hour": 7,
        "known_good_for": 86400,
    }


def test_known_good_lasts_an_interval_and_an_hour(stack: Stack) -> None:
    remediating(stack, check_interval=Duration.days(2))
    limits = settings(stack, remediates=True).limits
    assert limits is not None
    assert limits.known_good_for == 49 * 3600


def test_lease_ends_after_the_function_and_before_the_message_returns(stack: Stack) -> None:
    remediating(stack)
    timeout = function(stack, remediates=True)["Timeout"]
    assert remediation.JOB_TIME + 30 < timeout == remediation.TIMEOUT
    (queue,) = (
        each["Properties"]
        for id_, each in resources(stack, "AWS::SQS::Queue").items()
        if "Remediation" in id_
    )
    assert queue["VisibilityTimeout"] > timeout
    assert "DeadLetters" in json.dumps(queue["RedrivePolicy"])


@pytest.mark.parametrize("alias", [None, "alias/orders", "alias/aws/kinesis"])
def test_key_must_be_known_by_arn(stack: Stack, alias: str | None) -> None:
    key = alias and kms.Alias.from_alias_name(stack, "Alias", alias)
    given = f"encryption_key is '{alias}'" if alias else "there is no encryption_key"
    with pytest.raises(ValueError, match=rf"known by ARN, and {given}: pass a kms\.Key or kms"):
        remediating(stack, encryption_key=key)


def test_alias_of_a_key_of_the_app_is_that_key(stack: Stack) -> None:
    key = kms.Key(stack, "Own")
    remediating(stack, encryption_key=key.add_alias("orders"))
    assert settings(stack, remediates=True).key == "Own"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_changes_per_stream": 0}, "max_changes_per_stream 0 is out of bounds: pass 1 to 5"),
        ({"max_changes_per_stream": 6}, "max_changes_per_stream 6 is out of bounds"),
        ({"max_streams_per_hour": 0}, "max_streams_per_hour 0 is out of bounds: pass 1 to 1000"),
        ({"max_streams_per_hour": 1001}, "max_streams_per_hour 1001 is out of bounds"),
    ],
)
def test_limits_have_bounds(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Remediation(**options)


@pytest.mark.parametrize("value", [True, 2.5, "3", None])
def test_limits_are_whole_numbers(value: Any) -> None:
    with pytest.raises(TypeError, match=f"max_streams_per_hour is {value!r}: pass a number from 1"):
        Remediation(max_streams_per_hour=value)


def test_tag_key_that_is_known_only_at_deployment_is_rejected(stack: Stack) -> None:
    key = CfnParameter(stack, "TagKey").value_as_string
    with pytest.raises(ValueError, match="known only at deployment, and with remediation"):
        remediating(stack, streams=GuardedStreams.tagged(key, "pii"))


def test_key_that_is_deleted_with_its_stack_is_rejected(stack: Stack) -> None:
    remediating(stack, encryption_key=kms.Key(stack, "Own", removal_policy=RemovalPolicy.DESTROY))
    with pytest.raises(RuntimeError, match="'Stack/Own/Resource' would be deleted with its stack"):
        resources(stack)


def test_topic_may_be_of_another_account_of_the_app() -> None:
    app = App()
    other = Stack(app, "Other", env=Environment(account="444455556666", region=REGION))
    topic = sns.Topic(other, "Topic", topic_name="drift")
    stack = Stack(app, "Stack", env=HERE)
    remediating(stack, notification_topic=topic)
    roles = [each["Properties"] for each in resources(stack, "AWS::IAM::Role").values()]
    policy = json.dumps(resources(other, "AWS::SNS::TopicPolicy"))
    assert len(roles) == 2
    assert all(f":role/{role['RoleName']}" in policy for role in roles)


def test_alarms_cover_the_second_queue(stack: Stack) -> None:
    names = [each.node.id for each in remediating(stack).alarms()]
    assert names == [
        *("DriftAlarm", "DeadLettersAlarm", "AgeAlarm", "RemediationAgeAlarm", "ScanAlarm"),
    ]


def test_limits_include_their_bounds(stack: Stack) -> None:
    remediating(stack, remediation=Remediation(max_changes_per_stream=5, max_streams_per_hour=1000))
    limits = settings(stack, remediates=True).limits
    assert limits is not None
    assert (limits.max_changes_per_stream, limits.max_streams_per_hour) == (5, 1000)


def test_given_role_stays_read_only(stack: Stack) -> None:
    role = iam.Role(stack, "Given", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    remediating(stack, role=role)
    assert "GuardRemediationRole" in json.dumps(function(stack, remediates=True)["Role"])
    given = [each for id_, each in documents(stack).items() if id_.startswith("Given")]
    assert given
    assert "StartStreamEncryption" not in json.dumps(given)


def test_keys_of_queues_and_table_are_allowed(stack: Stack) -> None:
    key = kms.Key(stack, "Own")
    topic = sns.Topic(stack, "Topic", master_key=key)
    remediating(stack, queue_encryption_key=key, table_encryption_key=key, notification_topic=topic)
    allowed = {
        action
        for each in permissions(stack, remediates=True)
        if each["Resource"] != KEY_ARN
        for action in as_list(each["Action"])
    }
    assert {"kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"} <= allowed


def test_key_that_an_aspect_sets_for_the_queue_is_missing_in_both_roles(stack: Stack) -> None:
    made = remediating(stack)
    assert made.remediation_queue is not None
    queue = made.remediation_queue.node.default_child
    assert isinstance(queue, sqs.CfnQueue)
    queue.kms_master_key_id = KEY_ARN.replace("key/", "key/f")
    found = [each for each in warnings(stack) if "missingPermissions" in each]
    assert sorted(each.split("'")[1] for each in found) == [
        "Stack/Guard/Function/Resource",
        "Stack/Guard/Remediation/Function/Resource",
    ]


@pytest.mark.parametrize(("visibility", "timeout"), [(10, 300), (360, 900)])
def test_visibility_timeout_has_to_be_as_long_as_the_timeout(
    stack: Stack, visibility: int, timeout: int
) -> None:
    made = remediating(stack)
    assert made.remediation_queue is not None
    assert made.remediation_function is not None
    queue, function = (
        each.node.default_child for each in (made.remediation_queue, made.remediation_function)
    )
    assert isinstance(queue, sqs.CfnQueue)
    assert isinstance(function, lambda_.CfnFunction)
    queue.visibility_timeout, function.timeout = visibility, timeout
    with pytest.raises(RuntimeError, match=f"queue is {visibility} seconds, and Lambda requires"):
        resources(stack)


def test_properties_and_metric(stack: Stack) -> None:
    plain = StreamEncryptionGuard(stack, "Plain", streams=GuardedStreams.all())
    assert (plain.remediation_function, plain.remediation_queue) == (None, None)
    made = remediating(stack)
    assert made.remediation_queue is not None
    assert made.remediation_function is not None
    metric = made.metric("Remediations", "restored")
    name = stack.resolve(made.remediation_function.function_name)
    assert stack.resolve(metric.dimensions) == {"FunctionName": name, "Outcome": "restored"}
    assert metric.statistic == "Sum"
    queues = {
        str(each["Properties"]["FunctionName"]): each["Properties"]["EventSourceArn"]
        for each in resources(stack, "AWS::Lambda::EventSourceMapping").values()
    }
    assert queues[str(name)] == stack.resolve(made.remediation_queue.queue_arn)


def test_solutions_pack_finds_nothing_in_remediation(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"))
    remediating(Stack(app, "Stack", env=HERE))
    found = findings(app, SOLUTIONS)
    assert [each for each in found if "/Guard/Role/" in each], "key/* of the other function"
    assert [each for each in found if "/Guard/Remediation/" in each] == []


def test_the_remediation_function_is_validated_after_aspects(stack: Stack) -> None:
    made = remediating(stack)
    assert made.remediation_function is not None
    resource = made.remediation_function.node.default_child
    assert isinstance(resource, lambda_.CfnFunction)
    resource.runtime = "python3.9"
    with pytest.raises(RuntimeError, match="cannot run the handler"):
        resources(stack)
