"""The construct wherever aws-cdk-lib accepts a stream."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aws_cdk
import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_logs_destinations as logs_destinations
from aws_cdk import aws_pipes as pipes
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.cloud import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    TYPE,
    Resource,
    as_list,
    filled_in,
    only,
    resources,
    stream_arn,
    stream_in,
    waits_for,
    warnings,
)

STREAM = stream_arn("orders")
CONTEXT = {"StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": STREAM}}

# --- Integrations that grant permissions to a principal -------------------------------------------

READ = (
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamConsumer",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
    "kinesis:ListStreams",
    "kinesis:SubscribeToShard",
)
WRITE = ("kinesis:ListShards", "kinesis:PutRecord", "kinesis:PutRecords")

Declare = Callable[[Stack, KinesisStreamEncryption], Construct]


@dataclass(frozen=True)
class Integration:
    """One of CDK's own uses of a stream.

    Attributes
    ----------
    accepts
        The parameter or property of type ``IStream`` that it covers.
    declare
        Passes the construct to it, and returns the construct that uses the stream.
    service
        Service principal that assumes the role.
    stream
        Actions that the role is allowed on the stream.
    key
        Action that the role needs on the key.
    other
        Permissions of the role that concern neither: actions, and the resource they are for.
    waits
        Resource type that waits for the role's permissions, if CDK makes one wait.
    """

    accepts: str
    declare: Declare
    service: str
    stream: Sequence[str]
    key: str
    other: Sequence[tuple[str, str]] = ()
    waits: str | None = None


def function_in(stack: Stack) -> lambda_.Function:
    return lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
    )


def event_source(stack: Stack, encryption: KinesisStreamEncryption) -> Construct:
    function = function_in(stack)
    start = lambda_.StartingPosition.LATEST
    function.add_event_source(event_sources.KinesisEventSource(encryption, starting_position=start))
    return function


def enhanced_fan_out(stack: Stack, encryption: KinesisStreamEncryption) -> Construct:
    function = function_in(stack)
    consumer = kinesis.StreamConsumer(
        stack, "Consumer", stream=encryption, stream_consumer_name="consumer"
    )
    start = lambda_.StartingPosition.LATEST
    function.add_event_source(
        event_sources.KinesisConsumerEventSource(consumer, starting_position=start)
    )
    return function


def rule(stack: Stack, encryption: KinesisStreamEncryption) -> Construct:
    return events.Rule(
        stack,
        "Rule",
        event_pattern=events.EventPattern(source=["app.orders"]),
        targets=[events_targets.KinesisStream(encryption)],
    )


def subscription_filter(stack: Stack, encryption: KinesisStreamEncryption) -> Construct:
    return logs.SubscriptionFilter(
        stack,
        "Filter",
        log_group=logs.LogGroup(stack, "Group"),
        destination=logs_destinations.KinesisDestination(encryption),
        filter_pattern=logs.FilterPattern.all_events(),
    )


def delivery_stream(stack: Stack, encryption: KinesisStreamEncryption) -> Any:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "archive")
    return firehose.DeliveryStream(
        stack,
        "Delivery",
        source=firehose.KinesisStreamSource(encryption),
        destination=firehose.S3Bucket(bucket, logging_config=firehose.DisableLogging()),
    )


def schedule(stack: Stack, encryption: KinesisStreamEncryption) -> Any:
    return scheduler.Schedule(
        stack,
        "Schedule",
        schedule=scheduler.ScheduleExpression.cron(minute="0"),
        target=scheduler_targets.KinesisStreamPutRecord(encryption, partition_key="1"),
    )


def real_time_log(stack: Stack, encryption: KinesisStreamEncryption) -> Any:
    return cloudfront.RealtimeLogConfig(
        stack,
        "Log",
        end_points=[cloudfront.Endpoint.from_kinesis_stream(encryption)],
        fields=["timestamp"],
        sampling_rate=100,
    )


def agent_memory(stack: Stack, encryption: KinesisStreamEncryption) -> Any:
    content = agentcore.StreamDeliveryContentConfiguration(
        level=agentcore.StreamDeliveryContentLevel.METADATA_ONLY,
        type=agentcore.StreamDeliveryContentType.MEMORY_RECORDS,
    )
    delivery = agentcore.StreamDeliveryResource.kinesis(
        encryption, content_configurations=[content]
    )
    return agentcore.Memory(stack, "Memory", stream_delivery_resources=[delivery])


INTEGRATIONS = [
    Integration(
        "aws_lambda_event_sources.KinesisEventSource(stream)",
        event_source,
        "lambda.amazonaws.com",
        READ,
        "kms:Decrypt",
        waits="AWS::Lambda::EventSourceMapping",
    ),
    Integration(
        "aws_kinesis.StreamConsumerProps.stream",
        enhanced_fan_out,
        "lambda.amazonaws.com",
        READ,
        "kms:Decrypt",
        other=[
            ("kinesis:DescribeStreamConsumer", "AWS::Kinesis::StreamConsumer"),
            ("kinesis:SubscribeToShard", "AWS::Kinesis::StreamConsumer"),
        ],
        waits="AWS::Lambda::EventSourceMapping",
    ),
    Integration(
        "aws_events_targets.KinesisStream(stream)",
        rule,
        "events.amazonaws.com",
        WRITE,
        "kms:GenerateDataKey",
    ),
    Integration(
        "aws_logs_destinations.KinesisDestination(stream)",
        subscription_filter,
        "logs.amazonaws.com",
        WRITE,
        "kms:GenerateDataKey",
        other=[("iam:PassRole", "AWS::IAM::Role")],
        waits="AWS::Logs::SubscriptionFilter",
    ),
    Integration(
        "aws_kinesisfirehose.KinesisStreamSource(stream)",
        delivery_stream,
        "firehose.amazonaws.com",
        READ,
        "kms:Decrypt",
        waits="AWS::KinesisFirehose::DeliveryStream",
    ),
    Integration(
        "aws_scheduler_targets.KinesisStreamPutRecord(stream)",
        schedule,
        "scheduler.amazonaws.com",
        ("kinesis:PutRecord", "kinesis:PutRecords"),
        "kms:GenerateDataKey",
    ),
    Integration(
        "aws_cloudfront.Endpoint.fromKinesisStream(stream)",
        real_time_log,
        "cloudfront.amazonaws.com",
        (
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:PutRecord",
            "kinesis:PutRecords",
        ),
        "kms:GenerateDataKey",
    ),
    Integration(
        "aws_bedrockagentcore.StreamDeliveryResource.kinesis(stream)",
        agent_memory,
        "bedrock-agentcore.amazonaws.com",
        ("kinesis:DescribeStream", *WRITE),
        "kms:GenerateDataKey",
        waits="AWS::BedrockAgentCore::Memory",
    ),
]

# --- Properties that take the stream's ARN or name and grant nothing ------------------------------


@dataclass(frozen=True)
class Reference:
    """A property that identifies the stream.

    Attributes
    ----------
    accepts
        The parameters or properties of type ``IStream`` or ``IStreamRef`` that it covers.
    declare
        Passes the construct.
    found
        Resource type, and the path in its properties at which the stream has to be found.
    value
        What has to be found there.
    """

    accepts: str
    declare: Callable[[Stack, KinesisStreamEncryption], object]
    found: tuple[str, Sequence[str | int]]
    value: str = STREAM


def table(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    """DynamoDB writes with a service-linked role that may use every key of the account.

    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/DynamoDBKinesisReplicationServiceRolePolicy.html
    """
    return dynamodb.Table(stack, "Table", partition_key=PARTITION_KEY, kinesis_stream=encryption)


def table_v2(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    return dynamodb.TableV2(stack, "Table", partition_key=PARTITION_KEY, kinesis_stream=encryption)


def resource_policy(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    statement = iam.PolicyStatement(
        principals=[iam.AccountPrincipal("444455556666")],
        actions=["kinesis:PutRecord"],
        resources=[encryption.stream_arn],
    )
    document = iam.PolicyDocument(statements=[statement])
    return kinesis.ResourcePolicy(stack, "Policy", stream=encryption, policy_document=document)


def cfn_resource_policy(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    return kinesis.CfnResourcePolicy(stack, "Policy", resource_arn=encryption, resource_policy={})


def cfn_pipe(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    return pipes.CfnPipe(stack, "Pipe", source=encryption, role_arn="role", target="target")


def cfn_event_source_mapping(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    return lambda_.CfnEventSourceMapping(
        stack, "Mapping", function_name="function", event_source_arn=encryption
    )


def cfn_destination(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    return logs.CfnDestination(
        stack, "Destination", destination_name="to", role_arn="role", target_arn=encryption
    )


def cfn_subscription_filter(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    return logs.CfnSubscriptionFilter(
        stack,
        "Filter",
        log_group_name="group",
        filter_pattern="",
        destination_arn=encryption,
    )


def cfn_delivery_stream(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    return firehose.CfnDeliveryStream(stack, "Delivery", delivery_stream_name=encryption)


def arn_for_stream(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    return aws_cdk.CfnResource(
        stack,
        "Any",
        type="Any::Any::Any",
        properties={"Arn": kinesis.CfnStream.arn_for_stream(encryption)},
    )


PARTITION_KEY = dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING)

REFERENCES = [
    Reference(
        "aws_dynamodb.TableProps.kinesisStream",
        table,
        ("AWS::DynamoDB::Table", ["KinesisStreamSpecification", "StreamArn"]),
    ),
    Reference(
        "aws_dynamodb.TableOptionsV2.kinesisStream",
        table_v2,
        (
            "AWS::DynamoDB::GlobalTable",
            ["Replicas", 0, "KinesisStreamSpecification", "StreamArn"],
        ),
    ),
    Reference(
        "aws_kinesis.ResourcePolicyProps.stream",
        resource_policy,
        ("AWS::Kinesis::ResourcePolicy", ["ResourceArn"]),
    ),
    Reference(
        "aws_kinesis.CfnResourcePolicyProps.resourceArn",
        cfn_resource_policy,
        ("AWS::Kinesis::ResourcePolicy", ["ResourceArn"]),
    ),
    Reference(
        "aws_kinesis.CfnStream.arnForStream(resource)",
        arn_for_stream,
        ("Any::Any::Any", ["Arn"]),
    ),
    Reference(
        "aws_pipes.CfnPipeProps.source",
        cfn_pipe,
        ("AWS::Pipes::Pipe", ["Source"]),
    ),
    Reference(
        "aws_lambda.CfnEventSourceMappingProps.eventSourceArn",
        cfn_event_source_mapping,
        ("AWS::Lambda::EventSourceMapping", ["EventSourceArn"]),
    ),
    Reference(
        "aws_logs.CfnDestinationProps.targetArn",
        cfn_destination,
        ("AWS::Logs::Destination", ["TargetArn"]),
    ),
    Reference(
        "aws_logs.CfnSubscriptionFilterProps.destinationArn",
        cfn_subscription_filter,
        ("AWS::Logs::SubscriptionFilter", ["DestinationArn"]),
    ),
    Reference(
        "aws_kinesisfirehose.CfnDeliveryStreamProps.deliveryStreamName",
        cfn_delivery_stream,
        ("AWS::KinesisFirehose::DeliveryStream", ["DeliveryStreamName"]),
        value="orders",
    ),
]

# --- Completeness ---------------------------------------------------------------------------------

EXCEPTIONS = {
    "aws_bedrockagentcore.StreamDeliveryResource.stream": "returns the stream that was passed",
    "aws_kinesis.IStreamConsumer.stream": "returns the stream that was passed",
    "aws_kinesis.StreamConsumer.stream": "returns the stream that was passed",
    "aws_lambda_event_sources.KinesisEventSource.stream": "returns the stream that was passed",
}


@pytest.fixture(scope="module")
def types() -> dict[str, dict[str, Any]]:
    """Types of aws-cdk-lib by their qualified names without that of the package."""
    (package,) = (Path(aws_cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.jsii.tgz")
    with tarfile.open(package) as archive:
        compressed = archive.extractfile("package/.jsii.gz")
        assert compressed
        assembly = json.loads(gzip.decompress(compressed.read()))
    prefix = f"{assembly['name']}."
    return {name.removeprefix(prefix): each for name, each in assembly["types"].items()}


def accept_a_stream(types: dict[str, dict[str, Any]]) -> set[str]:
    """Names of all parameters and properties whose type is, or contains, that of a stream."""
    stream = "aws_kinesis.IStream"
    streams = {stream, *(name for name in supertypes(types, stream) if "aws_kinesis" in name)}
    found = set()
    for name, each in types.items():
        for method in [*each.get("methods", []), *as_list(each.get("initializer", []))]:
            for parameter in method.get("parameters", []):
                if streams & mentioned(parameter["type"]):
                    called = f".{method['name']}" if "name" in method else ""
                    found.add(f"{name}{called}({parameter['name']})")
        for property_ in each.get("properties", []):
            if streams & mentioned(property_["type"]):
                found.add(f"{name}.{property_['name']}")
    return found


def supertypes(types: dict[str, dict[str, Any]], name: str) -> set[str]:
    """Names of all interfaces that an interface extends."""
    direct = {each.split(".", 1)[1] for each in types[name].get("interfaces", [])}
    return direct.union(*(supertypes(types, each) for each in direct & types.keys()))


def mentioned(type_: Any) -> set[str]:
    """Names of all types in a type, in collections and unions too."""
    match type_:
        case {"fqn": str(name)}:
            return {name.split(".", 1)[1]}
        case dict():
            return set().union(*map(mentioned, type_.values()))
        case list():
            return set().union(*map(mentioned, type_))
    return set()


def test_everything_in_aws_cdk_lib_that_accepts_a_stream_is_covered(
    types: dict[str, dict[str, Any]],
) -> None:
    covered = {each.accepts for each in INTEGRATIONS} | {each.accepts for each in REFERENCES}
    assert accept_a_stream(types) == covered | EXCEPTIONS.keys()


def test_every_member_of_a_stream_is_implemented(types: dict[str, dict[str, Any]]) -> None:
    """Missing ones are `undefined` in JavaScript."""
    interfaces = {"aws_kinesis.IStream", *supertypes(types, "aws_kinesis.IStream")} & types.keys()
    members = {
        aws_cdk_name(member["name"])
        for name in interfaces
        for member in [*types[name].get("methods", []), *types[name].get("properties", [])]
    }
    assert {"grant_read", "stream_ref", "metric_get_records", "apply_removal_policy"} < members
    assert [each for each in members if not hasattr(KinesisStreamEncryption, each)] == []


def aws_cdk_name(name: str) -> str:
    """A member's name as Python spells it."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


