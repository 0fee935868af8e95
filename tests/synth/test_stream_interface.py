"""The construct as an implementation of IStream."""

from __future__ import annotations

import pytest
from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.templates import (
    ACCOUNT,
    KEY_ARN,
    REGION,
    TYPE,
    allowing,
    as_list,
    key_policies,
    only,
    resources,
    stream_arn,
)

STREAM = stream_arn("orders")


def test_arn_and_name_are_forwarded(encryption: KinesisStreamEncryption) -> None:
    assert encryption.stream_arn == STREAM
    assert encryption.stream_name == "orders"


def test_original_stream_is_a_property(
    encryption: KinesisStreamEncryption, stream: kinesis.IStream
) -> None:
    assert encryption.stream is stream


def test_the_key_is_hidden_from_integrations(stack: Stack, stream: kinesis.IStream) -> None:
    """Integrations would grant access to it without the encryption context."""
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=stream, encryption_key=key)
    assert encryption.encryption_key is None
    assert encryption.key is key


def test_key_is_none_by_default(stack: Stack, stream: kinesis.IStream) -> None:
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=stream)
    assert encryption.key is None


def test_environment_is_forwarded(stack: Stack, encryption: KinesisStreamEncryption) -> None:
    assert (encryption.env.account, encryption.env.region) == (ACCOUNT, REGION)
    assert encryption.stack is stack


METRICS = sorted(each for each in vars(kinesis.IStream) if each.startswith("metric_"))


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_are_forwarded(
    stack: Stack, encryption: KinesisStreamEncryption, stream: kinesis.IStream, metric: str
) -> None:
    alarm_on(stack, "OfConstruct", getattr(encryption, metric)(period=Duration.minutes(1)))
    alarm_on(stack, "OfStream", getattr(stream, metric)(period=Duration.minutes(1)))
    forwarded, original = resources(stack, "AWS::CloudWatch::Alarm").values()
    assert forwarded["Properties"] == original["Properties"]
    assert forwarded["Properties"]["Dimensions"] == [{"Name": "StreamName", "Value": "orders"}]
    assert forwarded["Properties"]["Period"] == 60


def test_metric_supports_other_names(stack: Stack, encryption: KinesisStreamEncryption) -> None:
    alarm_on(stack, "Alarm", encryption.metric("SubscribeToShard.Success", statistic="Minimum"))
    alarm = only(stack, "AWS::CloudWatch::Alarm")["Properties"]
    assert alarm["MetricName"] == "SubscribeToShard.Success"
    assert alarm["Namespace"] == "AWS/Kinesis"
    assert alarm["Statistic"] == "Minimum"


def alarm_on(stack: Stack, id_: str, metric: cloudwatch.Metric) -> None:
    cloudwatch.Alarm(stack, id_, metric=metric, threshold=1, evaluation_periods=1)


def test_resource_policy_of_an_imported_stream_is_not_changed(
    stack: Stack, encryption: KinesisStreamEncryption, stream: kinesis.IStream
) -> None:
    statement = iam.PolicyStatement(
        principals=[iam.AccountPrincipal("444455556666")],
        actions=["kinesis:PutRecord"],
        resources=[STREAM],
    )
    assert not stream.add_to_resource_policy(statement).statement_added
    assert not encryption.add_to_resource_policy(statement).statement_added
    assert resources(stack, "AWS::Kinesis::ResourcePolicy") == {}


def test_removal_policy_of_an_imported_stream_cannot_be_set(
    encryption: KinesisStreamEncryption, stream: kinesis.IStream
) -> None:
    for each in (stream, encryption):
        with pytest.raises(RuntimeError, match="Cannot apply RemovalPolicy"):
            each.apply_removal_policy(RemovalPolicy.RETAIN)


# --- grant ----------------------------------------------------------------------------------------

DECRYPT, GENERATE = "kms:Decrypt", "kms:GenerateDataKey"


@pytest.mark.parametrize(
    ("actions", "key_actions"),
    [
        (["kinesis:PutRecord"], [GENERATE]),
        (["kinesis:PutRecords"], [GENERATE]),
        (["kinesis:GetRecords"], [DECRYPT]),
        (["kinesis:SubscribeToShard"], [DECRYPT]),
        (["kinesis:PutRecord", "kinesis:GetRecords"], [DECRYPT, GENERATE]),
        (["kinesis:PutRecord", "kinesis:PutRecords"], [GENERATE]),
        (["kinesis:Put*"], [GENERATE]),
        (["kinesis:Get*"], [DECRYPT]),
        (["kinesis:*Shard"], [DECRYPT]),
        (["kinesis:putrecord"], [GENERATE]),
        (["kinesis:*"], [DECRYPT, GENERATE]),
        (["*"], [DECRYPT, GENERATE]),
        (["kinesis:DescribeStream", "kinesis:Describe*"], []),
        (["kinesis:GetShardIterator"], []),
        (["kinesis:PutResourcePolicy"], []),
    ],
    ids=",".join,
)
def test_grant_covers_the_key_for_actions_on_records(
    stack: Stack,
    encryption: KinesisStreamEncryption,
    role: iam.Role,
    actions: list[str],
    key_actions: list[str],
) -> None:
    assert encryption.grant(role, *actions).success
    (stream,) = allowing(stack, actions[0])
    assert (as_list(stream["Action"]), stream["Resource"]) == (actions, STREAM)
    policies = key_policies(stack)
    statements = [each for policy in policies.values() for each in policy]
    assert sorted(each["Action"] for each in statements) == key_actions
    for each in statements:
        context = {"kms:EncryptionContext:aws:kinesis:arn": STREAM}
        assert each["Condition"] == {"StringEquals": context}
    assert policies.keys() <= set(only(stack, TYPE)["DependsOn"])


def test_a_redundant_grant_adds_no_statement(
    stack: Stack, encryption: KinesisStreamEncryption, role: iam.Role
) -> None:
    encryption.grant_read_write(role)
    encryption.grant(role, "kinesis:PutRecord", "kinesis:GetRecords")
    statements = [each for policy in key_policies(stack).values() for each in policy]
    assert sorted(each["Action"] for each in statements) == [DECRYPT, GENERATE]


def test_grant_needs_no_key_policy_for_the_aws_managed_key(
    stack: Stack, stream: kinesis.IStream, role: iam.Role
) -> None:
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=stream)
    assert encryption.grant(role, "kinesis:*").success
    assert key_policies(stack) == {}


@pytest.mark.parametrize("grant", ["grant_read", "grant_write", "grant_read_write"])
def test_a_dependency_on_a_grant_includes_the_key_permissions(
    stack: Stack, encryption: KinesisStreamEncryption, role: iam.Role, grant: str
) -> None:
    waiting = kms.CfnAlias(stack, "Waiting", alias_name="alias/waiting", target_key_id="key")
    getattr(encryption, grant)(role).apply_before(waiting)
    policies = key_policies(stack)
    assert policies
    assert policies.keys() <= set(only(stack, "AWS::KMS::Alias")["DependsOn"])
