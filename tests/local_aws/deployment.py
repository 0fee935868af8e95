"""Deploys a test stack to the local AWS, and creates streams and keys outside it."""

import json
import os
import signal
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
from aws_cdk import App

from local_aws import Cdk, CdkError, LocalAws, folders
from tests.local_aws.encryption_app import RESOURCE_TYPE, encryption_app
from tests.local_aws.observing import children, until

# Messages and fields of the handler's log that tests depend on.
CHANGE_ACCEPTED = "the change was accepted"
WAIT_CONTINUED = "continuing in a new invocation"
CONTINUATION_COUNT = "continuation"
RESPONSE = "sending the response"


def deploy(aws: LocalAws, stack: str, declare: Callable[[App], None]) -> dict[str, str]:
    """Deploy one stack with the CDK CLI and return its outputs.

    The app is synthesized in this process, because starting an interpreter for each app is slow.
    """
    context = json.loads((folders.PROJECT / "cdk.json").read_text())["context"]
    assembly = tempfile.mkdtemp(dir=aws.folder)
    app = App(outdir=assembly, context=context)
    declare(app)
    app.synth()
    return Cdk(aws, app=assembly).deploy()[stack]


def make_stream(aws: LocalAws, prefix: str = "stream-") -> str:
    """Create an unencrypted stream outside of all stacks, and return its ARN."""
    kinesis, name = aws.client("kinesis"), f"{prefix}{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    until(lambda: summary(aws, name)["StreamStatus"] == "ACTIVE")
    return str(summary(aws, name)["StreamARN"])


def make_key(aws: LocalAws, **settings: str) -> str:
    """Create a key and return its ARN."""
    return str(aws.client("kms").create_key(**settings)["KeyMetadata"]["Arn"])


def summary(aws: LocalAws, stream: str) -> dict[str, Any]:
    """Return the description of a stream, by name or ARN."""
    response = aws.client("kinesis").describe_stream_summary(StreamName=stream.rsplit("/", 1)[-1])
    description: dict[str, Any] = response["StreamDescriptionSummary"]
    return description


def encryption(aws: LocalAws, stream: str) -> tuple[str, str, str | None]:
    """Return the status, encryption type, and key of a stream."""
    description = summary(aws, stream)
    return (
        description["StreamStatus"],
        description["EncryptionType"],
        description.get("KeyId"),
    )


def exists(aws: LocalAws, stack: str) -> bool:
    """Return whether a stack exists."""
    stacks = aws.client("cloudformation").list_stacks()["StackSummaries"]
    statuses = [each["StackStatus"] for each in stacks if each["StackName"] == stack]
    return bool(statuses) and statuses[0] != "DELETE_COMPLETE"


def destroy(aws: LocalAws, stack: str) -> None:
    """Delete a stack without the CLI, and wait for the end of the deletion."""
    cloudformation = aws.client("cloudformation")
    stack_id = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=stack_id)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=stack_id, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )


def function_log(aws: LocalAws, stack: str) -> list[dict[str, Any]]:
    """Return the lines of the function's log."""
    response = aws.client("cloudformation").describe_stack_resources(StackName=stack)
    pages = aws.client("logs").get_paginator("filter_log_events")
    return [
        json.loads(event["message"])
        for resource in response["StackResources"]
        if resource["ResourceType"] == "AWS::Logs::LogGroup"
        for page in pages.paginate(logGroupName=resource["PhysicalResourceId"])
        for event in page["events"]
        if event["message"].startswith("{")
    ]


def client_of_role(aws: LocalAws, role: str, service: str) -> Any:
    """Return a client with the credentials of a role, by ARN."""
    assumed = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.session.Session(
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
        region_name=aws.region,
    ).client(service, endpoint_url=aws.endpoint_url, verify=str(aws.certificates.authority))


def kill_functions(aws: LocalAws) -> None:
    """Kill all processes that run Lambda functions, to simulate a failure of their host."""
    emulator = next(service for service in aws.services if service.name == "ministack")
    (gateway,) = children(emulator.pid)
    workers = children(gateway)
    assert workers, "no function is running"
    for worker in workers:
        os.kill(worker, signal.SIGKILL)


@dataclass
class Deployment:
    """One stack, which the CDK CLI deploys any number of times."""

    aws: LocalAws
    function_timeout: int | None = None
    stack: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")

    def deploy(self, **resources: dict[str, Any]) -> dict[str, str]:
        """Deploy the stack with these resources and return its outputs."""
        return deploy(
            self.aws,
            self.stack,
            lambda app: encryption_app(
                app, self.stack, resources, function_timeout=self.function_timeout
            ),
        )

    def deploy_and_fail(self, **resources: dict[str, Any]) -> str:
        """Deploy, check that the deployment fails, and return the reason of the custom resource."""
        before = len(self.events())
        try:
            self.deploy(**resources)
        except CdkError:
            new = self.events()[before:]
            failed = [e for e in new if e["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED")]
            return str(failed[0]["ResourceStatusReason"])
        raise AssertionError("the deployment succeeded")

    def destroy(self) -> None:
        """Delete the stack, if it exists."""
        if exists(self.aws, self.stack):
            destroy(self.aws, self.stack)

    def describe(self) -> dict[str, Any]:
        """Return the description of the stack."""
        stacks = self.aws.client("cloudformation").describe_stacks(StackName=self.stack)
        description: dict[str, Any] = stacks["Stacks"][0]
        return description

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the custom resources, oldest first."""
        client = self.aws.client("cloudformation")
        try:
            pages = client.get_paginator("describe_stack_events").paginate(StackName=self.stack)
            events = [event for page in pages for event in page["StackEvents"]]
        except client.exceptions.ClientError:
            return []
        return [e for e in reversed(events) if e["ResourceType"] == RESOURCE_TYPE]

    def last_duration(self) -> timedelta:
        """Return the duration of the last request of a custom resource."""
        *_, start, end = self.events()
        assert start["ResourceStatus"].endswith("_IN_PROGRESS")
        assert end["ResourceStatus"].endswith("_COMPLETE")
        duration: timedelta = end["Timestamp"] - start["Timestamp"]
        return duration

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the function's log."""
        return function_log(self.aws, self.stack)

    def logged(self, message: str) -> list[dict[str, Any]]:
        """Return the lines of the function's log with a message."""
        return [line for line in self.log() if line["message"].split(" (")[0] == message]
