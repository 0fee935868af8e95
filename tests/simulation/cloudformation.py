"""Simulated CloudFormation: a stack with this custom resource, deployed, cancelled, rolled back.

Sources: CloudFormation user guide, "Custom resource request objects", "Custom resource response
objects", "Replacing a custom resource during an update"; aws-cdk pull requests 29581 (what an
Update back looks like after a replacement), 30911 (where ``ServiceTimeout`` is) and issue 13527 (a
FAILED answer's id is kept); cloudformation-coverage-roadmap issue 1814 (a Create is cancelled while
it runs); localstack's recorded answers of DescribeStackResource (none for what has been removed).
When a status is shown is recorded nowhere, so each schedule draws one of the possibilities.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from tests.simulation.endpoint import Endpoint, Put
from tests.simulation.kms import History, Kms
from tests.simulation.service import FUNCTION_ARN, Params, ServiceError, arn
from tests.simulation.stage import Stage

MAX_BODY = 4096
MAX_PHYSICAL_ID = 1024
BEGINS_AFTER = 5.0
"""Seconds that an operation takes at least to begin: a change set is made first."""
FINISHED = ("_COMPLETE", "_FAILED")

Properties = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """An answer as CloudFormation reads it.

    Parameters
    ----------
    status, reason, physical_id
        Fields of the answer.
    invalid
        Why it is no valid answer; empty when it is one.
    """

    status: str
    reason: str
    physical_id: str
    invalid: str = ""

    @classmethod
    def read(cls, body: bytes, event: Mapping[str, Any]) -> Answer:
        """Read an answer as CloudFormation does."""
        if len(body) > MAX_BODY:
            return cls("FAILED", "", "", "Response object is too long.")
        try:
            fields = json.loads(body)
        except ValueError:
            return cls("FAILED", "", "", "Invalid Response object: no JSON")
        if not isinstance(fields, dict):
            return cls("FAILED", "", "", "Invalid Response object: no object")
        invalid = next(_faults(fields, event), "")
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
        When.
    expires
        When CloudFormation gives it up.
    is_rollback
        Whether it undoes another one.
    answer
        The first valid answer in time.
    answered, answered_by
        When that was taken, and the attempt.
    closed
        When CloudFormation took notice of the answer or gave up, and the resource's status says so.
    cancelled
        Whether CloudFormation gave up because another resource failed, or the user asked for it.
    """

    event: dict[str, Any]
    properties: Properties
    issued: float
    expires: float
    is_rollback: bool
    answer: Answer | None = None
    answered: float | None = None
    answered_by: Put | None = None
    closed: float | None = None
    cancelled: bool = False

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.event["RequestId"])

    @property
    def type(self) -> str:
        """``Create``, ``Update`` or ``Delete``."""
        return str(self.event["RequestType"])

    @property
    def succeeded(self) -> bool:
        """Whether the answer is SUCCESS."""
        return self.answer is not None and self.answer.status == "SUCCESS"

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


@dataclass(frozen=True)
class Operation:
    """Something that a user does to the stack.

    Parameters
    ----------
    kind
        ``deploy``, ``delete`` or ``retry`` (continue a failed rollback, or delete again).
    after
        Seconds since the operation before.
    properties
        Properties of the resource, for ``deploy``.
    sibling_fails
        Whether another resource fails after this one has succeeded, which rolls it back.
    cancelled_after
        Seconds after which another resource fails while this one's request runs.
    renamed
        Whether the construct gets another logical id, or another provider, which means the same.
    new_key
        Id of a key that is created in the same deployment, and deleted when that is rolled back.
    """

    kind: str
    after: float
    properties: Properties = field(default_factory=dict)
    sibling_fails: bool = False
    cancelled_after: float = float("inf")
    renamed: bool = False
    new_key: str = ""


class Described(NamedTuple):
    """A resource as it is described: its status, and since when; empty when it is not."""

    status: str
    updated: float


@dataclass(frozen=True)
class CloudFormationTraits:
    """What is the service's own choice in a schedule.

    Parameters
    ----------
    failed_id_sticks
        Whether the id of a FAILED answer to an Update is the resource's from then on.
    unanswered_create_is_deleted
        Whether a Create that timed out is followed by a Delete, with an invented id.
    shows_deleted
        Whether the resource of a stack that is deleted is still described, as DELETE_COMPLETE.
    clock_skew
        Seconds by which a status change is noted after the request was sent.
    shows
        When a resource's status is described: ``at once``, ``at its end`` (of the request), or
        ``at the end`` (of the stack's operation).
    lag
        Seconds by which a description may be late: less than operations are apart.
    tells_rollbacks
        Whether an Update that undoes another has the status UPDATE_ROLLBACK_IN_PROGRESS.
    """

    failed_id_sticks: bool
    unanswered_create_is_deleted: bool
    shows_deleted: bool
    clock_skew: float
    shows: str = "at once"
    lag: float = 0.0
    tells_rollbacks: bool = False


