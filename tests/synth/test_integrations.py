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
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    TYPE,
    Resource,
    as_list,
    encrypt,
    filled_in,
    function_in,
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
    """A CDK integration that accepts a stream.

    Attributes
    ----------
    accepts
        The parameter or property of type ``IStream`` that it covers.
    declare
        Declares the integration, and returns the construct that uses the stream.
    service
        Service principal that assumes the role.
    stream
        Actions that the role is allowed on the stream.
    key
        Action that the role needs on the key.
    other
        Other permissions of the role: actions and resources.
    waits
        Resource type that depends on the permissions of the role, if there is one.
    """

    accepts: str
    declare: Declare
    service: str
    stream: Sequence[str]
    key: str
    other: Sequence[tuple[str, str]] = ()
    waits: str | None = None


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

# --- Properties that contain the ARN or name of the stream and grant nothing ----------------------


@dataclass(frozen=True)
class Reference:
    """A property that identifies the stream.

    Attributes
    ----------
    accepts
        The parameters or properties of type ``IStream`` or ``IStreamRef`` that it covers.
    declare
        Declares a construct with the property.
    found
        Resource type, and the path of the property.
    value
        Expected value of the property.
    """

    accepts: str
    declare: Callable[[Stack, KinesisStreamEncryption], object]
    found: tuple[str, Sequence[str | int]]
    value: str = STREAM


def resource_policy(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    statement = iam.PolicyStatement(
        principals=[iam.AccountPrincipal("444455556666")],
        actions=["kinesis:PutRecord"],
        resources=[encryption.stream_arn],
    )
    document = iam.PolicyDocument(statements=[statement])
    return kinesis.ResourcePolicy(stack, "Policy", stream=encryption, policy_document=document)


def arn_for_stream(stack: Stack, encryption: KinesisStreamEncryption) -> object:
    arn = kinesis.CfnStream.arn_for_stream(encryption)
    return aws_cdk.CfnResource(stack, "Any", type="Any::Any::Any", properties={"Arn": arn})


PARTITION_KEY = dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING)

REFERENCES = [
    # DynamoDB writes with a service-linked role that has access to all keys of the account:
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/DynamoDBKinesisReplicationServiceRolePolicy.html
    Reference(
        "aws_dynamodb.TableProps.kinesisStream",
        lambda stack, encryption: dynamodb.Table(
            stack, "Table", partition_key=PARTITION_KEY, kinesis_stream=encryption
        ),
        ("AWS::DynamoDB::Table", ["KinesisStreamSpecification", "StreamArn"]),
    ),
    Reference(
        "aws_dynamodb.TableOptionsV2.kinesisStream",
        lambda stack, encryption: dynamodb.TableV2(
            stack, "Table", partition_key=PARTITION_KEY, kinesis_stream=encryption
        ),
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
        lambda stack, encryption: kinesis.CfnResourcePolicy(
            stack, "Policy", resource_arn=encryption, resource_policy={}
        ),
        ("AWS::Kinesis::ResourcePolicy", ["ResourceArn"]),
    ),
    Reference(
        "aws_kinesis.CfnStream.arnForStream(resource)",
        arn_for_stream,
        ("Any::Any::Any", ["Arn"]),
    ),
    Reference(
        "aws_pipes.CfnPipeProps.source",
        lambda stack, encryption: pipes.CfnPipe(
            stack, "Pipe", source=encryption, role_arn="role", target="target"
        ),
        ("AWS::Pipes::Pipe", ["Source"]),
    ),
    Reference(
        "aws_lambda.CfnEventSourceMappingProps.eventSourceArn",
        lambda stack, encryption: lambda_.CfnEventSourceMapping(
            stack, "Mapping", function_name="function", event_source_arn=encryption
        ),
        ("AWS::Lambda::EventSourceMapping", ["EventSourceArn"]),
    ),
    Reference(
        "aws_logs.CfnDestinationProps.targetArn",
        lambda stack, encryption: logs.CfnDestination(
            stack, "Destination", destination_name="to", role_arn="role", target_arn=encryption
        ),
        ("AWS::Logs::Destination", ["TargetArn"]),
    ),
    Reference(
        "aws_logs.CfnSubscriptionFilterProps.destinationArn",
        lambda stack, encryption: logs.CfnSubscriptionFilter(
            stack, "Filter", log_group_name="g", filter_pattern="", destination_arn=encryption
        ),
        ("AWS::Logs::SubscriptionFilter", ["DestinationArn"]),
    ),
    Reference(
        "aws_kinesisfirehose.CfnDeliveryStreamProps.deliveryStreamName",
        lambda stack, encryption: firehose.CfnDeliveryStream(
            stack, "Delivery", delivery_stream_name=encryption
        ),
        ("AWS::KinesisFirehose::DeliveryStream", ["DeliveryStreamName"]),
        value="orders",
    ),
]

