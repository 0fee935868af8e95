"""Copies of a deployed stack with separate streams, each without one permission."""

import copy
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import WaiterError
from policy_sentry.querying.actions import get_action_data

from local_aws import LocalAws
from tests.local_aws.deployment import (
    client_of_role,
    encryption,
    function_log,
    make_key,
    make_stream,
)
from tests.local_aws.encryption_app import RESOURCE_TYPE

Template = dict[str, Any]
Statement = dict[str, Any]

_POLL_INTERVAL = 1
_MAX_POLLS = 240


@dataclass(frozen=True)
class Permission:
    """One action on one resource, which is a separate statement in the template.

    Attributes
    ----------
    document, statement
        Positions of the policy document and of its statement in the template.
    action
        IAM action.
    resource
        Resource of the statement, as JSON.
    """

    document: int
    statement: int
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


def split(template: Template) -> Template:
    """Split the statements by action and resource, with the same permissions."""
    result = copy.deepcopy(template)
    for document in _policy_documents(result):
        document["Statement"] = [
            {**statement, "Action": action, "Resource": resource}
            for statement in document["Statement"]
            for action in _listed(statement, "Action")
            for resource in _listed(statement, "Resource")
            if _supports(action, resource)
        ]
    return result


def _supports(action: str, resource: Any) -> bool:
    """Return whether the action supports resources of the service of this resource."""
    if not isinstance(resource, str):
        return True
    service, name = action.split(":")
    formats = [each["resource_arn_format"] for each in get_action_data(service, name)[service]]
    return any(resource.split(":")[2:3] == each.split(":")[2:3] for each in formats)


def permissions_of(template: Template) -> list[Permission]:
    """Return the permissions in a template that was split."""
    return [
        Permission(number, position, statement["Action"], json.dumps(statement["Resource"]))
        for number, document in enumerate(_policy_documents(template))
        for position, statement in enumerate(document["Statement"])
    ]


def without(template: Template, permission: Permission) -> Template:
    """Return a copy of the template without a permission of the role."""
    result = copy.deepcopy(template)
    del _policy_documents(result)[permission.document]["Statement"][permission.statement]
    return result


def without_function_policy(template: Template) -> Template:
    """Return a copy of the template without the resource policy of the function."""
    result = copy.deepcopy(template)
    (permission,) = (
        id_
        for id_, each in result["Resources"].items()
        if each["Type"] == "AWS::Lambda::Permission"
    )
    del result["Resources"][permission]
    for resource in result["Resources"].values():
        dependencies = resource.get("DependsOn", [])
        if permission in dependencies:
            dependencies.remove(permission)
    return result


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
    assert name in statement, f"a statement without {name}: {statement}"
    value = statement[name]
    return value if isinstance(value, list) else [value]


def _resource_for_emulator(statement: Statement) -> Any:
    """Return the resource of a statement in the format that the emulator checks.

    The ARN of the streams of a log group ends with ``:*`` (Service Authorization Reference,
    "Actions, resources, and condition keys for Amazon CloudWatch Logs"); the emulator omits that.
    """
    action, resource = statement["Action"], statement["Resource"]
    if action.startswith("logs:"):
        return {"Fn::Select": [0, {"Fn::Split": [":*", resource]}]}
    return resource


class StackOperationError(Exception):
    """A stack operation failed, with the first reason in the stack events as its message."""


