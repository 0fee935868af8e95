"""The role's rights suffice, and each of them is needed, with IAM enforced.

The rights are read off the deployed template. For each of them the stack is created once more,
without just that right, and led through a life that uses all of them; something of that life then
has to fail, for a reason that names the right. Where the handler goes on without a right, the
protection that it gives has to be lost, and nothing else.

What the emulator does not do as AWS does:

- Its Lambda writes the function's log and asks no role: the test plays Lambda's part and writes to
  the log with the role's credentials.
- It shows no stack resource in progress as such, so the handler takes for overtaken what asks for a
  change three seconds late. The copies of the stack do without that look; that it works with the
  right to it is seen on the deployed stack.
- It spells some resources differently: see `_spelt_for_the_emulator`.
- Its EventBridge wakes the function up whatever the function's own policy says. That statement is
  no right of the role; tests/synth looks at it.
- Its KMS takes a request by alias as one about the alias's ARN and knows no
  ``kms:ResourceAliases``, so the keys here are given by ARN.
- Rights to network interfaces and X-Ray, which a provider with ``vpc`` or ``tracing`` has, are used
  by the Lambda service; there is neither here, and such a role would fail these tests.
"""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws
from tests.local_aws.clone import Clone, Failed, Right, Template, rights, split, without
from tests.local_aws.deployment import Deployment, encryption, make_key, make_stream
from tests.local_aws.observing import until

pytestmark = pytest.mark.timeout(400)

FULL_TIMEOUT, SHORT_TIMEOUT = 900, 20


@dataclass(frozen=True)
class Deployed:
    """The stack as the CDK CLI deploys it: one stream of each removal policy, and long waits."""

    deployment: Deployment
    outputs: dict[str, str]
    retained: dict[str, Any]
    restored: dict[str, Any]
    template: Template


@pytest.fixture(scope="module")
def deployed(local_aws_iam: LocalAws) -> Iterator[Deployed]:
    aws = local_aws_iam
    deployment = Deployment(aws)
    retained, restored = (
        {
            "stream": make_stream(aws),
            "key": make_key(aws),
            "removal_policy": removal_policy,
            "timeout": 20,
        }
        for removal_policy in ("RETAIN", "DESTROY")
    )
    outputs = deployment.deploy(Retained=retained, Restored=restored)
    template = aws.client("cloudformation").get_template(StackName=deployment.stack)
    yield Deployed(deployment, outputs, retained, restored, split(dict(template["TemplateBody"])))
    if deployment.exists:
        deployment.destroy()


def test_the_role_suffices_for_the_life_of_a_stack(
    local_aws_iam: LocalAws, deployed: Deployed
) -> None:
    aws, deployment, outputs = local_aws_iam, deployed.deployment, deployed.outputs
    retained, restored = deployed.retained, deployed.restored
    for wanted in (retained, restored):
        assert encryption(aws, wanted["stream"]) == ("ACTIVE", "KMS", wanted["key"])

    send_overtaken_request(
        aws,
        function=outputs["Function"],
        stack_id=deployment.describe()["StackId"],
        logical_id=deployment.events()[0]["LogicalResourceId"],
        stream=retained["stream"],
        key=restored["key"],
    )
    assert encryption(aws, retained["stream"]) == ("ACTIVE", "KMS", retained["key"])
    (trouble,) = troubles(deployment.log())
    assert "is no longer the resource's current one" in trouble["reason"]

    switched = {**retained, "key": make_key(aws)}
    moved = {**restored, "stream": make_stream(aws), "key": make_key(aws)}
    deployment.deploy(Retained=switched, Restored=moved)
    for wanted in (switched, moved):
        assert encryption(aws, wanted["stream"]) == ("ACTIVE", "KMS", wanted["key"])
    # The old stream's policy has outlived the Delete that follows a replacement.
    assert encryption(aws, restored["stream"]) == ("ACTIVE", "NONE", None)
    assert troubles(deployment.log()) == [trouble]

    deployment.destroy()
    assert encryption(aws, switched["stream"]) == ("ACTIVE", "KMS", switched["key"])
    assert encryption(aws, moved["stream"]) == ("ACTIVE", "NONE", None)


def send_overtaken_request(
    aws: LocalAws, *, function: str, stack_id: str, logical_id: str, stream: str, key: str
) -> None:
    """Deliver a Create once more when the stack has got on."""
    sent = datetime.now(UTC) - timedelta(seconds=10)
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


def refuse_an_overtaken_request(clone: Clone) -> None:
    before = clone.encryption("Retained")
    send_overtaken_request(
        clone.aws,
        function=clone.function,
        stack_id=clone.stack_id,
        logical_id=clone.logical_id("Retained"),
        stream=clone.stream("Retained"),
        key=clone.key("Restored"),
    )
    if clone.encryption("Retained") != before:
        raise Lost("an overtaken request has changed the stream's key")


def switch_keys(clone: Clone) -> None:
    retained, restored = clone.key("Retained"), clone.key("Restored")
    clone.use_key("Retained", restored)
    clone.use_key("Restored", retained)
    clone.update()
    check_encryption(clone)


