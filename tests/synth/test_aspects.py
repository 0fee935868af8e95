"""Changes of functions and queues by Aspects and overrides, validated on the final template."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import jsii
import pytest
from aws_cdk import Annotations as Acknowledgeable
from aws_cdk import App, Aspects, Fn, IAspect, NestedStack, Stack, Stage
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_cloudwatch_actions import SnsAction
from constructs import IConstruct

from kinesis_stream_encryption import (
    KinesisStreamEncryption,
    KinesisStreamEncryptionProvider,
    Remediation,
)
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    encrypt,
    guard,
    stream_in,
    synthesis_error,
    warnings,
)

NETWORK = {
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
}
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACING = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
DELIVERY = {"kms:GenerateDataKey", "kms:Decrypt"}
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:my-sns-failures"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:failures"


@jsii.implements(IAspect)
class Change:
    """An Aspect that changes all constructs of a class."""

    def __init__(self, kind: type, change: Callable[[Any], None]) -> None:
        self._kind, self._change = kind, change

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, self._kind):
            self._change(node)


both = pytest.mark.parametrize("make", [encrypt, guard])


def change_functions(stack: Stack, change: Callable[[lambda_.CfnFunction], None]) -> None:
    Aspects.of(stack).add(Change(lambda_.CfnFunction, change))


def set_property(name: str, value: Any) -> Callable[[lambda_.CfnFunction], None]:
    return lambda function: setattr(function, name, value)


def override(name: str, value: Any) -> Callable[[lambda_.CfnFunction], None]:
    return lambda function: function.add_property_override(name, value)


@both
@pytest.mark.parametrize("change", [set_property, override])
@pytest.mark.parametrize("runtime", ["python3.10", "python3.9", "nodejs22.x"])
def test_an_unsupported_runtime_is_rejected(
    app: App,
    stack: Stack,
    make: Callable[[Stack], object],
    change: Callable[[str, Any], Callable[[lambda_.CfnFunction], None]],
    runtime: str,
) -> None:
    make(stack)
    change_functions(stack, change("runtime" if change is set_property else "Runtime", runtime))
    error = synthesis_error(app)
    assert f"runtime {runtime!r} cannot run the handler: use Python 3.11 or newer" in error
    assert "Stack/" in error


@both
def test_another_supported_runtime_is_accepted(
    app: App, stack: Stack, make: Callable[[Stack], object]
) -> None:
    make(stack)
    change_functions(stack, set_property("runtime", "python3.11"))
    app.synth()
    assert warnings(stack) == []


def test_other_functions_are_not_validated(app: App, stack: Stack) -> None:
    encrypt(stack)
    lambda_.Function(
        stack,
        "Other",
        runtime=lambda_.Runtime.NODEJS_22_X,
        handler="index.handler",
        code=lambda_.Code.from_inline("exports.handler = async () => {}"),
        tracing=lambda_.Tracing.ACTIVE,
    )
    app.synth()
    assert warnings(stack) == []


VPC = lambda_.CfnFunction.VpcConfigProperty(subnet_ids=["subnet-1"], security_group_ids=["sg-1"])


def dead_letters(arn: str) -> Callable[[lambda_.CfnFunction], None]:
    config = lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=arn)
    return set_property("dead_letter_config", config)


CONFIGURATIONS: dict[str, tuple[Callable[[lambda_.CfnFunction], None], set[str], str]] = {
    "VPC": (set_property("vpc_config", VPC), NETWORK, '"*"'),
    "VPC by override": (override("VpcConfig.SubnetIds", ["subnet-1"]), NETWORK, '"*"'),
    "tracing": (
        set_property("tracing_config", lambda_.CfnFunction.TracingConfigProperty(mode="Active")),
        TRACING,
        '"*"',
    ),
    "dead-letter queue": (dead_letters(QUEUE_ARN), {"sqs:SendMessage"}, f'"{QUEUE_ARN}"'),
    "dead-letter topic": (dead_letters(TOPIC_ARN), {"sns:Publish"}, f'"{TOPIC_ARN}"'),
    "environment key": (set_property("kms_key_arn", KEY_ARN), {"kms:Decrypt"}, f'"{KEY_ARN}"'),
    "log group by name": (override("LoggingConfig", {"LogGroup": "/central"}), LOG, "/central:*"),
    "no log group": (override("LoggingConfig.LogGroup", None), LOG, "log-group:/aws/lambda/*:*"),
}


@both
@pytest.mark.parametrize(
    ("change", "needed"),
    [(change, (actions, resource)) for change, actions, resource in CONFIGURATIONS.values()],
    ids=CONFIGURATIONS,
)
def test_configuration_without_permissions_causes_a_warning(
    app: App,
    stack: Stack,
    make: Callable[[Stack], object],
    change: Callable[[lambda_.CfnFunction], None],
    needed: tuple[set[str], str],
) -> None:
    """The warning is in the cloud assembly, from which the CDK CLI reads it."""
    make(stack)
    change_functions(stack, change)
    messages = [str(each.entry.data) for each in app.synth().get_stack_by_name("Stack").messages]
    (warning,) = (each for each in messages if "missingPermissions" in each)
    _, *statements = warning.partition(" [ack:")[0].splitlines()
    (statement,) = statements
    actions, resource = needed
    assert resource in statement
    for action in actions:
        assert f'"{action}"' in statement


def test_a_dead_letter_topic_of_the_app_requires_publish(stack: Stack) -> None:
    encrypt(stack)
    topic = sns.Topic(stack, "Topic")
    change_functions(stack, dead_letters(topic.topic_arn))
    (warning,) = warnings(stack)
    assert '"sns:Publish"' in warning
    assert "${Topic" in warning


def test_a_shared_log_group_of_the_app_requires_permission(stack: Stack) -> None:
    encrypt(stack)
    shared = logs.LogGroup(stack, "Shared")
    change_functions(stack, override("LoggingConfig", {"LogGroup": shared.log_group_name}))
    (warning,) = warnings(stack)
    assert '"logs:PutLogEvents"' in warning
    assert "${Shared" in warning


def test_log_options_cause_no_warning(app: App, stack: Stack) -> None:
    """A log group of another stack, and the format that an Aspect sets."""
    group = logs.LogGroup(Stack(app, "Other", env=HERE), "Logs")
    KinesisStreamEncryptionProvider(stack, "Provider", log_group=group)
    encrypt(stack)
    change_functions(stack, override("LoggingConfig.LogFormat", "JSON"))
    assert warnings(stack) == []


@pytest.mark.parametrize(
    "allow",
    [
        lambda role: role.add_to_principal_policy(
            iam.PolicyStatement(actions=["ec2:*"], resources=["*"])
        ),
        lambda role: role.add_managed_policy(
            iam.ManagedPolicy.from_aws_managed_policy_name(
                "service-role/AWSLambdaVPCAccessExecutionRole"
            )
        ),
        lambda role: role.add_managed_policy(
            iam.ManagedPolicy(
                role,
                "Network",
                statements=[iam.PolicyStatement(actions=["ec2:*"], resources=["*"])],
            )
        ),
    ],
    ids=["statement", "AWS managed policy", "managed policy of the app"],
)
def test_permissions_of_the_role_cause_no_warning(
    stack: Stack, allow: Callable[[iam.Role], None]
) -> None:
    role = KinesisStreamEncryptionProvider(stack, "Provider").role
    assert isinstance(role, iam.Role)
    allow(role)
    encrypt(stack)
    change_functions(stack, set_property("vpc_config", VPC))
    assert warnings(stack) == []


def test_options_of_the_provider_cause_no_warning(stack: Stack) -> None:
    KinesisStreamEncryptionProvider(
        stack, "Provider", vpc=ec2.Vpc(stack, "Vpc"), tracing=lambda_.Tracing.ACTIVE
    )
    encrypt(stack)
    assert warnings(stack) == []


@pytest.mark.parametrize("references", ["strong", "weak"])
def test_keys_of_other_stacks_cause_no_warning(references: str) -> None:
    """With each kind of cross-stack reference."""
    app = App(context={"@aws-cdk/core:defaultCrossStackReferences": references})
    stack = Stack(app, "Stack", env=HERE)
    key = kms.Key(Stack(app, "Other", env=HERE), "Key")
    for where in (stack, NestedStack(stack, "Nested")):
        stream = stream_in(where, where.node.id)
        KinesisStreamEncryption(where, "Encryption", stream=stream, encryption_key=key)
    assert warnings(stack) == []


def test_100_streams_cause_no_warning(stack: Stack) -> None:
    """CDK merges and splits their statements."""
    for number in range(100):
        stream = stream_in(stack, f"stream-{number:03}".ljust(128, "x"))
        KinesisStreamEncryption(stack, f"Encryption{number}", stream=stream)
    assert warnings(stack) == []


@pytest.mark.parametrize("imported", [False, True])
def test_another_role_without_the_permissions_causes_a_warning(
    stack: Stack, imported: bool
) -> None:
    """An Aspect sets a role without the permissions of the default role."""
    other = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    encrypt(stack)
    arn = f"arn:aws:iam::{ACCOUNT}:role/mine" if imported else other.role_arn
    change_functions(stack, set_property("role", arn))
    (warning,) = warnings(stack)
    assert '"kinesis:StartStreamEncryption"' in warning
    assert '"logs:PutLogEvents"' in warning


def encrypt_queues(scope: IConstruct, key: str) -> None:
    change = Change(sqs.CfnQueue, lambda queue: setattr(queue, "kms_master_key_id", key))
    Aspects.of(scope).add(change)


def for_eventbridge(*actions: str, **options: Any) -> iam.PolicyStatement:
    principals = options.pop("principals", [iam.ServicePrincipal("events.amazonaws.com")])
    return iam.PolicyStatement(
        actions=list(actions), principals=principals, resources=["*"], **options
    )


@pytest.mark.parametrize("staged", [False, True])
def test_queues_with_the_aws_managed_key_are_rejected(app: App, staged: bool) -> None:
    """Its key policy does not allow EventBridge, and cannot be changed."""
    stack = Stack(Stage(app, "Stage") if staged else app, "Stack", env=HERE)
    guard(stack)
    encrypt_queues(app if not staged else stack, "alias/aws/sqs")
    error = synthesis_error(app)
    for queue in ("Queue", "DeadLetters"):
        assert re.search(
            f"EventBridge cannot send to the queue '(Stage/)?Stack/Guard/{queue}/Resource' unless "
            "the policy of the KMS key 'alias/aws/sqs' allows events.amazonaws.com "
            "kms:GenerateDataKey and kms:Decrypt",
            error,
        )


def test_the_dead_letter_queue_is_validated(app: App, stack: Stack) -> None:
    guard(stack)
    encrypt_queues(stack.node.find_child("Guard").node.find_child("DeadLetters"), "alias/aws/sqs")
    error = synthesis_error(app)
    assert "Guard/DeadLetters/Resource" in error
    assert "Guard/Queue/Resource" not in error


def test_an_override_of_the_queue_key_is_validated(app: App, stack: Stack) -> None:
    resource = guard(stack).queue.node.default_child
    assert isinstance(resource, sqs.CfnQueue)
    resource.add_property_override("KmsMasterKeyId", "alias/aws/sqs")
    assert "Stack/Guard/Queue/Resource" in synthesis_error(app)


def test_other_queues_are_not_validated(app: App, stack: Stack) -> None:
    guard(stack)
    sqs.Queue(stack, "Other", encryption=sqs.QueueEncryption.KMS_MANAGED)
    app.synth()


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [for_eventbridge("kms:Decrypt")],
        [for_eventbridge("kms:*", effect=iam.Effect.DENY)],
        [for_eventbridge("kms:*", principals=[iam.ServicePrincipal("sns.amazonaws.com")])],
    ],
    ids=["none", "decrypt", "deny", "another service"],
)
def test_a_key_that_eventbridge_cannot_use_is_rejected(
    app: App, stack: Stack, statements: list[iam.PolicyStatement]
) -> None:
    key = kms.Key(stack, "Key")
    for statement in statements:
        key.add_to_resource_policy(statement)
    guard(stack)
    encrypt_queues(stack, key.key_arn)
    assert re.search(
        "queue 'Stack/Guard/Queue/Resource'.* key '.{Key.*add a statement to the key policy",
        synthesis_error(app),
    )


@pytest.mark.parametrize(
    "statements",
    [
        [for_eventbridge("kms:GenerateDataKey", "kms:Decrypt")],
        [for_eventbridge("kms:GenerateDataKey*"), for_eventbridge("kms:Decrypt")],
        [
            for_eventbridge(
                "kms:*",
                principals=[
                    iam.ServicePrincipal("sns.amazonaws.com"),
                    iam.ServicePrincipal("events.amazonaws.com"),
                ],
                conditions={"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            )
        ],
    ],
    ids=["exact", "two", "wildcard"],
)
@pytest.mark.parametrize("by", ["key_arn", "key_id"])
def test_a_key_that_eventbridge_can_use_is_accepted(
    stack: Stack, statements: list[iam.PolicyStatement], by: str
) -> None:
    """The role of the function needs permission on the key, too."""
    key = kms.Key(stack, "Key")
    for statement in statements:
        key.add_to_resource_policy(statement)
    guard(stack)
    encrypt_queues(stack, getattr(key, by))
    (warning,) = warnings(stack)
    assert "missingPermissions" in warning
    for action in DELIVERY:
        assert f'"{action}"' in warning


def test_a_key_that_eventbridge_and_the_function_can_use_causes_no_warning(stack: Stack) -> None:
    key = kms.Key(stack, "Key")
    key.add_to_resource_policy(for_eventbridge("kms:GenerateDataKey", "kms:Decrypt"))
    key.grant_encrypt_decrypt(guard(stack).function)
    encrypt_queues(stack, key.key_arn)
    assert warnings(stack) == []


def test_conditional_actions_of_a_key_policy_are_read(stack: Stack) -> None:
    """As in existing templates; both branches count."""
    key = kms.Key(stack, "Key")
    actions = Fn.condition_if("IsProduction", [*DELIVERY], "kms:*")
    statement = for_eventbridge("kms:*").to_statement_json() | {"Action": actions}
    resource = cast(kms.CfnKey, key.node.default_child)
    resource.add_property_override("KeyPolicy.Statement", [statement])
    guard(stack)
    encrypt_queues(stack, key.key_arn)
    (warning,) = warnings(stack)
    assert "missingPermissions" in warning


@pytest.mark.parametrize(
    "key", [KEY_ARN, "alias/mine", Fn.import_value("key")], ids=["ARN", "alias", "import"]
)
def test_a_key_outside_the_template_causes_a_warning(stack: Stack, key: str) -> None:
    guard(stack)
    encrypt_queues(stack, key)
    found = [each for each in warnings(stack) if "queueKey" in each]
    assert len(found) == 2
    for each in found:
        assert "because the key is not in the template of the queue" in each


def test_warnings_can_be_acknowledged(stack: Stack) -> None:
    guard(stack)
    encrypt_queues(stack, KEY_ARN)
    for id_ in ("queueKey", "missingPermissions"):
        Acknowledgeable.of(stack).acknowledge_warning(f"cdk-kinesis-stream-encryption:{id_}", "ok")
    assert warnings(stack) == []


@both
def test_function_that_cannot_run_is_rejected(
    stack: Stack, make: Callable[[Stack], object]
) -> None:
    make(stack)
    change_functions(stack, set_property("reserved_concurrent_executions", 0))
    with pytest.raises(RuntimeError, match="has a reserved concurrency of 0"):
        warnings(stack)


@both
def test_another_timeout_is_a_warning(stack: Stack, make: Callable[[Stack], object]) -> None:
    make(stack)
    change_functions(stack, set_property("timeout", 60))
    (warning,) = warnings(stack)
    assert "the timeout of the function is 60 instead of " in warning


@both
def test_code_signing_causes_a_warning(stack: Stack, make: Callable[[Stack], object]) -> None:
    make(stack)
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0"
    change_functions(stack, set_property("code_signing_config_arn", arn))
    (warning,) = warnings(stack)
    assert "CDK does not sign its code" in warning


@pytest.mark.parametrize(
    "key",
    [
        lambda stack: kms.Key(stack, "Key"),
        lambda stack: kms.Alias.from_alias_name(stack, "Key", "alias/aws/sns"),
    ],
    ids=["customer managed", "AWS managed"],
)
def test_an_alarm_topic_that_cloudwatch_cannot_use_is_rejected(
    app: App, stack: Stack, key: Callable[[Stack], kms.IKey]
) -> None:
    """CloudWatch reports it in the history of the alarm only."""
    topic = sns.Topic(stack, "Topic", master_key=key(stack))
    guard(stack).alarms(SnsAction(topic))
    error = synthesis_error(app)
    assert error.count("CloudWatch cannot send to the topic '${Topic") == 1
    assert "allows cloudwatch.amazonaws.com kms:GenerateDataKey and kms:Decrypt: " in error


def test_an_alarm_topic_that_cloudwatch_can_use_is_accepted(stack: Stack) -> None:
    key = kms.Key(stack, "Key")
    cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
    key.grant(cloudwatch, "kms:Decrypt", "kms:GenerateDataKey*")
    guard(stack).alarms(SnsAction(sns.Topic(stack, "Topic", master_key=key)))
    assert warnings(stack) == []


@pytest.mark.parametrize(
    "topic",
    [
        lambda stack: sns.Topic(stack, "Topic"),
        lambda stack: sns.Topic.from_topic_arn(stack, "Topic", TOPIC_ARN),
        lambda stack: sns.Topic(
            stack, "Topic", master_key=kms.Key.from_key_arn(stack, "Key", KEY_ARN)
        ),
    ],
    ids=["unencrypted", "imported", "imported key"],
)
def test_other_alarm_topics_cause_no_warning(
    stack: Stack, topic: Callable[[Stack], sns.ITopic]
) -> None:
    guard(stack).alarms(SnsAction(topic(stack)))
    assert warnings(stack) == []


@pytest.mark.parametrize("remediation", [None, Remediation()], ids=["guard", "remediation"])
def test_a_topic_that_an_aspect_encrypts_causes_a_warning(
    stack: Stack, remediation: Remediation | None
) -> None:
    """The functions could not publish to it."""
    guard(
        stack,
        encryption_key=kms.Key.from_key_arn(stack, "Key", KEY_ARN),
        notification_topic=sns.Topic(stack, "Topic"),
        remediation=remediation,
    )
    key = kms.Key(stack, "TopicKey")
    change = Change(sns.CfnTopic, lambda topic: setattr(topic, "kms_master_key_id", key.key_arn))
    Aspects.of(stack).add(change)
    found = warnings(stack)
    assert len(found) == (2 if remediation else 1)
    for warning in found:
        assert '"Action": ["kms:GenerateDataKey", "kms:Decrypt"]' in warning
        assert "${TopicKey" in warning
