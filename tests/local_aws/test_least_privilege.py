"""The permissions of the role are sufficient, and each one is necessary, with IAM enforced.

The permissions come from the deployed template. For each of them, the test creates a copy of the
stack without that permission, and runs operations that use all permissions. Exactly one operation
must fail, with a reason that names the permission. If the handler continues without the permission,
exactly the protection that it provides must be missing.

The emulator differs from AWS:

- Its Lambda writes the log of the function without the role: the test writes to the log with the
  credentials of the role instead.
- Its Kinesis checks the permission for StartStreamEncryption on the stream only, AWS also on the
  key. The role has that permission; the test cannot show that it is necessary.
- It uses another format for some resources: see `_resource_for_emulator`.
- Its KMS checks the alias ARN for a request with an alias and does not support
  ``kms:ResourceAliases``, so the test uses key ARNs.
- The Lambda service uses the permissions on network interfaces and X-Ray of a provider with ``vpc``
  or ``tracing``. The emulator has neither, so the test cannot cover such a role.
"""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws
from tests.local_aws.clone import (
    Clone,
    Permission,
    StackOperationError,
    Template,
    permissions_of,
    split,
    without,
    without_function_policy,
)
from tests.local_aws.deployment import WAIT_CONTINUED, Deployment, encryption, make_key, make_stream
from tests.local_aws.observing import until

pytestmark = pytest.mark.timeout(500)

FULL_TIMEOUT, SHORT_TIMEOUT = 900, 40


@dataclass(frozen=True)
class Deployed:
    """The stack that the CDK CLI deployed: two streams with a key each, and long timeouts."""

    deployment: Deployment
    outputs: dict[str, str]
    first: dict[str, Any]
    second: dict[str, Any]
    template: Template


@pytest.fixture(scope="module")
def deployed(local_aws_iam: LocalAws) -> Iterator[Deployed]:
    aws = local_aws_iam
    deployment = Deployment(aws)
    first, second = (
        {"stream": make_stream(aws), "key": make_key(aws), "timeout": 20} for _ in range(2)
    )
    outputs = deployment.deploy(First=first, Second=second)
    template = aws.client("cloudformation").get_template(StackName=deployment.stack)
    yield Deployed(deployment, outputs, first, second, split(dict(template["TemplateBody"])))
    deployment.destroy()


def test_role_is_sufficient_for_all_operations(local_aws_iam: LocalAws, deployed: Deployed) -> None:
    aws, deployment, outputs = local_aws_iam, deployed.deployment, deployed.outputs
    first, second = deployed.first, deployed.second
    for options in (first, second):
        assert encryption(aws, options["stream"]) == ("ACTIVE", "KMS", options["key"])

    send_stale_request(
        aws,
        function=outputs["Function"],
        stack_id=deployment.describe()["StackId"],
        logical_id=deployment.events()[0]["LogicalResourceId"],
        stream=first["stream"],
        key=second["key"],
    )
    assert encryption(aws, first["stream"]) == ("ACTIVE", "KMS", first["key"])
    (problem,) = problems(deployment.log())
    assert " is stale (the resource is " in problem["reason"]

    switched = {**first, "key": make_key(aws)}
    moved = {**second, "stream": make_stream(aws), "key": make_key(aws)}
    deployment.deploy(First=switched, Second=moved)
    for options in (switched, moved):
        assert encryption(aws, options["stream"]) == ("ACTIVE", "KMS", options["key"])
    assert problems(deployment.log()) == [problem]

    deployment.destroy()
    for options in (switched, moved, second):
        assert encryption(aws, options["stream"]) == ("ACTIVE", "KMS", options["key"])


def send_stale_request(
    aws: LocalAws, *, function: str, stack_id: str, logical_id: str, stream: str, key: str
) -> None:
    """Deliver a Create again that was sent ten minutes ago."""
    sent = datetime.now(UTC) - timedelta(minutes=10)
    event = {
        "RequestType": "Create",
        "ResponseURL": f"{aws.endpoint_url}/_ministack/cfn-response/stale"
        f"?X-Amz-Date={sent:%Y%m%dT%H%M%SZ}",
        "StackId": stack_id,
        "RequestId": "stale",
        "LogicalResourceId": logical_id,
        "ResourceProperties": {"StreamArn": stream, "KeyId": key},
    }
    aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))


