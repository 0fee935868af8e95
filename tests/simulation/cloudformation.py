"""Simulated CloudFormation: a stack with this one custom resource, deployed and rolled back.

Sources: CloudFormation user guide, "Custom resource request objects", "Custom resource response
objects", "Replacing a custom resource during an update"; aws-cdk pull request 29581 (what an
Update back looks like after a replacement) and issue 13527 (a FAILED answer's id is kept).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from tests.simulation.endpoint import Endpoint, Put
from tests.simulation.service import FUNCTION_ARN, Params, ServiceError, arn
from tests.simulation.stage import Stage

LOGICAL_ID = "Encryption"
MAX_BODY = 4096
MAX_PHYSICAL_ID = 1024

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
    issued
        When.
    expires
        When CloudFormation gives it up.
    is_rollback, is_clean_up
        Whether it undoes another one, or removes what has been replaced.
    answer
        The first valid answer in time.
    answered, answered_by
        When that was taken, and the attempt.
    closed
        When CloudFormation took notice of the answer or gave up, and the resource's status says so.
    overtaken
        When CloudFormation sent the next request of the resource.
    """

    event: dict[str, Any]
    issued: float
    expires: float
    is_rollback: bool
    is_clean_up: bool
    answer: Answer | None = None
    answered: float | None = None
    answered_by: Put | None = None
    closed: float | None = None
    overtaken: float | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.event["RequestId"])

    @property
    def type(self) -> str:
        """``Create``, ``Update`` or ``Delete``."""
        return str(self.event["RequestType"])

    @property
    def properties(self) -> Properties:
        """Properties of the resource."""
        return dict(self.event["ResourceProperties"])

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
    """

    kind: str
    after: float
    properties: Properties = field(default_factory=dict)
    sibling_fails: bool = False


@dataclass(frozen=True)
class CloudFormationTraits:
    """What is the service's own choice in a schedule.

    Parameters
    ----------
    failed_id_sticks
        Whether the id of a FAILED answer to an Update is the resource's from then on.
    unanswered_create_is_deleted
        Whether a Create without answer is followed by a Delete, with a made-up id.
    clock_skew
        Seconds by which a status change is noted after the request was sent.
    """

    failed_id_sticks: bool
    unanswered_create_is_deleted: bool
    clock_skew: float


@dataclass
class Stack:
    """The stack with the one resource."""

    arn: str
    status: str = ""
    resource_status: str = ""
    updated: float = 0.0
    physical_id: str = ""
    properties: Properties = field(default_factory=dict)


class CloudFormation:
    """The service, and the user who deploys.

    Parameters
    ----------
    stage
        Time, memory and mishaps.
    endpoint
        Where answers arrive.
    invoke
        Invokes the function asynchronously.
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
        invoke: Callable[[str, str], None],
        operations: tuple[Operation, ...],
        traits: CloudFormationTraits,
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._endpoint = endpoint
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
        """Carry out DescribeStackResource."""
        stack = next((one for one in self.stacks if one.arn == params["StackName"]), None)
        if stack is None or params["LogicalResourceId"] != LOGICAL_ID:
            raise ServiceError("ValidationError", f"Stack '{params['StackName']}' does not exist")
        detail = {
            "StackId": stack.arn,
            "LogicalResourceId": LOGICAL_ID,
            "ResourceType": "Custom::KinesisStreamEncryption",
            "ResourceStatus": stack.resource_status,
            "LastUpdatedTimestamp": datetime.fromtimestamp(stack.updated, UTC),
        }
        if stack.physical_id:
            detail["PhysicalResourceId"] = stack.physical_id
        return {"StackResourceDetail": detail}

    def live(self) -> None:
        """Do what the user does; a task."""
        for operation in self._operations:
            self._scheduler.sleep(operation.after)
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
        elif stack.status.endswith("_COMPLETE") and stack.properties != operation.properties:
            self._update(stack, operation)

    def _create(self, operation: Operation) -> None:
        guid = f"{self._rng.getrandbits(48):012x}"
        stack = Stack(arn("cloudformation", f"stack/orders/{guid}"), "CREATE_IN_PROGRESS")
        self.stacks.append(stack)
        request = self._request(stack, "Create", "", operation.properties)
        answer = request.answer
        if answer and answer.status == "SUCCESS":
            self._own(stack, answer.physical_id, operation.properties)
            self._set(stack, "CREATE_COMPLETE")
            if not operation.sibling_fails:
                stack.status = "CREATE_COMPLETE"
                return
        else:
            self._set(stack, "CREATE_FAILED")
            made_up = f"orders-{LOGICAL_ID}-{guid.upper()}"
            self._own(stack, answer.physical_id if answer else made_up, operation.properties)
        self._journal.note("stack", "ROLLBACK_IN_PROGRESS")
        if answer or self._traits.unanswered_create_is_deleted:
            self._remove(stack, rollback=True)
        else:
            self._set(stack, "DELETE_COMPLETE")
        gone = stack.resource_status == "DELETE_COMPLETE"
        stack.status = "ROLLBACK_COMPLETE" if gone else "ROLLBACK_FAILED"

    def _update(self, stack: Stack, operation: Operation) -> None:
        before = stack.physical_id, stack.properties
        stack.status = "UPDATE_IN_PROGRESS"
        request = self._request(stack, "Update", before[0], operation.properties, before[1])
        answer = request.answer
        if answer and answer.status == "SUCCESS":
            self._own(stack, answer.physical_id, operation.properties)
            self._set(stack, "UPDATE_COMPLETE")
            if not operation.sibling_fails:
                self._clean_up(stack, before)
                stack.status = "UPDATE_COMPLETE"
                return
        else:
            self._set(stack, "UPDATE_FAILED")
            if answer and self._traits.failed_id_sticks:
                self._own(stack, answer.physical_id, operation.properties)
        self._roll_back(stack, before[1], operation.properties)

    def _roll_back(self, stack: Stack, wanted: Properties, given_up: Properties) -> None:
        self._journal.note("stack", "UPDATE_ROLLBACK_IN_PROGRESS")
        now_own = stack.physical_id, stack.properties
        request = self._request(stack, "Update", now_own[0], wanted, given_up, rollback=True)
        if request.answer and request.answer.status == "SUCCESS":
            self._own(stack, request.answer.physical_id, wanted)
            self._set(stack, "UPDATE_COMPLETE")
            self._clean_up(stack, now_own)
            stack.status = "UPDATE_ROLLBACK_COMPLETE"
        else:
            self._set(stack, "UPDATE_FAILED")
            self._rollback = wanted, given_up
            stack.status = "UPDATE_ROLLBACK_FAILED"

    def _clean_up(self, stack: Stack, before: tuple[str, Properties]) -> None:
        """Delete what was replaced; CloudFormation goes on whether that succeeds or not."""
        if before[0] == stack.physical_id:
            return
        for _ in range(3):
            request = self._request(stack, "Delete", before[0], before[1], cleaning_up=True)
            if request.answer and request.answer.status == "SUCCESS":
                return

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
        stack.status = "DELETE_IN_PROGRESS"
        self._remove(stack, rollback=False)
        gone = stack.resource_status == "DELETE_COMPLETE"
        stack.status = "DELETE_COMPLETE" if gone else "DELETE_FAILED"

    def _remove(self, stack: Stack, *, rollback: bool) -> None:
        request = self._request(
            stack, "Delete", stack.physical_id, stack.properties, rollback=rollback
        )
        succeeded = request.answer is not None and request.answer.status == "SUCCESS"
        self._set(stack, "DELETE_COMPLETE" if succeeded else "DELETE_FAILED")

    # The protocol

    def _request(
        self,
        stack: Stack,
        kind: str,
        physical_id: str,
        properties: Properties,
        old: Properties | None = None,
        *,
        rollback: bool = False,
        cleaning_up: bool = False,
    ) -> Request:
        """Send a request, and wait for its answer or its end."""
        self._pause()
        if not cleaning_up:
            self._set(stack, f"{kind.upper()}_IN_PROGRESS")
        id_ = f"{len(self.requests):04d}-{self._rng.getrandbits(32):08x}"
        event: dict[str, Any] = {
            "RequestType": kind,
            "ServiceToken": FUNCTION_ARN,
            "ResponseURL": self._endpoint.sign(id_),
            "StackId": stack.arn,
            "RequestId": id_,
            "LogicalResourceId": LOGICAL_ID,
            "ResourceType": "Custom::KinesisStreamEncryption",
            "ResourceProperties": {"ServiceToken": FUNCTION_ARN, **properties},
        }
        if physical_id:
            event["PhysicalResourceId"] = physical_id
        if old is not None:
            event["OldResourceProperties"] = {"ServiceToken": FUNCTION_ARN, **old}
        now = self._scheduler.now
        timeout = _timeout(properties)
        request = Request(event, now, now + timeout, rollback, cleaning_up)
        if self.requests:
            self.requests[-1].overtaken = now
        self.requests.append(request)
        self._journal.note("cloudformation", str(request), physical_id, dict(properties))
        self._invoke(json.dumps(event), "cloudformation")
        self._answered = self._scheduler.signal()
        self._answered.wait(timeout)
        request.closed = self._scheduler.now
        if request.answer is None:
            self._journal.note("cloudformation", str(request), "was not answered in time")
        return request

    def _take(self, put: Put) -> None:
        request = next(one for one in self.requests if one.id == put.request_id)
        if request.answer is not None or request.closed is not None:
            return
        answer = Answer.read(put.body, request.event)
        request.answer, request.answered, request.answered_by = answer, self._scheduler.now, put
        self._journal.note("cloudformation", str(request), "is", answer.status, answer.invalid)
        self._scheduler.after(self._rng.uniform(0, 1.0), self._answered.give)

    def _own(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        stack.physical_id, stack.properties = physical_id, properties

    def _set(self, stack: Stack, status: str) -> None:
        stack.resource_status = status
        stack.updated = self._scheduler.now + self._traits.clock_skew
        self._journal.note("stack", "resource is", status)

    def _pause(self) -> None:
        self._scheduler.sleep(self._rng.choice((0.2, 2.0, 20.0)) * self._rng.random())


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


def _timeout(properties: Properties) -> float:
    try:
        return float(min(max(int(properties.get("ServiceTimeout", 3600)), 1), 3600))
    except ValueError:
        return 3600.0
