"""What the function may do: each statement as it stands in the policies."""

from __future__ import annotations

from typing import Any

from aws_cdk import App, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.cloud import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    TYPE,
    allowing,
    documents,
    filled_in,
    only,
    properties,
    resources,
    statements,
    stream_arn,
    stream_in,
)

STACK_ID = filled_in({"Ref": "AWS::StackId"})
GUID = STACK_ID.rsplit("/", 1)[1]


def test_one_stream_with_the_key_that_kinesis_owns(stack: Stack) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    (log_group,) = resources(stack, "AWS::Logs::LogGroup")
    assert filled_in(statements(stack)) == [
        {
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Effect": "Allow",
            "Resource": {"Fn::GetAtt": [log_group, "Arn"]},
        },
        {
            "Action": "cloudformation:DescribeStackResource",
            "Effect": "Allow",
            "Resource": STACK_ID,
        },
        {
            "Action": ["kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption"],
            "Effect": "Allow",
            "Resource": [stream_arn("orders")],
        },
        {
            "Action": "kms:DescribeKey",
            "Effect": "Allow",
            "Resource": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*",
            "Condition": {
                "ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/aws/kinesis"]}
            },
        },
    ]


def test_key_by_arn_is_the_only_key(stack: Stack) -> None:
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=key)
    assert allowing(stack, "kms:DescribeKey") == [
        {"Action": "kms:DescribeKey", "Effect": "Allow", "Resource": [KEY_ARN]}
    ]


def test_alias_by_name_allows_the_key_behind_it_alone(stack: Stack) -> None:
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/orders")
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack), encryption_key=alias)
    (statement,) = allowing(stack, "kms:DescribeKey")
    assert statement["Condition"] == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/orders"]}
    }


def test_streams_and_keys_of_a_stack_share_statements(stack: Stack) -> None:
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    for name in ("b", "a"):
        KinesisStreamEncryption(stack, name, stream=stream_in(stack, name), encryption_key=key)
    (statement,) = allowing(stack, "kinesis:StartStreamEncryption")
    assert statement["Resource"] == [stream_arn("a"), stream_arn("b")]
    (statement,) = allowing(stack, "kms:DescribeKey")
    assert statement["Resource"] == [KEY_ARN]


def test_encryption_may_be_stopped_only_where_the_removal_policy_asks_for_it(
    stack: Stack,
) -> None:
    KinesisStreamEncryption(stack, "Kept", stream=stream_in(stack, "kept"))
    assert allowing(stack, "kinesis:StopStreamEncryption") == []


def test_a_stream_to_restore_has_a_policy_of_its_own(stack: Stack) -> None:
    """It is deleted after the resource; a shared policy would lose the rights before."""
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    KinesisStreamEncryption(stack, "Kept", stream=stream_in(stack, "kept"))
    KinesisStreamEncryption(
        stack,
        "Restored",
        stream=stream_in(stack, "restored"),
        encryption_key=key,
        removal_policy=RemovalPolicy.DESTROY,
    )
    (own,) = resources(stack, "AWS::IAM::Policy")
    assert documents(stack)[own] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Action": [
                    "kinesis:DescribeStreamSummary",
                    "kinesis:StartStreamEncryption",
                    "kinesis:StopStreamEncryption",
                ],
                "Effect": "Allow",
                "Resource": [stream_arn("restored")],
            },
            {"Action": "kms:DescribeKey", "Effect": "Allow", "Resource": [KEY_ARN]},
        ],
    }
    (shared,) = resources(stack, "AWS::IAM::ManagedPolicy")
    assert stream_arn("restored") not in str(documents(stack)[shared])


def test_another_stream_to_restore_means_another_policy(app: App) -> None:
    """The old one has to last until the old stream is restored."""

    def policy(number: int, stream: str) -> str:
        stack = Stack(App(), "Stack", env=HERE)
        KinesisStreamEncryption(
            stack,
            "Encryption",
            stream=stream_in(stack, stream),
            removal_policy=RemovalPolicy.DESTROY,
        )
        (id_,) = resources(stack, "AWS::IAM::Policy")
        return id_

    assert policy(1, "orders") == policy(2, "orders")
    assert policy(1, "orders") != policy(2, "payments")


def test_rights_exist_before_the_resource_and_outlive_it(stack: Stack) -> None:
    KinesisStreamEncryption(
        stack, "Kept", stream=stream_in(stack, "kept"), timeout=Duration.minutes(30)
    )
    KinesisStreamEncryption(
        stack,
        "Restored",
        stream=stream_in(stack, "restored"),
        removal_policy=RemovalPolicy.DESTROY,
    )
    by_stream = {each["Properties"]["StreamArn"]: each for each in resources(stack, TYPE).values()}
    assert set(by_stream[stream_arn("kept")]["DependsOn"]) == {
        *resources(stack, "AWS::IAM::ManagedPolicy"),
        *resources(stack, "AWS::Lambda::Permission"),
    }
    assert by_stream[stream_arn("restored")]["DependsOn"] == [*resources(stack, "AWS::IAM::Policy")]