# --- Permissions ----------------------------------------------------------------------------------

Permission = tuple[str, str, str]
"""Action, resource and condition."""

Keys = Callable[[Stack], tuple[kms.IKey, list[kms.IKey]]]

FORMER_KEY_ARN = f"{KEY_ARN[:-1]}f"


def key_of_the_app(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    return kms.Key(stack, "Key"), []


def imported_key(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    return kms.Key.from_key_arn(stack, "Key", KEY_ARN), []


def alias(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    return kms.Alias.from_alias_name(stack, "Alias", "alias/orders"), []


def aws_managed_key(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    return kms.Alias.from_alias_name(stack, "Alias", "alias/aws/kinesis"), []


def previous_key(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    previous = kms.Key.from_key_arn(stack, "Previous", FORMER_KEY_ARN)
    return kms.Key(stack, "Key"), [previous]


ANY_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"
BY_ALIAS = {**CONTEXT, "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/orders"}}

KEYS: dict[Keys, tuple[list[tuple[str, Any]], list[tuple[str, Any]]]] = {
    key_of_the_app: ([("AWS::KMS::Key", CONTEXT)], []),
    imported_key: ([(KEY_ARN, CONTEXT)], []),
    alias: ([(ANY_KEY, BY_ALIAS)], []),
    aws_managed_key: ([], []),
    previous_key: ([("AWS::KMS::Key", CONTEXT)], [(FORMER_KEY_ARN, CONTEXT)]),
}
"""Resources and conditions of the permissions to the key, and to the previous keys."""


@dataclass(frozen=True)
class Declared:
    """An integration in a stack of its own, and the role that CDK made for it."""

    stack: Stack
    construct: Construct
    encryption: KinesisStreamEncryption

    @property
    def template(self) -> dict[str, Resource]:
        return resources(self.stack)

    @property
    def role(self) -> str:
        """Logical ID of the only role that is allowed to read or write records."""
        record_level = {"kinesis:GetRecords", "kinesis:PutRecord"}
        (role,) = (
            id_
            for id_ in resources(self.stack, "AWS::IAM::Role")
            if record_level & {action for action, _, _ in permissions(self.template, id_)}
        )
        return role

    @property
    def key_policies(self) -> set[str]:
        """Logical IDs of the role's policies that mention KMS."""
        return {
            id_
            for id_, each in policies_of(self.template, self.role).items()
            if "kms:" in json.dumps(each["Properties"])
        }


def policies_of(template: dict[str, Resource], role: str) -> dict[str, Resource]:
    return {
        id_: each
        for id_, each in template.items()
        if each["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        and {"Ref": role} in each["Properties"].get("Roles", [])
    }


def permissions(template: dict[str, Resource], role: str) -> list[Permission]:
    """All that the policies of a role allow, sorted; resources of the template by their types."""

    def resource(value: Any) -> str:
        match value:
            case {"Ref": str(id_)} | {"Fn::GetAtt": [str(id_), _]} if id_ in template:
                return str(template[id_]["Type"])
        return str(filled_in(value))

    documents = [
        each["Properties"]["PolicyDocument"] for each in policies_of(template, role).values()
    ]
    inline = template[role]["Properties"].get("Policies", [])
    return sorted(
        permission(action, resource(target), statement.get("Condition"))
        for document in [*documents, *(each["PolicyDocument"] for each in inline)]
        for statement in document["Statement"]
        for action in as_list(statement["Action"])
        for target in as_list(statement["Resource"])
    )


def permission(action: str, resource: str, condition: Any = None) -> Permission:
    return action, resource, json.dumps(condition, sort_keys=True)


@pytest.fixture(scope="module", params=KEYS, ids=lambda keys: keys.__name__)
def keys(request: pytest.FixtureRequest) -> Keys:
    return cast("Keys", request.param)


@pytest.fixture(scope="module")
def app_with_all(keys: Keys) -> dict[str, Declared]:
    """Each integration in its stack, by the function that declares it."""
    return {each.accepts: declare(each.declare, keys) for each in INTEGRATIONS}


def declare(integration: Declare, keys: Keys = key_of_the_app) -> Declared:
    stack = Stack(App(), "Stack", env=HERE)
    key, previous = keys(stack)
    encryption = KinesisStreamEncryption(
        stack,
        "Encryption",
        stream=stream_in(stack),
        encryption_key=key,
        previous_keys=previous,
    )
    return Declared(stack, integration(stack, encryption), encryption)


@pytest.fixture(params=INTEGRATIONS, ids=lambda each: each.declare.__name__)
def integration(request: pytest.FixtureRequest) -> Integration:
    return cast("Integration", request.param)


@pytest.fixture
def declared(app_with_all: dict[str, Declared], integration: Integration) -> Declared:
    return app_with_all[integration.accepts]


def test_principal_has_exactly_the_permissions_that_it_needs(
    declared: Declared, integration: Integration, keys: Keys
) -> None:
    current, previous = KEYS[keys]
    expected = [
        *(permission(action, STREAM) for action in integration.stream),
        *(permission(action, resource) for action, resource in integration.other),
        *(permission(integration.key, *each) for each in current),
    ]
    if integration.key == "kms:Decrypt":
        expected += [permission("kms:Decrypt", *each) for each in previous]
    assert permissions(declared.template, declared.role) == sorted(expected)
    trusted = declared.template[declared.role]["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = trusted["Statement"]
    assert statement["Principal"] == {"Service": integration.service}


def test_each_key_has_one_policy_that_the_custom_resource_waits_for(
    declared: Declared, integration: Integration, keys: Keys
) -> None:
    current, previous = KEYS[keys]
    expected = len(current) + (len(previous) if integration.key == "kms:Decrypt" else 0)
    assert len(declared.key_policies) == expected
    for id_ in declared.key_policies:
        document = declared.template[id_]["Properties"]["PolicyDocument"]
        assert all("kms:" in str(each["Action"]) for each in document["Statement"])
    assert declared.key_policies <= set(only(declared.stack, TYPE)["DependsOn"])


def test_what_waits_for_the_permissions_to_the_stream_waits_for_those_to_the_key(
    declared: Declared, integration: Integration
) -> None:
    template = declared.template
    others = policies_of(template, declared.role).keys() - declared.key_policies
    assert others
    for id_ in others:
        assert declared.key_policies <= waits_for(template, id_)
    if integration.waits:
        (id_,) = resources(declared.stack, integration.waits)
        assert declared.key_policies <= waits_for(template, id_)


def test_the_stream_is_given_by_its_own_arn(declared: Declared) -> None:
    """An attribute of the custom resource would be a cycle in a policy that it waits for."""
    (custom,) = resources(declared.stack, TYPE)
    elsewhere = {id_: each for id_, each in declared.template.items() if id_ != custom}
    assert custom not in json.dumps([each["Properties"] for each in elsewhere.values()])
    assert STREAM in json.dumps(elsewhere)


def test_an_event_source_that_is_deployed_already_can_stay() -> None:
    """Lambda rejects a second mapping of a function and a stream."""

    def mappings(*, encrypted: bool) -> dict[str, Resource]:
        stack = Stack(App(), "Stack", env=HERE)
        stream, function = stream_in(stack), function_in(stack)
        start = lambda_.StartingPosition.LATEST
        function.add_event_source(event_sources.KinesisEventSource(stream, starting_position=start))
        if encrypted:
            encryption = KinesisStreamEncryption(
                stack, "Encryption", stream=stream, encryption_key=kms.Key(stack, "Key")
            )
            encryption.grant_read(function)
            assert warnings(stack) == []
        return resources(stack, "AWS::Lambda::EventSourceMapping")

    assert mappings(encrypted=True).keys() == mappings(encrypted=False).keys()


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda each: each.accepts)
def test_properties_that_identify_the_stream_grant_nothing(
    stack: Stack, reference: Reference
) -> None:
    encryption = KinesisStreamEncryption(
        stack, "Encryption", stream=stream_in(stack), encryption_key=kms.Key(stack, "Key")
    )
    reference.declare(stack, encryption)
    type_, path = reference.found
    value: Any = only(stack, type_)["Properties"]
    for step in path:
        value = value[step]
    assert value == reference.value
    granted = {
        id_ for id_, each in resources(stack).items() if each["Type"].startswith("AWS::IAM::")
    }
    assert all(id_.startswith("KinesisStreamEncryptionProvider") for id_ in granted)
