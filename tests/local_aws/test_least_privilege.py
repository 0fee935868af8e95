"""The role's rights suffice, and each of them is needed, with IAM enforced.

The rights are read off the deployed template. For each of them the stack is created once more,
without just that right, and led through a life that uses all of them; something of that life then
has to fail, for a reason that names the right. Where the handler goes on without a right, the
protection that it gives has to be lost, and nothing else.

What the emulator does not do as AWS does:

- Its Lambda writes the function's log and asks no role: the test plays Lambda's part and writes to
  the log with the role's credentials.
- Its Kinesis asks for the right to StartStreamEncryption on the stream alone, AWS on the key too.
  That right is in the role; that nothing goes without it cannot be seen here.
- It spells some resources differently: see `_spelt_for_the_emulator`.
- Its KMS takes a request by alias as one about the alias's ARN and knows no
  ``kms:ResourceAliases``, so the keys here are given by ARN.
- Rights to network interfaces and X-Ray, which a provider with ``vpc`` or ``tracing`` has, are used
  by the Lambda service; there is neither here, and such a role would fail these tests.
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
    Failed,
    Right,
    Template,
    rights,
    split,
    without,
    without_permission,
)
from tests.local_aws.deployment import Deployment, encryption, make_key, make_stream
from tests.local_aws.observing import until

pytestmark = pytest.mark.timeout(500)

FULL_TIMEOUT, SHORT_TIMEOUT = 900, 40
HANDED_OVER = "continuing in a new invocation"


@dataclass(frozen=True)
class Deployed:
    """The stack as the CDK CLI deploys it: two streams with a key each, and long waits."""

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
    if deployment.exists:
        deployment.destroy()


def test_the_role_suffices_for_the_life_of_a_stack(
    local_aws_iam: LocalAws, deployed: Deployed
) -> None:
    aws, deployment, outputs = local_aws_iam, deployed.deployment, deployed.outputs
    first, second = deployed.first, deployed.second
    for wanted in (first, second):
        assert encryption(aws, wanted["stream"]) == ("ACTIVE", "KMS", wanted["key"])

    send_overtaken_request(
        aws,
        function=outputs["Function"],
        stack_id=deployment.describe()["StackId"],
        logical_id=deployment.events()[0]["LogicalResourceId"],
        stream=first["stream"],
        key=second["key"],
    )
    assert encryption(aws, first["stream"]) == ("ACTIVE", "KMS", first["key"])
    (trouble,) = troubles(deployment.log())
    assert " is stale (the resource is " in trouble["reason"]

    switched = {**first, "key": make_key(aws)}
    moved = {**second, "stream": make_stream(aws), "key": make_key(aws)}
    deployment.deploy(First=switched, Second=moved)
    for wanted in (switched, moved):
        assert encryption(aws, wanted["stream"]) == ("ACTIVE", "KMS", wanted["key"])
    assert troubles(deployment.log()) == [trouble]

    deployment.destroy()
    for wanted in (switched, moved, second):
        assert encryption(aws, wanted["stream"]) == ("ACTIVE", "KMS", wanted["key"])


def send_overtaken_request(
    aws: LocalAws, *, function: str, stack_id: str, logical_id: str, stream: str, key: str
) -> None:
    """Deliver a Create once more when the stack has got on."""
    sent = datetime.now(UTC) - timedelta(minutes=10)
    event = {
        "RequestType": "Create",
        "ResponseURL": f"{aws.endpoint_url}/_ministack/cfn-response/overtaken"
        f"?X-Amz-Date={sent:%Y%m%dT%H%M%SZ}",
        "StackId": stack_id,
        "RequestId": "overtaken",
        "LogicalResourceId": logical_id,
        "ResourceProperties": {"StreamArn": stream, "KeyId": key},
    }
    aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))


def troubles(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in log if line["level"] != "INFO"]


# --- A life that uses every right -----------------------------------------------------------------


@dataclass(frozen=True)
class Loss:
    """Something that does not go as it does with all rights.

    Attributes
    ----------
    operation
        What was tried.
    reason
        What CloudFormation or the function's log says, or what has happened to the stream.
    """

    operation: str
    reason: str


Operation = Callable[[Clone], None]


class Lost(Exception):
    """Something was lost although the operation went on."""


def live(clone: Clone, operations: list[Operation]) -> list[Loss]:
    """Lead a stack through its life up to the first failure, and tell what was lost."""
    losses = []
    for operation in operations:
        try:
            operation(clone)
        except Lost as lost:
            losses.append(Loss(operation.__name__, str(lost)))
        except Failed as failed:
            losses.append(Loss(operation.__name__, str(failed)))
            break
    return losses


def create(clone: Clone) -> None:
    clone.create()
    check_encryption(clone)


def write_the_log(clone: Clone) -> None:
    """What the Lambda service does with the role's credentials."""
    logs = clone.client_of_the_role("logs")
    stream = {
        "logGroupName": clone.physical_id("AWS::Logs::LogGroup"),
        "logStreamName": "written-by-the-test",
    }
    line = {"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": "written"}
    try:
        logs.create_log_stream(**stream)
        logs.put_log_events(**stream, logEvents=[line])
    except ClientError as error:
        raise Failed(str(error)) from error