def refuse_disabled_keys(clone: Clone) -> None:
    """Kinesis does not look at keys here; on AWS it would, with the stream's records at stake."""
    applied = [
        key
        for name, key in (
            ("Retained", clone.key("Restored")),
            ("Restored", clone.key("Retained")),
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
    assert reason.startswith(f"KMS key {key} cannot be used, its state is Disabled")
    check_encryption(clone)
    return True


def wait_longer_than_an_invocation(clone: Clone) -> None:
    """A wait that another invocation goes on with.

    Streams here are never UPDATING. What is waited for instead is a policy, which the handler takes
    for one that has not propagated yet. The test wakes the function up, as EventBridge does after
    a minute: test_lifecycle shows that it does.
    """
    clone.set_timeout(SHORT_TIMEOUT)
    clone.use_key("Retained", clone.key("Restored"))
    with clone.shared_policies_detached():
        clone.begin_update()
        until(lambda: clone.target() or not clone.in_progress)
    if target := clone.target():
        request = json.loads(target["Input"])["RequestId"]
        until(lambda: woken_up(clone, request))
    clone.wait("stack_update_complete")
    assert target, "one invocation was enough"
    check_encryption(clone)
    clone.set_timeout(FULL_TIMEOUT)
    errors = [
        line["error"] for line in clone.log() if "rule" in line and line["level"] == "WARNING"
    ]
    left = clone.remove_rules()
    if errors or left:
        raise Lost(f"rules left: {left}; {errors}")


def woken_up(clone: Clone, request: str) -> list[dict[str, Any]]:
    """Wake the function up, and return its answer to the request, if it has given one."""
    target = clone.target()
    assert target
    clone.client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"])
    return answers_to(clone, request)


def delete(clone: Clone) -> None:
    before = clone.encryption("Retained")
    clone.delete()
    assert before
    assert clone.encryption("Retained") == before
    assert clone.encryption("Restored") is None


OPERATIONS: list[Operation] = [
    create,
    write_the_log,
    refuse_an_overtaken_request,
    switch_keys,
    refuse_disabled_keys,
    wait_longer_than_an_invocation,
    delete,
]


def check_encryption(clone: Clone) -> None:
    for name in ("Retained", "Restored"):
        assert clone.encryption(name) == clone.key(name)


def answers_to(clone: Clone, request: str) -> list[dict[str, Any]]:
    return [
        line
        for line in clone.log()
        if line["request"] == request and line.get("status") in ("SUCCESS", "FAILED")
    ]


# --- With one right less --------------------------------------------------------------------------

LOOK_AT_STACK = "cloudformation:DescribeStackResource"

WITHOUT = {
    LOOK_AT_STACK: "an overtaken request has changed the stream's key",
    "events:DeleteRule": r"rules left: \['.+'\]; .*not authorized to perform: {action} ",
    "events:PutRule": "The wait for stream .+ could not go on .*to perform: {action} ",
    "events:PutTargets": "The wait for stream .+ could not go on .*to perform: {action} ",
    "events:RemoveTargets": r"rules left: \['.+'\]; .*not authorized to perform: {action} ",
    "kinesis:DescribeStreamSummary": "Access denied to {action} for stream {resource},",
    "kinesis:StartStreamEncryption": "Access denied to {action} for stream {resource},",
    "kinesis:StopStreamEncryption": "Access denied to {action} for stream {resource},",
    "kms:DescribeKey": "a stream was given the disabled key {resource}$",
    "logs:CreateLogStream": ".*not authorized to perform: {action} ",
    "logs:PutLogEvents": ".*not authorized to perform: {action} ",
}
"""By action, how the only loss without that right begins."""


@dataclass(frozen=True)
class Life:
    clone: Clone
    losses: list[Loss]


@dataclass(frozen=True)
class Lives:
    """Lives led at the same time, as the handler bears a denial for a minute.

    None of them has the right to look at the stack. By that look the handler takes what comes later
    than three seconds for overtaken here, since the emulator shows no resource in progress; AWS
    does. That all else goes well without the right is what its own life shows.

    Attributes
    ----------
    lacking
        By the right that is missing too.
    trespassing
        With a stream that the rights do not name.
    """

    lacking: dict[Right, Life]
    trespassing: Life


@pytest.fixture(scope="module")
def lives(local_aws_iam: LocalAws, deployed: Deployed) -> Lives:
    given = rights(deployed.template)
    (look,) = (right for right in given if right.action == LOOK_AT_STACK)
    clones = [
        Clone(local_aws_iam, without(deployed.template, right, look)) for right in (*given, look)
    ]
    clones[-1].trespass("Retained")
    others = [each for each in OPERATIONS if each is not refuse_an_overtaken_request]
    operations = [OPERATIONS if right is look else others for right in given] + [others]
    with ThreadPoolExecutor(len(clones)) as pool:
        *lacking, trespassing = pool.map(lead, clones, operations)
    return Lives(dict(zip(given, lacking, strict=True)), trespassing)


def lead(clone: Clone, operations: list[Operation]) -> Life:
    try:
        return Life(clone, live(clone, operations))
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


def test_the_role_reaches_no_other_stream(lives: Lives) -> None:
    assert len(lives.trespassing.losses) == 1, lives.trespassing.losses
    (loss,) = lives.trespassing.losses
    stream = lives.trespassing.clone.stream("Retained")
    assert loss.operation == "create"
    assert loss.reason.startswith(
        f"Access denied to kinesis:DescribeStreamSummary for stream {stream},"
    )