# --- Completeness ---------------------------------------------------------------------------------

EXCLUDED = {
    "aws_bedrockagentcore.StreamDeliveryResource.stream": "returns the stream that was passed",
    "aws_kinesis.IStreamConsumer.stream": "returns the stream that was passed",
    "aws_kinesis.StreamConsumer.stream": "returns the stream that was passed",
    "aws_lambda_event_sources.KinesisEventSource.stream": "returns the stream that was passed",
}


@pytest.fixture(scope="module")
def types() -> dict[str, dict[str, Any]]:
    """Types of aws-cdk-lib by their qualified names, without the package name."""
    (package,) = (Path(aws_cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.jsii.tgz")
    with tarfile.open(package) as archive:
        compressed = archive.extractfile("package/.jsii.gz")
        assert compressed
        assembly = json.loads(gzip.decompress(compressed.read()))
    prefix = f"{assembly['name']}."
    return {name.removeprefix(prefix): each for name, each in assembly["types"].items()}


def uses_of_a_stream(types: dict[str, dict[str, Any]]) -> set[str]:
    """Names of all parameters and properties whose type is or contains a stream."""
    stream = "aws_kinesis.IStream"
    streams = {stream, *(name for name in supertypes(types, stream) if "aws_kinesis" in name)}
    found = set()
    for name, each in types.items():
        for method in [*each.get("methods", []), *as_list(each.get("initializer", []))]:
            for parameter in method.get("parameters", []):
                if streams & types_in(parameter["type"]):
                    method_name = f".{method['name']}" if "name" in method else ""
                    found.add(f"{name}{method_name}({parameter['name']})")
        for property_ in each.get("properties", []):
            if streams & types_in(property_["type"]):
                found.add(f"{name}.{property_['name']}")
    return found


def supertypes(types: dict[str, dict[str, Any]], name: str) -> set[str]:
    """Names of all interfaces that an interface extends."""
    direct = {each.split(".", 1)[1] for each in types[name].get("interfaces", [])}
    return direct.union(*(supertypes(types, each) for each in direct & types.keys()))


def types_in(type_: Any) -> set[str]:
    """Names of all types in a type, including collections and unions."""
    match type_:
        case {"fqn": str(name)}:
            return {name.split(".", 1)[1]}
        case dict():
            return set().union(*map(types_in, type_.values()))
        case list():
            return set().union(*map(types_in, type_))
    return set()


def test_every_use_of_a_stream_in_aws_cdk_lib_is_covered(
    types: dict[str, dict[str, Any]],
) -> None:
    covered = {each.accepts for each in INTEGRATIONS} | {each.accepts for each in REFERENCES}
    assert uses_of_a_stream(types) == covered | EXCLUDED.keys()


def test_every_member_of_a_stream_is_implemented(types: dict[str, dict[str, Any]]) -> None:
    """Missing members would be `undefined` in JavaScript."""
    interfaces = {"aws_kinesis.IStream", *supertypes(types, "aws_kinesis.IStream")} & types.keys()
    members = {
        python_name(member["name"])
        for name in interfaces
        for member in [*types[name].get("methods", []), *types[name].get("properties", [])]
    }
    assert {"grant_read", "stream_ref", "metric_get_records", "apply_removal_policy"} < members
    assert [each for each in members if not hasattr(KinesisStreamEncryption, each)] == []


def python_name(name: str) -> str:
    """Python name of a jsii member."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


# --- Permissions ----------------------------------------------------------------------------------

Permission = tuple[str, str, str]
"""Action, resource, and condition."""

Keys = Callable[[Stack], tuple[kms.IKey, list[kms.IKey]]]

PREVIOUS_KEY_ARN = f"{KEY_ARN[:-1]}f"


def key_of_the_app(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    return kms.Key(stack, "Key"), []


def imported_key(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    return kms.Key.from_key_arn(stack, "Key", KEY_ARN), []


def alias(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    return kms.Alias.from_alias_name(stack, "Alias", "alias/orders"), []


def aws_managed_key(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    return kms.Alias.from_alias_name(stack, "Alias", "alias/aws/kinesis"), []


def previous_key(stack: Stack) -> tuple[kms.IKey, list[kms.IKey]]:
    previous = kms.Key.from_key_arn(stack, "Previous", PREVIOUS_KEY_ARN)
    return kms.Key(stack, "Key"), [previous]


ANY_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"
BY_ALIAS = {**CONTEXT, "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/orders"}}

KEYS: dict[Keys, tuple[list[tuple[str, Any]], list[tuple[str, Any]]]] = {
    key_of_the_app: ([("AWS::KMS::Key", CONTEXT)], []),
    imported_key: ([(KEY_ARN, CONTEXT)], []),
    alias: ([(ANY_KEY, BY_ALIAS)], []),
    aws_managed_key: ([], []),
    previous_key: ([("AWS::KMS::Key", CONTEXT)], [(PREVIOUS_KEY_ARN, CONTEXT)]),
}
"""Resources and conditions of the permissions on the key and on the previous keys."""


@dataclass(frozen=True)
class Declared:
    """An integration in a separate stack, and the role that CDK creates for it."""

    stack: Stack
    construct: Construct
    encryption: KinesisStreamEncryption

    @property
    def template(self) -> dict[str, Resource]:
        return resources(self.stack)

    @property
    def role(self) -> str:
        """Logical ID of the only role with permission to read or write records."""
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
    """Sorted permissions in the policies of a role, with the types of resources in the template."""

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
def all_declared(keys: Keys) -> dict[str, Declared]:
    """All integrations, each in a separate stack."""
    return {each.accepts: declare(each.declare, keys) for each in INTEGRATIONS}


def declare(integration: Declare, keys: Keys = key_of_the_app) -> Declared:
    stack = Stack(App(), "Stack", env=HERE)
    key, previous = keys(stack)
    encryption = encrypt(stack, encryption_key=key, previous_keys=previous)
    return Declared(stack, integration(stack, encryption), encryption)


@pytest.fixture(params=INTEGRATIONS, ids=lambda each: each.declare.__name__)
def integration(request: pytest.FixtureRequest) -> Integration:
    return cast("Integration", request.param)


@pytest.fixture
def declared(all_declared: dict[str, Declared], integration: Integration) -> Declared:
    return all_declared[integration.accepts]


def test_principal_has_exactly_the_required_permissions(
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


def test_resources_that_wait_for_stream_permissions_wait_for_key_permissions(
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


def test_integrations_receive_the_literal_stream_arn(declared: Declared) -> None:
    """An attribute of the custom resource would be a circular dependency in its policies."""
    (custom,) = resources(declared.stack, TYPE)
    others = {id_: each for id_, each in declared.template.items() if id_ != custom}
    assert custom not in json.dumps([each["Properties"] for each in others.values()])
    assert STREAM in json.dumps(others)


def test_a_deployed_event_source_mapping_is_not_replaced() -> None:
    """Lambda rejects a second mapping of a function and a stream."""

    def mappings(*, encrypted: bool) -> dict[str, Resource]:
        stack = Stack(App(), "Stack", env=HERE)
        stream, function = stream_in(stack), function_in(stack)
        start = lambda_.StartingPosition.LATEST
        function.add_event_source(event_sources.KinesisEventSource(stream, starting_position=start))
        if encrypted:
            encryption = encrypt(stack, stream=stream, encryption_key=kms.Key(stack, "Key"))
            encryption.grant_read(function)
            assert warnings(stack) == []
        return resources(stack, "AWS::Lambda::EventSourceMapping")

    assert mappings(encrypted=True).keys() == mappings(encrypted=False).keys()


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda each: each.accepts)
def test_properties_that_identify_the_stream_grant_nothing(
    stack: Stack, reference: Reference
) -> None:
    encryption = encrypt(stack, encryption_key=kms.Key(stack, "Key"))
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