def refuse_stale_requests(clone: Clone) -> None:
    """Of a resource that has got on, and of one that a rollback has removed."""
    before = clone.key("First")
    carried_out = []
    clone.use_key("First", "no key")
    with suppress(Failed):
        clone.update()
    clone.use_key("First", before)
    for resource in (clone.logical_id("First"), "Removed"):
        key = clone.encryption("First")
        send_overtaken_request(
            clone.aws,
            function=clone.function,
            stack_id=clone.stack_id,
            logical_id=resource,
            stream=clone.stream("First"),
            key=clone.key("Second") if key == before else before,
        )
        if clone.encryption("First") != key:
            carried_out.append("a removed" if resource == "Removed" else "an earlier")
    if carried_out:
        raise Lost(f"{' and '.join(carried_out)} resource's request has changed the stream's key")


def switch_keys(clone: Clone) -> None:
    first, second = clone.key("First"), clone.key("Second")
    clone.use_key("First", second)
    clone.use_key("Second", first)
    clone.update()
    check_encryption(clone)


def refuse_disabled_keys(clone: Clone) -> None:
    """Kinesis does not look at keys here; on AWS it would, with the stream's records at stake."""
    applied = [
        key
        for name, key in (
            ("First", clone.key("Second")),
            ("Second", clone.key("First")),
        )
        if not refuses_disabled(clone, name, key)
    ]
    if applied:
        raise Lost(f"a stream was given the disabled key {' and '.join(applied)}")


def refuses_disabled(clone: Clone, name: str, key: str) -> bool:
    before = clone.key(name)
    clone.client("kms").disable_key(KeyId=key)
    clone.use_key(name, key)
    reason = ""
    try:
        clone.update()
    except Failed as failed:
        reason = str(failed)
    clone.client("kms").enable_key(KeyId=key)
    clone.use_key(name, before)
    if not reason:
        clone.update()
        return False
    assert reason.startswith(f"KEY_UNUSABLE: KMS key {key} is not usable (state: Disabled).")
    check_encryption(clone)
    return True


def wait_longer_than_an_invocation(clone: Clone) -> None:
    """A wait that another invocation goes on with.

    Streams here are never UPDATING. What is waited for instead is a policy, which the handler takes
    for one that has not propagated yet.
    """
    clone.set_timeout(SHORT_TIMEOUT)
    clone.use_key("First", clone.key("Second"))
    with clone.policy_withheld():
        clone.begin_update()
        until(lambda: handed_over(clone) or not clone.in_progress)
    clone.wait("stack_update_complete")
    assert handed_over(clone), "one invocation was enough"
    check_encryption(clone)
    clone.set_timeout(FULL_TIMEOUT)


def handed_over(clone: Clone) -> bool:
    return any(line["message"] == HANDED_OVER for line in clone.log())


def delete(clone: Clone) -> None:
    before = [clone.encryption(name) for name in ("First", "Second")]
    clone.delete()
    assert all(before)
    assert [clone.encryption(name) for name in ("First", "Second")] == before