class Clone:
    """A copy of the deployed stack, with a separate role, function, streams, and keys.

    Parameters
    ----------
    aws
        The local AWS.
    template
        Template of the deployed stack, after `split`.
    """

    def __init__(self, aws: LocalAws, template: Template) -> None:
        self.aws = aws
        self._name = f"clone-{uuid.uuid4().hex[:8]}"
        self._first_event = 0
        self.stack_id = ""
        self._replacements: dict[str, str] = {}
        for resource in _custom_resources(template).values():
            properties = resource["Properties"]
            self._replacements[properties["StreamArn"]] = make_stream(self.aws)
            self._replacements[properties["KeyId"]] = make_key(self.aws)
        self.template = json.loads(self.translate(json.dumps(template)))
        for document in _policy_documents(self.template):
            for statement in document["Statement"]:
                statement["Resource"] = _resource_for_emulator(statement)
        for resource in self.template["Resources"].values():
            if resource["Type"] == "AWS::IAM::Role":
                # The test assumes the role in place of the Lambda service.
                resource["Properties"]["AssumeRolePolicyDocument"]["Statement"].append(
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
                        "Action": "sts:AssumeRole",
                    }
                )

    def translate(self, text: str) -> str:
        """Replace the streams and keys of the deployed stack by those of the clone."""
        for original, replacement in self._replacements.items():
            text = text.replace(original, replacement)
        return text

    @property
    def _cloudformation(self) -> Any:
        return self.aws.client("cloudformation")

    # The custom resources, by the prefix of their logical IDs

    def logical_id(self, name: str) -> str:
        """Return the complete logical ID."""
        (logical_id,) = (each for each in _custom_resources(self.template) if each.startswith(name))
        return logical_id

    def stream(self, name: str) -> str:
        """Return the ARN of the stream."""
        return str(self._properties(name)["StreamArn"])

    def key(self, name: str) -> str:
        """Return the ARN of the key in the template."""
        return str(self._properties(name)["KeyId"])

    def use_forbidden_stream(self, name: str) -> None:
        """Set another stream, which the role does not allow."""
        self._properties(name)["StreamArn"] = make_stream(self.aws)

    def use_key(self, name: str, key: str) -> None:
        """Set another key."""
        self._properties(name)["KeyId"] = key

    def encryption(self, name: str) -> str | None:
        """Return the key of the stream; None if it is unencrypted."""
        _, type_, key = encryption(self.aws, self.stream(name))
        return key if type_ == "KMS" else None

    def _properties(self, name: str) -> dict[str, Any]:
        resource = self.template["Resources"][self.logical_id(name)]
        properties: dict[str, Any] = resource["Properties"]
        return properties

    # Stack operations

    def create(self) -> None:
        """Create the stack; raises `StackOperationError`."""
        self._start("create_stack")
        self.wait("stack_create_complete")

    def update(self) -> None:
        """Update the stack to the current template; raises `StackOperationError`."""
        self.start_update()
        self.wait("stack_update_complete")

    def start_update(self) -> None:
        """Start an update without waiting for its end."""
        self._first_event = len(self._events())
        self._start("update_stack")

    def delete(self) -> None:
        """Delete the stack; raises `StackOperationError`."""
        self._first_event = len(self._events())
        self._cloudformation.delete_stack(StackName=self.stack_id)
        self.wait("stack_delete_complete")

    def discard(self) -> None:
        """Start to delete the stack, if it exists."""
        if self.stack_id:
            self._cloudformation.delete_stack(StackName=self.stack_id)

    def wait(self, waiter: str) -> None:
        """Wait for the end of the current operation; raises `StackOperationError`."""
        try:
            self._cloudformation.get_waiter(waiter).wait(
                StackName=self.stack_id,
                WaiterConfig={"Delay": _POLL_INTERVAL, "MaxAttempts": _MAX_POLLS},
            )
        except WaiterError as error:
            reasons = [
                event["ResourceStatusReason"]
                for event in self._events()[self._first_event :]
                if event["ResourceStatus"].endswith("_FAILED")
                and event["ResourceType"] == RESOURCE_TYPE
            ]
            raise StackOperationError(
                reasons[0] if reasons else f"{error}: {self._progress()}"
            ) from error

    def _progress(self) -> str:
        """Return the last events and log lines, for a failure without a reason."""
        events = [
            f"{event['Timestamp']:%T} {event['LogicalResourceId']} {event['ResourceStatus']}"
            for event in self._events()[-3:]
        ]
        return f"last events {events}, last lines of the function's log {self.log()[-5:]}"

    @property
    def in_progress(self) -> bool:
        """Whether an operation is in progress."""
        (stack,) = self._cloudformation.describe_stacks(StackName=self.stack_id)["Stacks"]
        return str(stack["StackStatus"]).endswith("_IN_PROGRESS")

    def _start(self, operation: str) -> None:
        response = getattr(self._cloudformation, operation)(
            StackName=self._name,
            TemplateBody=json.dumps(self.template),
            Capabilities=["CAPABILITY_IAM"],
        )
        self.stack_id = response["StackId"]

    def _events(self) -> list[dict[str, Any]]:
        """Return the events of the stack, oldest first."""
        pages = self._cloudformation.get_paginator("describe_stack_events")
        pages = pages.paginate(StackName=self.stack_id)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    # Resources of the stack

    def physical_id(self, type_: str) -> str:
        """Return the physical ID of the only resource of a type."""
        response = self._cloudformation.describe_stack_resources(StackName=self.stack_id)
        (resource,) = (r for r in response["StackResources"] if r["ResourceType"] == type_)
        return str(resource["PhysicalResourceId"])

    @property
    def function(self) -> str:
        """Name of the function."""
        return self.physical_id("AWS::Lambda::Function")

    def set_timeout(self, seconds: int) -> None:
        """Set the timeout of the function."""
        self.aws.client("lambda").update_function_configuration(
            FunctionName=self.function, Timeout=seconds
        )

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the function's log."""
        return function_log(self.aws, self.stack_id)

    # The role

    @contextmanager
    def without_policy(self) -> Iterator[None]:
        """Remove the policy of the role for the duration of the block."""
        iam, role = self.aws.client("iam"), self.physical_id("AWS::IAM::Role")
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        iam.delete_role_policy(RoleName=role, PolicyName=name)
        try:
            yield
        finally:
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))

    def role_client(self, service: str) -> Any:
        """Return a client with the credentials of the function's role."""
        role = self.physical_id("AWS::IAM::Role")
        arn = self.aws.client("iam").get_role(RoleName=role)["Role"]["Arn"]
        return client_of_role(self.aws, arn, service)


def _custom_resources(template: Template) -> dict[str, dict[str, Any]]:
    return {
        logical_id: resource
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == RESOURCE_TYPE
    }