@dataclass
class Resource:
    """The custom resource, under one logical id."""

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
    """A stack: the resource that it has now, and all that it has had."""

    arn: str
    resource: Resource
    resources: list[Resource]
    statuses: History[str]

    @property
    def status(self) -> str:
        """What it is."""
        return self.statuses.value


class CloudFormation:
    """The service, and the user who deploys.

    Parameters
    ----------
    stage
        Time, memory and mishaps.
    endpoint
        Where answers arrive.
    kms
        Where the keys are that are created together with the resource.
    invoke
        Invokes the function asynchronously, for a request.
    operations
        What the user does, in order.
    traits
        The service's own choices.
    rng
        Source of what is left to chance.
    """

    def __init__(
        self,
        stage: Stage,
        endpoint: Endpoint,
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
        self._answered = stage.scheduler.signal()
        self._rollback: tuple[Properties, Properties] = ({}, {})
        self.requests: list[Request] = []
        self.stacks: list[Stack] = []
        self.finished = False
        endpoint.take = self._take

    def serve(self, operation: str, params: Params, caller: object) -> dict[str, Any]:
        """Carry out DescribeStackResource or DescribeStacks."""
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

    def live(self) -> None:
        """Do what the user does; a task."""
        for operation in self._operations:
            self._scheduler.sleep(max(operation.after, BEGINS_AFTER))
            self._journal.note("user", operation.kind, dict(operation.properties))
            match operation.kind:
                case "deploy":
                    self._deploy(operation)
                case "delete":
                    self._delete()
                case "retry":
                    self._retry()
        self.finished = True

    # What the user asks for

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
            self._become(stack, "CREATE_COMPLETE")
            return
        self._become(stack, "ROLLBACK_IN_PROGRESS")
        self._remove(stack, resource)
        gone = resource.status == "DELETE_COMPLETE"
        self._become(stack, "ROLLBACK_COMPLETE" if gone else "ROLLBACK_FAILED")

    def _add(self, stack: Stack, resource: Resource, operation: Operation) -> bool:
        """Create a resource; False when it has to go again."""
        request = self._request(stack, resource, "Create", operation.properties, operation)
        answer = request.answer
        invented = f"orders-{resource.logical_id}-{self._rng.getrandbits(48):012X}"
        resource.physical_id = answer.physical_id if answer else invented
        resource.properties = operation.properties
        self._set(resource, "CREATE_COMPLETE" if request.succeeded else "CREATE_FAILED")
        return request.succeeded and not operation.sibling_fails

    def _rename(self, stack: Stack, operation: Operation) -> None:
        """Create the resource under another logical id, and then remove the old one.

        When that fails, the new one is removed again, and nothing is sent to the old one.
        """
        old = stack.resource
        new = Resource(f"Encryption{len(stack.resources)}", self._scheduler.now)
        stack.resources.append(new)
        self._become(stack, "UPDATE_IN_PROGRESS")
        self._make_key(operation)
        if self._add(stack, new, operation):
            stack.resource = new
            self._become(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(stack, old, old.physical_id, old.properties)
            self._become(stack, "UPDATE_COMPLETE")
        else:
            self._become(stack, "UPDATE_ROLLBACK_IN_PROGRESS")
            self._clean_up(stack, new, new.physical_id, new.properties)
            self._become(stack, "UPDATE_ROLLBACK_COMPLETE")

    def _update(self, stack: Stack, operation: Operation) -> None:
        resource, wanted = stack.resource, operation.properties
        before = resource.physical_id, resource.properties
        self._become(stack, "UPDATE_IN_PROGRESS")
        self._make_key(operation)
        request = self._request(stack, resource, "Update", wanted, operation)
        answer = request.answer
        if request.succeeded or (answer and self._traits.failed_id_sticks):
            assert answer is not None
            resource.physical_id, resource.properties = answer.physical_id, wanted
        self._set(resource, "UPDATE_COMPLETE" if request.succeeded else "UPDATE_FAILED")
        if request.succeeded and not operation.sibling_fails:
            self._become(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(stack, resource, *before)
            self._become(stack, "UPDATE_COMPLETE")
        else:
            self._roll_back(stack, before[1], wanted)

    def _roll_back(self, stack: Stack, wanted: Properties, given_up: Properties) -> None:
        self._become(stack, "UPDATE_ROLLBACK_IN_PROGRESS")
        resource = stack.resource
        now_own = resource.physical_id, resource.properties
        resource.properties = given_up
        request = self._request(stack, resource, "Update", wanted, rollback=True)
        if request.answer and request.succeeded:
            resource.physical_id, resource.properties = request.answer.physical_id, wanted
            tells = self._traits.tells_rollbacks
            self._set(resource, "UPDATE_ROLLBACK_COMPLETE" if tells else "UPDATE_COMPLETE")
            self._become(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(stack, resource, *now_own)
            self._become(stack, "UPDATE_ROLLBACK_COMPLETE")
        else:
            resource.properties = now_own[1]
            self._set(resource, "UPDATE_FAILED")
            self._rollback = wanted, given_up
            self._become(stack, "UPDATE_ROLLBACK_FAILED")

    def _clean_up(
        self, stack: Stack, resource: Resource, physical_id: str, properties: Properties
    ) -> None:
        """Delete what was replaced; CloudFormation goes on whether that succeeds or not."""
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
            self._set(resource, "DELETE_COMPLETE")

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
        self._become(stack, "DELETE_IN_PROGRESS")
        self._remove(stack, stack.resource)
        gone = stack.resource.status == "DELETE_COMPLETE"
        self._become(stack, "DELETE_COMPLETE" if gone else "DELETE_FAILED")

    def _remove(self, stack: Stack, resource: Resource) -> None:
        last = self.requests[-1]
        timed_out = last.type == "Create" and last.answer is None and not last.cancelled
        if timed_out and not self._traits.unanswered_create_is_deleted:
            self._set(resource, "DELETE_COMPLETE")
            return
        request = self._request(stack, resource, "Delete", resource.properties)
        self._set(resource, "DELETE_COMPLETE" if request.succeeded else "DELETE_FAILED")

    # The protocol

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
        """Send a request, and wait for its answer or its end.

        Parameters
        ----------
        replaced
            Physical id of what is cleaned up while the resource lives on, which does not show.
        """
        self._scheduler.sleep(self._rng.choice((0.2, 2.0, 20.0)) * self._rng.random())
        if not replaced:
            undoes = "_ROLLBACK" if rollback and self._traits.tells_rollbacks else ""
            self._set(resource, f"{kind.upper()}{undoes}_IN_PROGRESS")
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
        request = Request(event, properties, now, now + timeout, rollback)
        self.requests.append(request)
        self._journal.note(
            "cloudformation", str(request), event.get("PhysicalResourceId", ""), dict(properties)
        )
        self._invoke(json.dumps(event), id_)
        self._answered = self._scheduler.signal()
        patience = operation.cancelled_after if operation else timeout
        self._answered.wait(min(timeout, patience))
        request.closed = self._scheduler.now
        request.cancelled = request.answer is None and patience < timeout
        if request.cancelled:
            self._faults.count(f"cloudformation: a running {kind} was cancelled")
        if request.answer is None:
            end = "is cancelled" if request.cancelled else "was not answered in time"
            self._journal.note("cloudformation", str(request), end)
        return request

    def _take(self, put: Put) -> None:
        request = next(one for one in self.requests if one.id == put.request_id)
        if request.answer is not None or request.closed is not None:
            return
        answer = Answer.read(put.body, request.event)
        request.answer, request.answered, request.answered_by = answer, self._scheduler.now, put
        self._journal.note("cloudformation", str(request), "is", answer.status, answer.invalid)
        self._scheduler.after(self._rng.uniform(0, 1.0), self._answered.give)

    def _set(self, resource: Resource, status: str) -> None:
        now, shows = self._scheduler.now, self._traits.shows
        resource.status = status
        described = Described(status, now + self._traits.clock_skew)
        if shows == "at the end":
            resource.withheld.append(described)
        elif shows == "at once" or status.endswith(FINISHED):
            resource.described.set(now, described)
        self._journal.note("stack", resource.logical_id, "is", status)

    def _become(self, stack: Stack, status: str) -> None:
        """Set the stack's status, which is described at once; first undo what is left to undo."""
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


def _faults(fields: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[str]:
    """Say what CloudFormation rejects of an answer."""
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
