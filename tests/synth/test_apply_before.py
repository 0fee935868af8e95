"""Resources that CloudFormation creates or updates after the stream is encrypted."""

from __future__ import annotations

from typing import Literal

import pytest
from aws_cdk import App, NestedStack, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sns as sns
from constructs import Construct

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.templates import (
    TYPE,
    function_in,
    resources,
    stream_in,
    synthesis_error,
    waits_for,
)
from tests.synth.test_integrations import INTEGRATIONS, Integration, declare

Grant = Literal["grant_read", "grant_write", "grant_read_write"]
GRANTS: tuple[Grant, ...] = ("grant_read", "grant_write", "grant_read_write")


@pytest.fixture
def function(stack: Stack) -> lambda_.Function:
    return function_in(stack, "App", dead_letter_queue_enabled=True)


def after_encryption(stack: Stack) -> dict[str, str]:
    """Types of the resources that wait for the custom resource, by logical ID."""
    template = resources(stack)
    (custom,) = resources(stack, TYPE)
    return {
        id_: each["Type"] for id_, each in template.items() if custom in waits_for(template, id_)
    }


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("granted", ["before", "after"])
def test_a_granted_function_starts_after_encryption(
    stack: Stack,
    encryption: KinesisStreamEncryption,
    function: lambda_.Function,
    grant: Grant,
    granted: str,
) -> None:
    if granted == "before":
        getattr(encryption, grant)(function)
    encryption.apply_before(function)
    if granted == "after":
        getattr(encryption, grant)(function)
    assert "AWS::Lambda::Function" in after_encryption(stack).values()


def test_resources_that_are_added_later_wait(
    stack: Stack, encryption: KinesisStreamEncryption, function: lambda_.Function
) -> None:
    encryption.apply_before(function)
    start = lambda_.StartingPosition.LATEST
    function.add_event_source(event_sources.KinesisEventSource(encryption, starting_position=start))
    topic = sns.Topic(function, "AddedLater")
    waiting = after_encryption(stack)
    assert "AWS::Lambda::EventSourceMapping" in waiting.values()
    assert stack.resolve(topic.topic_arn)["Ref"] in waiting


def test_an_ecs_task_starts_after_encryption(
    stack: Stack, encryption: KinesisStreamEncryption
) -> None:
    task = ecs.FargateTaskDefinition(stack, "Task")
    task.add_container(
        "app",
        image=ecs.ContainerImage.from_registry("app"),
        logging=ecs.LogDrivers.aws_logs(stream_prefix="app"),
    )
    encryption.grant_read_write(task.task_role)
    encryption.apply_before(task)
    assert "AWS::ECS::TaskDefinition" in after_encryption(stack).values()


def test_several_constructs_wait(stack: Stack, encryption: KinesisStreamEncryption) -> None:
    first, second = sns.Topic(stack, "First"), sns.Topic(stack, "Second")
    sns.Topic(stack, "Other")
    encryption.apply_before(first, second)
    expected = {stack.resolve(each.topic_arn)["Ref"] for each in (first, second)}
    assert after_encryption(stack).keys() == expected


def test_iam_and_kms_resources_do_not_wait(
    stack: Stack, encryption: KinesisStreamEncryption
) -> None:
    """The custom resource can depend on them; the default policy waits for the topic."""
    service = Construct(stack, "Service")
    role = iam.Role(service, "Role", assumed_by=iam.AccountRootPrincipal())
    kms.Key(service, "Key").grant_encrypt(role)
    sns.Topic(service, "Topic").grant_publish(role)
    encryption.grant_read(role)
    encryption.apply_before(service)
    assert set(after_encryption(stack).values()) == {"AWS::SNS::Topic", "AWS::IAM::Policy"}


@pytest.mark.parametrize("integration", INTEGRATIONS, ids=lambda each: each.declare.__name__)
def test_every_integration_waits(integration: Integration) -> None:
    declared = declare(integration.declare)
    declared.encryption.apply_before(declared.construct)
    types = {each.split("::")[1] for each in after_encryption(declared.stack).values()}
    assert types - {"IAM"}


@pytest.mark.parametrize("scope", ["Stack", "Stack/Service"])
def test_a_parent_of_the_construct_is_rejected(stack: Stack, scope: str) -> None:
    service = Construct(stack, "Service")
    encryption = KinesisStreamEncryption(service, "Encryption", stream=stream_in(stack))
    construct = stack if scope == "Stack" else service
    with pytest.raises(ValueError, match=f"^'{scope}' contains 'Stack/Service/Encryption'"):
        encryption.apply_before(construct)


@pytest.mark.parametrize("waiting", ["function", "nested stack", "parent"])
def test_a_nested_stack_cannot_wait_in_part(
    app: App, stack: Stack, encryption: KinesisStreamEncryption, waiting: str
) -> None:
    """It is one resource of its parent, for which the encryption waits."""
    parent = Construct(stack, "Parent")
    nested = NestedStack(parent, "Nested")
    function = function_in(nested, "App")
    encryption.grant_read(function)
    constructs = {"function": function, "nested stack": nested, "parent": parent}
    encryption.apply_before(constructs[waiting])
    error = synthesis_error(app)
    assert "which waits for the nested stack 'Stack/Parent/Nested', because its principal" in error
    assert "'Stack/Parent/Nested/App/ServiceRole' needs access to the key first" in error


def test_a_nested_stack_without_the_principal_waits(
    stack: Stack, encryption: KinesisStreamEncryption, function: lambda_.Function
) -> None:
    nested = NestedStack(stack, "Nested")
    sns.Topic(nested, "Topic")
    encryption.grant_read(function)
    encryption.apply_before(nested)
    assert "AWS::CloudFormation::Stack" in after_encryption(stack).values()


# --- Dependencies without apply_before ------------------------------------------------------------


def test_a_dependency_on_the_construct_needs_no_grant(
    stack: Stack, encryption: KinesisStreamEncryption
) -> None:
    topic = sns.Topic(stack, "Topic")
    topic.node.add_dependency(encryption)
    assert after_encryption(stack).keys() == {stack.resolve(topic.topic_arn)["Ref"]}


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("granted", ["before", "after"])
def test_a_circular_dependency_fails_with_the_remedy(
    app: App,
    encryption: KinesisStreamEncryption,
    function: lambda_.Function,
    grant: Grant,
    granted: str,
) -> None:
    if granted == "before":
        getattr(encryption, grant)(function)
    function.node.add_dependency(encryption)
    if granted == "after":
        getattr(encryption, grant)(function)
    with pytest.raises(RuntimeError, match=r"Stack/App.*apply_before"):
        app.synth()


def test_a_circular_dependency_of_a_task_fails_with_the_remedy(
    app: App, stack: Stack, encryption: KinesisStreamEncryption
) -> None:
    task = ecs.FargateTaskDefinition(stack, "Task")
    encryption.grant_read(task.task_role)
    task.node.add_dependency(encryption)
    with pytest.raises(RuntimeError, match=r"Stack/Task.*apply_before"):
        app.synth()


def test_a_rule_can_depend_on_the_construct(
    stack: Stack, encryption: KinesisStreamEncryption
) -> None:
    """The rules of a stream share a role, which is not in the scope of the rule."""
    rule = events.Rule(
        stack,
        "Rule",
        event_pattern=events.EventPattern(source=["app.orders"]),
        targets=[events_targets.KinesisStream(encryption)],
    )
    rule.node.add_dependency(encryption)
    assert "AWS::Events::Rule" in after_encryption(stack).values()