def problems(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the warnings and errors in a log."""
    return [line for line in log if line["level"] != "INFO"]


# --- Operations that use every permission ---------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """An operation with another result than with all permissions.

    Attributes
    ----------
    operation
        Name of the operation.
    reason
        Reason of CloudFormation or AWS, or the change that was made to the stream.
    """

    operation: str
    reason: str


Operation = Callable[[Clone], None]


class ProtectionMissingError(Exception):
    """An operation succeeded without a protection that the handler provides."""


def perform(clone: Clone, operations: list[Operation]) -> list[Difference]:
    """Perform operations up to the first one that fails, and return the differences."""
    differences = []
    for operation in operations:
        try:
            operation(clone)
        except ProtectionMissingError as error:
            differences.append(Difference(operation.__name__, str(error)))
        except StackOperationError as error:
            differences.append(Difference(operation.__name__, str(error)))
            break
    return differences


def create(clone: Clone) -> None:
    clone.create()
    check_encryption(clone)


def write_log(clone: Clone) -> None:
    """Write to the log, as the Lambda service does with the credentials of the role."""
    logs = clone.role_client("logs")
    stream = {
        "logGroupName": clone.physical_id("AWS::Logs::LogGroup"),
        "logStreamName": "written-by-the-test",
    }
    line = {"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": "written"}
    try:
        logs.create_log_stream(**stream)
        logs.put_log_events(**stream, logEvents=[line])
    except ClientError as error:
        raise StackOperationError(str(error)) from error


def reject_stale_requests(clone: Clone) -> None:
    """Send requests for a resource that was updated since, and for one that a rollback removed."""
    before = clone.key("First")
    applied = []
    clone.use_key("First", "no key")
    with suppress(StackOperationError):
        clone.update()
    clone.use_key("First", before)
    for resource in (clone.logical_id("First"), "Removed"):
        key = clone.encryption("First")
        send_stale_request(
            clone.aws,
            function=clone.function,
            stack_id=clone.stack_id,
            logical_id=resource,
            stream=clone.stream("First"),
            key=clone.key("Second") if key == before else before,
        )
        if clone.encryption("First") != key:
            applied.append("removed" if resource == "Removed" else "updated")
    if applied:
        raise ProtectionMissingError(f"applied for a resource that was {' and '.join(applied)}")


def switch_keys(clone: Clone) -> None:
    first, second = clone.key("First"), clone.key("Second")
    clone.use_key("First", second)
    clone.use_key("Second", first)
    clone.update()
    check_encryption(clone)


def reject_disabled_keys(clone: Clone) -> None:
    """The Kinesis emulator does not check keys, so that only the handler can reject them."""
    applied = [
        key
        for name, key in (
            ("First", clone.key("Second")),
            ("Second", clone.key("First")),
        )
        if not rejects_disabled(clone, name, key)
    ]
    if applied:
        raise ProtectionMissingError(f"applied the disabled key {' and '.join(applied)}")


def rejects_disabled(clone: Clone, name: str, key: str) -> bool:
    before = clone.key(name)
    clone.aws.client("kms").disable_key(KeyId=key)
    clone.use_key(name, key)
    reason = ""
    try:
        clone.update()
    except StackOperationError as error:
        reason = str(error)
    clone.aws.client("kms").enable_key(KeyId=key)
    clone.use_key(name, before)
    if not reason:
        clone.update()
        return False
    assert key in reason
    assert re.search(r"\bstate\b.*\bDisabled\b", reason), reason
    check_encryption(clone)
    return True


def wait_longer_than_an_invocation(clone: Clone) -> None:
    """Let a wait continue in a new invocation.

    Streams are never UPDATING here. The handler waits for a missing policy instead, which could
    still propagate.
    """
    clone.set_timeout(SHORT_TIMEOUT)
    clone.use_key("First", clone.key("Second"))
    with clone.without_policy():
        clone.start_update()
        until(lambda: was_continued(clone) or not clone.in_progress)
    clone.wait("stack_update_complete")
    assert was_continued(clone), "one invocation was enough"
    check_encryption(clone)
    clone.set_timeout(FULL_TIMEOUT)


def was_continued(clone: Clone) -> bool:
    return any(line["message"] == WAIT_CONTINUED for line in clone.log())


def delete(clone: Clone) -> None:
    before = [clone.encryption(name) for name in ("First", "Second")]
    clone.delete()
    assert all(before)
    assert [clone.encryption(name) for name in ("First", "Second")] == before


OPERATIONS: list[Operation] = [
    create,
    write_log,
    reject_stale_requests,
    switch_keys,
    reject_disabled_keys,
    wait_longer_than_an_invocation,
    delete,
]


def check_encryption(clone: Clone) -> None:
    for name in ("First", "Second"):
        assert clone.encryption(name) == clone.key(name)


# --- Without one permission -----------------------------------------------------------------------

_DENIED = "(?:ACCESS_DENIED: )?Access denied to {action} for stream {resource},"
DIFFERENCES = {
    "cloudformation:DescribeStackResource": "applied for a resource that was updated and removed$",
    "cloudformation:DescribeStacks": "applied for a resource that was removed$",
    "kinesis:DescribeStreamSummary": _DENIED,
    "kinesis:StartStreamEncryption": _DENIED,
    "kms:DescribeKey": "applied the disabled key {resource}$",
    "logs:CreateLogStream": ".*not authorized to perform: {action} ",
    "logs:PutLogEvents": ".*not authorized to perform: {action} ",
}
"""By action, a pattern for the reason of the only difference without that permission."""


def is_checked_by_emulator(permission: Permission) -> bool:
    is_key_of_start = ":kms:" in permission.resource
    return not (permission.action == "kinesis:StartStreamEncryption" and is_key_of_start)


@dataclass(frozen=True)
class Outcome:
    """A clone, with the differences that its operations had."""

    clone: Clone
    differences: list[Difference]


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of clones that run in parallel, because the handler retries a denial for a minute.

    Attributes
    ----------
    without_permission
        By the permission that the role lacks.
    without_function_policy
        If the function may not invoke itself.
    forbidden_stream
        With a stream that the role does not allow.
    """

    without_permission: dict[Permission, Outcome]
    without_function_policy: Outcome
    forbidden_stream: Outcome


@pytest.fixture(scope="module")
def outcomes(local_aws_iam: LocalAws, deployed: Deployed) -> Outcomes:
    aws, template = local_aws_iam, deployed.template
    permissions = [each for each in permissions_of(template) if is_checked_by_emulator(each)]
    clones = [Clone(aws, without(template, each)) for each in permissions]
    waiting = Clone(aws, without_function_policy(template))
    forbidden = Clone(aws, template)
    forbidden.use_forbidden_stream("First")
    with ThreadPoolExecutor(len(clones) + 2) as pool:
        *results, waiting_result, forbidden_result = pool.map(
            perform_all, [*clones, waiting, forbidden]
        )
    by_permission = dict(zip(permissions, results, strict=True))
    return Outcomes(by_permission, waiting_result, forbidden_result)


def perform_all(clone: Clone) -> Outcome:
    try:
        return Outcome(clone, perform(clone, OPERATIONS))
    finally:
        clone.discard()


def test_each_permission_is_necessary(outcomes: Outcomes, subtests: pytest.Subtests) -> None:
    for permission, outcome in outcomes.without_permission.items():
        with subtests.test(str(permission)):
            assert outcome.differences, "no operation needs the permission"
            assert len(outcome.differences) == 1, outcome.differences
            action = permission.action
            assert action in DIFFERENCES, "add the expected difference"
            (difference,) = outcome.differences
            resource = re.escape(outcome.clone.translate(permission.resource).strip('"'))
            expected = DIFFERENCES[action].format(action=action, resource=resource)
            assert re.match(expected, difference.reason), difference


def test_long_wait_needs_the_function_policy(outcomes: Outcomes) -> None:
    (difference,) = outcomes.without_function_policy.differences
    assert difference.operation == "wait_longer_than_an_invocation"
    assert re.search(r"\bin a(?:nother| new) invocation\b", difference.reason), difference
    assert "lambda:InvokeFunction" in difference.reason


def test_role_does_not_allow_other_streams(outcomes: Outcomes) -> None:
    (difference,) = outcomes.forbidden_stream.differences
    stream = outcomes.forbidden_stream.clone.stream("First")
    assert difference.operation == "create"
    denied = f"Access denied to kinesis:DescribeStreamSummary for stream {stream},"
    assert re.match(f"(?:ACCESS_DENIED: )?{re.escape(denied)}", difference.reason), difference
