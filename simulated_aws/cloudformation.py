"""Simulated CloudFormation: a stack with this custom resource, deployed, canceled, rolled back.

Sources: CloudFormation user guide, "Custom resource request objects", "Custom resource response
objects", "Replacing a custom resource during an update"; aws-cdk pull requests 29581 (the
rollback Update after a replacement), 30911 (where ``ServiceTimeout`` is) and issue 13527 (the
ID of a FAILED response is kept); cloudformation-coverage-roadmap issue 1814 (a Create is canceled
while it runs); localstack's recorded responses of DescribeStackResource (none for a removed
resource). When a status is shown is recorded nowhere, so each schedule draws one possibility.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from simulated_aws.kms import Kms
from simulated_aws.response_endpoint import Put, ResponseEndpoint
from simulated_aws.service import FUNCTION_ARN, Params, ServiceError, arn
from simulated_aws.stage import History, Stage

MAX_BODY = 4096
MAX_PHYSICAL_ID = 1024
OPERATION_DELAY = 5.0
"""Shortest delay of an operation in seconds: a change set is created first."""
FINISHED = ("_COMPLETE", "_FAILED")
GUARD_STACK = arn("cloudformation", "stack/guard/3b1f2c10-0000-1111-2222-333344445555")

Properties = Mapping[str, str]


@dataclass(frozen=True)
class Response:
    """A response as CloudFormation reads it.

    Parameters
    ----------
    status, reason, physical_id
        Fields of the response.
    invalid
        Why CloudFormation rejects it; empty when it is valid.
    """

    status: str
    reason: str
    physical_id: str
    invalid: str = ""

    @classmethod
    def read(cls, body: bytes, event: Mapping[str, Any]) -> Response:
        """Parse a response as CloudFormation does."""
        if len(body) > MAX_BODY:
            return cls("FAILED", "", "", "Response object is too long.")
        fields = json.loads(body)
        invalid = next(_response_errors(fields, event), "")
        return cls(
            str(fields.get("Status")),
            str(fields.get("Reason")),
            str(fields.get("PhysicalResourceId")),
            invalid,
        )


@dataclass
class Request:
    """A request that CloudFormation has sent.

    Parameters
    ----------
    event
        As sent.
    properties
        Properties of the resource, as the template has them.
    issued
        When it was sent.
    expires
        When it times out.
    response
        The first response in time.
    responded, response_put
        When that was accepted, and the attempt.
    closed
        When CloudFormation processed the response or gave up, and changed the resource's status.
    canceled
        Whether CloudFormation gave up because another resource failed, or the user canceled it.
    """

    event: dict[str, Any]
    properties: Properties
    issued: float
    expires: float
    response: Response | None = None
    responded: float | None = None
    response_put: Put | None = None
    closed: float | None = None
    canceled: bool = False

    @property
    def id(self) -> str:
        """Request ID."""
        return str(self.event["RequestId"])

    @property
    def type(self) -> str:
        """``Create``, ``Update`` or ``Delete``."""
        return str(self.event["RequestType"])

    @property
    def succeeded(self) -> bool:
        """Whether the response is SUCCESS."""
        return self.response is not None and self.response.status == "SUCCESS"

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


@dataclass(frozen=True)
class Operation:
    """Something that a user does to the stack.

    Parameters
    ----------
    kind
        ``deploy``, ``delete``, or ``retry`` (continue a failed rollback, or delete again).
    after
        Seconds since the previous operation.
    properties
        Properties of the resource, for ``deploy``.
    sibling_fails
        Whether another resource fails after this one has succeeded, which rolls it back.
    canceled_after
        Seconds after which another resource fails while this one's request runs.
    renamed
        Whether the construct gets another logical ID (or another provider: same effect).
    new_key
        ID of a key that is created in the same deployment, and deleted by its rollback.
    """

    kind: str
    after: float
    properties: Properties = field(default_factory=dict)
    sibling_fails: bool = False
    canceled_after: float = float("inf")
    renamed: bool = False
    new_key: str = ""


class Described(NamedTuple):
    """A resource as described: its status, and since when; empty when it does not exist."""

    status: str
    updated: float


@dataclass(frozen=True)
class CloudFormationTraits:
    """Behavior that AWS does not document, drawn for each schedule.

    Parameters
    ----------
    keeps_failed_id
        Whether a FAILED response to an Update changes the physical resource ID.
    timed_out_create_is_deleted
        Whether a Create that timed out is followed by a Delete, with a made-up ID.
    shows_deleted
        Whether the resource of a deleted stack is still described, as DELETE_COMPLETE.
    clock_skew
        Seconds from the request to the recorded time of the status change.
    shows
        When a status change of the resource is shown: ``immediately``, ``after the request``, or
        ``after the operation`` of the stack.
    lag
        Seconds by which a description may be stale; shorter than the time between operations.
    reports_rollbacks
        Whether an Update that rolls back another has the status UPDATE_ROLLBACK_IN_PROGRESS.
    """

    keeps_failed_id: bool
    timed_out_create_is_deleted: bool
    shows_deleted: bool
    clock_skew: float
    shows: str = "immediately"
    lag: float = 0.0
    reports_rollbacks: bool = False


@dataclass
class Resource:
    """The custom resource, under one logical ID."""

    logical_id: str
    began: float
    physical_id: str = ""
    properties: Properties = field(default_factory=dict)
    status: str = ""

    def __post_init__(self) -> None:
        self.described = History(self.began, Described("", 0.0))
        self.withheld: list[Described] = []


@dataclass
class Stack:
    """A stack: its current resource, and all that it has had."""

    arn: str
    resource: Resource
    resources: list[Resource]
    statuses: History[str]

    @property
    def status(self) -> str:
        """Stack status."""
        return self.statuses.value


@dataclass
class GuardStack:
    """The stack of a guard, as DescribeStacks shows it."""

    status: str = "CREATE_COMPLETE"
    updated: datetime | None = None

    def serve(self, operation: str, params: Params) -> dict[str, Any]:
        """Carry DescribeStacks out."""
        assert operation == "DescribeStacks"
        assert params["StackName"] == GUARD_STACK
        stack: dict[str, Any] = {"StackName": "guard", "StackStatus": self.status}
        return {"Stacks": [stack | ({"LastUpdatedTime": self.updated} if self.updated else {})]}


class CloudFormation:
    """The service, and the user who deploys the stack.

    Parameters
    ----------
    stage
        Clock, journal, and faults.
    endpoint
        Endpoint that receives the responses.
    kms
        Owner of the keys that are created together with the resource.
    invoke
        Invokes the function asynchronously, for a request.
    operations
        Operations of the user, in order.
    traits
        Undocumented behavior of the service.
    rng
        Source of random behavior.
    """

    def __init__(
        self,
        stage: Stage,
        endpoint: ResponseEndpoint,
        *,
        kms: Kms,
        invoke: Callable[[str, str], None],
        operations: tuple[Operation, ...],
        traits: CloudFormationTraits,
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._endpoint = endpoint
        self._kms = kms
        self._new_key = ""
        self._invoke = invoke
        self._operations = operations
        self._traits = traits
        self._rng = rng
        self._response_received = stage.scheduler.signal()
        self._rollback: tuple[Properties, Properties] = ({}, {})
        self.requests: list[Request] = []
        self.stacks: list[Stack] = []
        self.finished = False
        endpoint.on_accept = self._accept

    def serve(self, operation: str, params: Params, caller: object) -> dict[str, Any]:
        """Perform DescribeStackResource or DescribeStacks."""
        name, lag = params["StackName"], self._traits.lag
        stack = next((one for one in self.stacks if one.arn == name), None)
        if stack is None:
            raise ServiceError("ValidationError", f"Stack '{name}' does not exist")
        when = self._scheduler.now - self._rng.uniform(0, lag)
        status = stack.statuses.at(when)
        if operation == "DescribeStacks":
            shown = {"StackId": stack.arn, "StackName": "orders", "StackStatus": status}
            return {"Stacks": [shown]}
        logical_id = params["LogicalResourceId"]
        resource = next((one for one in stack.resources if one.logical_id == logical_id), None)
        when = self._scheduler.now - self._rng.uniform(0, lag)
        described = resource.described.at(when) if resource else Described("", 0.0)
        gone = described.status == "DELETE_COMPLETE"
        if (
            resource is None
            or not described.status
            or (gone and not (status == "DELETE_COMPLETE" and self._traits.shows_deleted))
        ):
            raise ServiceError(
                "ValidationError", f"Resource {logical_id} does not exist for stack {name}"
            )
        detail = {
            "StackId": stack.arn,
            "LogicalResourceId": logical_id,
            "ResourceType": "Custom::KinesisStreamEncryption",
            "ResourceStatus": described.status,
            "LastUpdatedTimestamp": datetime.fromtimestamp(described.updated, UTC),
        }
        if resource.physical_id:
            detail["PhysicalResourceId"] = resource.physical_id
        return {"StackResourceDetail": detail}

    def run_operations(self) -> None:
        """Run the user's operations; a task."""
        for operation in self._operations:
            self._scheduler.sleep(max(operation.after, OPERATION_DELAY))
            self._journal.note("user", operation.kind, dict(operation.properties))
            match operation.kind:
                case "deploy":
                    self._deploy(operation)
                case "delete":
                    self._delete()
                case "retry":
                    self._retry()
        self.finished = True

    # Operations

    def _deploy(self, operation: Operation) -> None:
        stack = self.stacks[-1] if self.stacks else None
        if stack is None or stack.status in ("DELETE_COMPLETE", "ROLLBACK_COMPLETE"):
            self._create(operation)
        elif not stack.status.endswith("_COMPLETE"):
            return
        elif operation.renamed:
            self._rename(stack, operation)
        elif stack.resource.properties != operation.properties:
            self._update(stack, operation)

    def _make_key(self, operation: Operation) -> None:
        self._new_key = operation.new_key
        if operation.new_key:
            self._kms.set_state(operation.new_key, "Enabled")

    def _create(self, operation: Operation) -> None:
        guid = f"{self._rng.getrandbits(48):012x}"
        resource = Resource("Encryption", self._scheduler.now)
        stack = Stack(
            arn("cloudformation", f"stack/orders/{guid}"),
            resource,
            [resource],
            History(self._scheduler.now, "CREATE_IN_PROGRESS"),
        )
        self.stacks.append(stack)
        self._make_key(operation)
        if self._add(stack, resource, operation):
            self._set_stack_status(stack, "CREATE_COMPLETE")
            return
        self._set_stack_status(stack, "ROLLBACK_IN_PROGRESS")
        self._remove(stack, resource)
        gone = resource.status == "DELETE_COMPLETE"
        self._set_stack_status(stack, "ROLLBACK_COMPLETE" if gone else "ROLLBACK_FAILED")

    def _add(self, stack: Stack, resource: Resource, operation: Operation) -> bool:
        """Create a resource; False when the stack has to roll back."""
        request = self._request(stack, resource, "Create", operation.properties, operation)
        response = request.response
        made_up = f"orders-{resource.logical_id}-{self._rng.getrandbits(48):012X}"
        resource.physical_id = response.physical_id if response else made_up
        resource.properties = operation.properties
        self._set_status(resource, "CREATE_COMPLETE" if request.succeeded else "CREATE_FAILED")
        return request.succeeded and not operation.sibling_fails

    def _rename(self, stack: Stack, operation: Operation) -> None:
        """Create the resource under another logical ID, and then remove the old one.

        When that fails, the new one is removed again, and nothing is sent to the old one.
        """
        old = stack.resource
        new = Resource(f"Encryption{len(stack.resources)}", self._scheduler.now)
        stack.resources.append(new)
        self._set_stack_status(stack, "UPDATE_IN_PROGRESS")
        self._make_key(operation)
        if self._add(stack, new, operation):
            stack.resource = new
            self._set_stack_status(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(stack, old, old.physical_id, old.properties)
            self._set_stack_status(stack, "UPDATE_COMPLETE")
        else:
            self._set_stack_status(stack, "UPDATE_ROLLBACK_IN_PROGRESS")
            self._clean_up(stack, new, new.physical_id, new.properties)
            self._set_stack_status(stack, "UPDATE_ROLLBACK_COMPLETE")

    def _update(self, stack: Stack, operation: Operation) -> None:
        resource, desired = stack.resource, operation.properties
        before = resource.physical_id, resource.properties
        self._set_stack_status(stack, "UPDATE_IN_PROGRESS")
        self._make_key(operation)
        request = self._request(stack, resource, "Update", desired, operation)
        response = request.response
        if request.succeeded or (response and self._traits.keeps_failed_id):
            assert response is not None
            resource.physical_id, resource.properties = response.physical_id, desired
        self._set_status(resource, "UPDATE_COMPLETE" if request.succeeded else "UPDATE_FAILED")
        if request.succeeded and not operation.sibling_fails:
            self._set_stack_status(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(stack, resource, *before)
            self._set_stack_status(stack, "UPDATE_COMPLETE")
        else:
            self._roll_back(stack, before[1], desired)

    def _roll_back(self, stack: Stack, desired: Properties, abandoned: Properties) -> None:
        self._set_stack_status(stack, "UPDATE_ROLLBACK_IN_PROGRESS")
        resource = stack.resource
        current = resource.physical_id, resource.properties
        resource.properties = abandoned
        request = self._request(stack, resource, "Update", desired, rollback=True)
        if request.response and request.succeeded:
            resource.physical_id, resource.properties = request.response.physical_id, desired
            prefix = "UPDATE_ROLLBACK" if self._traits.reports_rollbacks else "UPDATE"
            self._set_status(resource, f"{prefix}_COMPLETE")
            self._set_stack_status(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(stack, resource, *current)
            self._set_stack_status(stack, "UPDATE_ROLLBACK_COMPLETE")
        else:
            resource.properties = current[1]
            self._set_status(resource, "UPDATE_FAILED")
            self._rollback = desired, abandoned
            self._set_stack_status(stack, "UPDATE_ROLLBACK_FAILED")

    def _clean_up(
        self, stack: Stack, resource: Resource, physical_id: str, properties: Properties
    ) -> None:
        """Delete a replaced resource; CloudFormation continues even if that fails."""
        replaced = resource is stack.resource
        if replaced and physical_id == resource.physical_id:
            return
        for _ in range(3):
            request = self._request(
                stack, resource, "Delete", properties, replaced=physical_id if replaced else ""
            )
            if request.succeeded:
                break
        if not replaced:
            self._set_status(resource, "DELETE_COMPLETE")

    def _retry(self) -> None:
        stack = self.stacks[-1] if self.stacks else None
        if stack and stack.status == "UPDATE_ROLLBACK_FAILED":
            self._roll_back(stack, *self._rollback)
        elif stack and stack.status in ("DELETE_FAILED", "ROLLBACK_FAILED"):
            self._delete()

    def _delete(self) -> None:
        stack = self.stacks[-1] if self.stacks else None
        if stack is None or stack.status in ("DELETE_COMPLETE", "ROLLBACK_COMPLETE"):
            return
        self._set_stack_status(stack, "DELETE_IN_PROGRESS")
        self._remove(stack, stack.resource)
        gone = stack.resource.status == "DELETE_COMPLETE"
        self._set_stack_status(stack, "DELETE_COMPLETE" if gone else "DELETE_FAILED")

    def _remove(self, stack: Stack, resource: Resource) -> None:
        last = self.requests[-1]
        timed_out = last.type == "Create" and last.response is None and not last.canceled
        if timed_out and not self._traits.timed_out_create_is_deleted:
            self._set_status(resource, "DELETE_COMPLETE")
            return
        request = self._request(stack, resource, "Delete", resource.properties)
        self._set_status(resource, "DELETE_COMPLETE" if request.succeeded else "DELETE_FAILED")

    # Custom resource protocol

    def _request(
        self,
        stack: Stack,
        resource: Resource,
        kind: str,
        properties: Properties,
        operation: Operation | None = None,
        *,
        rollback: bool = False,
        replaced: str = "",
    ) -> Request:
        """Send a request, and wait for its response or its end.

        Parameters
        ----------
        replaced
            Physical ID of a replaced resource that is cleaned up, which changes no status.
        """
        self._scheduler.sleep(self._rng.choice((0.2, 2.0, 20.0)) * self._rng.random())
        if not replaced:
            is_shown = rollback and self._traits.reports_rollbacks
            prefix = "UPDATE_ROLLBACK" if is_shown else kind.upper()
            self._set_status(resource, f"{prefix}_IN_PROGRESS")
        id_ = f"{len(self.requests):04d}-{self._rng.getrandbits(32):08x}"
        event: dict[str, Any] = {
            "RequestType": kind,
            "ServiceToken": FUNCTION_ARN,
            "ResponseURL": self._endpoint.sign(id_),
            "StackId": stack.arn,
            "RequestId": id_,
            "LogicalResourceId": resource.logical_id,
            "ResourceType": "Custom::KinesisStreamEncryption",
            "ResourceProperties": {"ServiceToken": FUNCTION_ARN, **properties},
        }
        if kind == "Create" and "ServiceTimeout" in properties:
            event["ServiceTimeout"] = event["ResourceProperties"].pop("ServiceTimeout")
        if kind != "Create":
            event["PhysicalResourceId"] = replaced or resource.physical_id
        if kind == "Update":
            event["OldResourceProperties"] = {"ServiceToken": FUNCTION_ARN, **resource.properties}
        now = self._scheduler.now
        timeout = float(properties.get("ServiceTimeout", 3600))
        request = Request(event, properties, now, now + timeout)
        self.requests.append(request)
        self._journal.note(
            "cloudformation", str(request), event.get("PhysicalResourceId", ""), dict(properties)
        )
        self._invoke(json.dumps(event), id_)
        self._response_received = self._scheduler.signal()
        limit = operation.canceled_after if operation else timeout
        self._response_received.wait(min(timeout, limit))
        request.closed = self._scheduler.now
        request.canceled = request.response is None and limit < timeout
        if request.canceled:
            self._faults.count(f"cloudformation: a running {kind} was canceled")
        if request.response is None:
            end = "is canceled" if request.canceled else "got no response in time"
            self._journal.note("cloudformation", str(request), end)
        return request

    def _accept(self, put: Put) -> None:
        request = next(one for one in self.requests if one.id == put.request_id)
        if request.response is not None or request.closed is not None:
            return
        response = Response.read(put.body, request.event)
        request.response, request.response_put = response, put
        request.responded = self._scheduler.now
        self._journal.note("cloudformation", str(request), "is", response.status, response.invalid)
        self._scheduler.after(self._rng.uniform(0, 1.0), self._response_received.give)

    def _set_status(self, resource: Resource, status: str) -> None:
        now, shows = self._scheduler.now, self._traits.shows
        resource.status = status
        described = Described(status, now + self._traits.clock_skew)
        if shows == "after the operation":
            resource.withheld.append(described)
        elif shows == "immediately" or status.endswith(FINISHED):
            resource.described.set(now, described)
        self._journal.note("stack", resource.logical_id, "is", status)

    def _set_stack_status(self, stack: Stack, status: str) -> None:
        """Set the stack status, which is shown at once; before, finish a rollback."""
        now = self._scheduler.now
        if status in ("ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE") and self._new_key:
            self._kms.set_state(self._new_key, "PendingDeletion")
        stack.statuses.set(now, status)
        self._journal.note("stack", "is", status)
        if status.endswith(FINISHED):
            for resource in stack.resources:
                for described in resource.withheld[-1:]:
                    resource.described.set(now, described)
                resource.withheld.clear()


def _response_errors(fields: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[str]:
    """Yield why CloudFormation rejects a response."""
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if fields.get(name) != event[name]:
            yield f"Value of property {name} must be {event[name]}"
    physical_id = fields.get("PhysicalResourceId")
    if not isinstance(physical_id, str) or not 1 <= len(physical_id) <= MAX_PHYSICAL_ID:
        yield f"Invalid PhysicalResourceId {physical_id!r}"
    if fields.get("Status") not in ("SUCCESS", "FAILED"):
        yield "Invalid Status"
    reason = fields.get("Reason")
    if not isinstance(reason, str) or (fields.get("Status") == "FAILED" and not reason):
        yield "Invalid Reason"
    if not isinstance(fields.get("NoEcho", False), bool):
        yield "Invalid NoEcho"
    data = fields.get("Data", {})
    if not isinstance(data, dict) or not all(isinstance(one, str) for one in data.values()):
        yield "Invalid Data"