OPERATIONS: list[Operation] = [
    create,
    write_the_log,
    refuse_stale_requests,
    switch_keys,
    refuse_disabled_keys,
    wait_longer_than_an_invocation,
    delete,
]


def check_encryption(clone: Clone) -> None:
    for name in ("First", "Second"):
        assert clone.encryption(name) == clone.key(name)


# --- With one right less --------------------------------------------------------------------------

WITHOUT = {
    "cloudformation:DescribeStackResource": "an earlier and a removed resource's request has",
    "cloudformation:DescribeStacks": "a removed resource's request has changed the stream's key",
    "kinesis:DescribeStreamSummary": (
        "ACCESS_DENIED: Access denied to {action} for stream {resource},"
    ),
    "kinesis:StartStreamEncryption": (
        "ACCESS_DENIED: Access denied to {action} for stream {resource},"
    ),
    "kms:DescribeKey": "a stream was given the disabled key {resource}$",
    "logs:CreateLogStream": ".*not authorized to perform: {action} ",
    "logs:PutLogEvents": ".*not authorized to perform: {action} ",
}
"""By action, how the only loss without that right begins."""


def can_be_seen(right: Right) -> bool:
    return not (right.action == "kinesis:StartStreamEncryption" and ":kms:" in right.resource)


@dataclass(frozen=True)
class Life:
    clone: Clone
    losses: list[Loss]


@dataclass(frozen=True)
class Lives:
    """Lives led at the same time, as the handler bears a denial for a minute.

    Attributes
    ----------
    lacking
        By the right that is missing.
    alone
        Where the function may not invoke itself.
    trespassing
        With a stream that the rights do not name.
    """

    lacking: dict[Right, Life]
    alone: Life
    trespassing: Life


@pytest.fixture(scope="module")
def lives(local_aws_iam: LocalAws, deployed: Deployed) -> Lives:
    given = [right for right in rights(deployed.template) if can_be_seen(right)]
    clones = [Clone(local_aws_iam, without(deployed.template, right)) for right in given]
    alone = Clone(local_aws_iam, without_permission(deployed.template))
    trespassing = Clone(local_aws_iam, deployed.template)
    trespassing.trespass("First")
    with ThreadPoolExecutor(len(clones) + 2) as pool:
        *lacking, without_itself, elsewhere = pool.map(lead, [*clones, alone, trespassing])
    return Lives(dict(zip(given, lacking, strict=True)), without_itself, elsewhere)


def lead(clone: Clone) -> Life:
    try:
        return Life(clone, live(clone, OPERATIONS))
    finally:
        clone.discard()


def test_each_right_is_needed_and_the_others_suffice_for_the_rest(
    lives: Lives, subtests: pytest.Subtests
) -> None:
    for right, life in lives.lacking.items():
        with subtests.test(str(right)):
            assert life.losses, "no operation needs it"
            assert len(life.losses) == 1, life.losses
            assert right.action in WITHOUT, "nobody has said what is lost without it"
            (loss,) = life.losses
            resource = re.escape(life.clone.own(right.resource).strip('"'))
            expected = WITHOUT[right.action].format(action=right.action, resource=resource)
            assert re.match(expected, loss.reason), loss


def test_a_long_wait_needs_the_permission(lives: Lives) -> None:
    (loss,) = lives.alone.losses
    assert loss.operation == "wait_longer_than_an_invocation"
    assert re.match(
        "CONTINUATION_FAILED: The wait for stream .+ could not continue in a new invocation .*"
        "lambda:InvokeFunction",
        loss.reason,
    )


def test_the_role_reaches_no_other_stream(lives: Lives) -> None:
    assert len(lives.trespassing.losses) == 1, lives.trespassing.losses
    (loss,) = lives.trespassing.losses
    stream = lives.trespassing.clone.stream("First")
    assert loss.operation == "create"
    assert loss.reason.startswith(
        f"ACCESS_DENIED: Access denied to kinesis:DescribeStreamSummary for stream {stream},"
    )