class TestLongWaits:
    """Rules by which the function wakes itself up."""

    @staticmethod
    def encrypt(stack: Stack, minutes: int) -> None:
        KinesisStreamEncryption(
            stack, "Encryption", stream=stream_in(stack), timeout=Duration.minutes(minutes)
        )

    def test_none_where_one_invocation_is_enough(self, stack: Stack) -> None:
        self.encrypt(stack, 14)
        assert "events:" not in str(statements(stack))
        assert resources(stack, "AWS::Lambda::Permission") == {}
        environment = properties(stack, "AWS::Lambda::Function")["Environment"]["Variables"]
        assert "POLLING_RULE_PREFIX" not in environment

    def test_prefix_is_this_functions_own(self, stack: Stack) -> None:
        self.encrypt(stack, 15)
        prefix = self.prefix(stack)
        assert prefix.startswith(GUID)
        assert len(prefix) <= 47

    def test_prefix_differs_between_functions_of_a_stack(self, stack: Stack) -> None:
        for name in ("A", "B"):
            KinesisStreamEncryption(
                stack,
                name,
                stream=stream_in(stack, name),
                timeout=Duration.minutes(15),
                provider=KinesisStreamEncryptionProvider(stack, f"Provider{name}"),
            )
        functions = resources(stack, "AWS::Lambda::Function").values()
        prefixes = {
            filled_in(each["Properties"]["Environment"]["Variables"]["POLLING_RULE_PREFIX"])
            for each in functions
        }
        assert len(prefixes) == 2

    def test_rights_reach_those_rules_alone(self, stack: Stack) -> None:
        self.encrypt(stack, 15)
        (statement,) = allowing(stack, "events:PutRule")
        assert filled_in(statement) == {
            "Action": [
                "events:DeleteRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
            ],
            "Effect": "Allow",
            "Resource": self.rules(stack),
        }

    def test_only_those_rules_may_invoke_the_function(self, stack: Stack) -> None:
        self.encrypt(stack, 15)
        (function,) = resources(stack, "AWS::Lambda::Function")
        assert filled_in(properties(stack, "AWS::Lambda::Permission")) == {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Fn::GetAtt": [function, "Arn"]},
            "Principal": "events.amazonaws.com",
            "SourceAccount": ACCOUNT,
            "SourceArn": self.rules(stack),
        }

    def rules(self, stack: Stack) -> str:
        return f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{self.prefix(stack)}-*"

    @staticmethod
    def prefix(stack: Stack) -> str:
        environment = properties(stack, "AWS::Lambda::Function")["Environment"]["Variables"]
        return str(filled_in(environment["POLLING_RULE_PREFIX"]))


def test_every_stack_that_shares_the_provider_may_be_looked_at(app: App, stack: Stack) -> None:
    provider = KinesisStreamEncryptionProvider.get_or_create(stack)
    other = Stack(app, "Other", env=HERE)
    KinesisStreamEncryption(stack, "Here", stream=stream_in(stack, "here"))
    for name in ("a", "b"):
        KinesisStreamEncryption(other, name, stream=stream_in(other, name), provider=provider)
    looks = filled_in(allowing(stack, "cloudformation:DescribeStackResource"))
    assert [each["Resource"] for each in looks] == [
        [STACK_ID, f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Other/*"]
    ]


def test_arns_follow_the_partition(anywhere: Stack) -> None:
    KinesisStreamEncryption(
        anywhere,
        "Encryption",
        stream=stream_in(anywhere),
        timeout=Duration.minutes(30),
    )
    text = str(filled_in(statements(anywhere), partition="aws-cn", region="cn-north-1"))
    assert text.replace(stream_arn("orders"), "").count("arn:aws:") == 0
    assert text.count("arn:aws-cn:") == 3


def test_only_lambda_may_assume_the_role(stack: Stack) -> None:
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    assert properties(stack, "AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }
    ]
    assert "ManagedPolicyArns" not in properties(stack, "AWS::IAM::Role")


def test_a_vpc_takes_rights_to_network_interfaces(stack: Stack) -> None:
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    KinesisStreamEncryptionProvider.get_or_create(stack, vpc=vpc)
    (statement,) = allowing(stack, "ec2:CreateNetworkInterface")
    assert all(action.startswith("ec2:") for action in statement["Action"])


def test_no_wildcard_beyond_the_reasoned_ones(stack: Stack) -> None:
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/orders")
    KinesisStreamEncryption(
        stack,
        "Encryption",
        stream=stream_in(stack),
        encryption_key=alias,
        timeout=Duration.minutes(30),
        removal_policy=RemovalPolicy.DESTROY,
    )
    wild: set[str] = set()
    for statement in filled_in(statements(stack)):
        named: Any = statement["Resource"]
        wild |= {each for each in (named if isinstance(named, list) else [named]) if "*" in each}
    rules = TestLongWaits().rules(stack)
    assert wild == {rules, f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"}
    assert "*" not in str([each["Action"] for each in statements(stack)])


def test_a_given_role_gets_the_same_rights(app: App, stack: Stack) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    provider = KinesisStreamEncryptionProvider.get_or_create(stack, role=role)
    KinesisStreamEncryption(stack, "Encryption", stream=stream_in(stack))
    usual = Stack(app, "Usual", env=HERE)
    KinesisStreamEncryption(usual, "Encryption", stream=stream_in(usual, "orders-2"))

    def actions(each: Stack) -> list[Any]:
        return [statement["Action"] for statement in statements(each)]

    assert provider.role is role
    assert sorted(actions(stack), key=str) == sorted(actions(usual), key=str)
    assert only(stack, "AWS::Lambda::Function")["DependsOn"] == [
        *resources(stack, "AWS::IAM::Policy"),
        *resources(stack, "AWS::IAM::Role"),
    ]


def test_tracing_takes_rights_to_x_ray(stack: Stack) -> None:
    KinesisStreamEncryptionProvider.get_or_create(stack, tracing=lambda_.Tracing.ACTIVE)
    assert len(allowing(stack, "xray:PutTraceSegments")) == 1
