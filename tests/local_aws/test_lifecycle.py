"""The lifecycle of the deployed resource: the CDK CLI, CloudFormation, Lambda and Kinesis."""

import json
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from local_aws import Cdk, LocalAws
from tests.local_aws.deployment import (
    RESOURCE_TYPE,
    Deployment,
    encryption,
    kill_functions,
    make_key,
    make_stream,
    summary,
)
from tests.local_aws.observing import until

pytestmark = pytest.mark.timeout(300)

SETTLING = timedelta(seconds=5)
SLACK = timedelta(seconds=1)
ACCEPTED = "the change was accepted"
DEPLOYS = 240
"""Seconds within which a deployment gets to the resource, on a busy machine."""


@pytest.fixture
def deployment(local_aws: LocalAws) -> Iterator[Deployment]:
    deployment = Deployment(local_aws)
    yield deployment
    if deployment.exists:
        deployment.destroy()


def test_life_of_a_resource(local_aws: LocalAws, deployment: Deployment) -> None:
    stream, other_stream = make_stream(local_aws), make_stream(local_aws)
    key, other_key = make_key(local_aws), make_key(local_aws)
    wanted = {"stream": stream, "key": key}

    outputs = deployment.deploy(Encryption=wanted)
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert outputs["EncryptionKeyArn"] == key
    assert deployment.took() >= local_aws.updating + SETTLING

    deployment.deploy(Encryption={**wanted, "revision": "2"})
    assert len(deployment.logged(ACCEPTED)) == 1, "nothing was to be changed"
    assert deployment.took() < timedelta(seconds=3)

    kinesis = local_aws.client("kinesis")
    kinesis.start_stream_encryption(StreamARN=stream, EncryptionType="KMS", KeyId=other_key)
    until(lambda: summary(local_aws, stream)["StreamStatus"] == "ACTIVE")
    deployment.deploy(Encryption={**wanted, "revision": "3"})
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key), "another revision puts it back"

    deployment.deploy(Encryption={**wanted, "key": other_key})
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", other_key)
    needed = local_aws.updating + SETTLING
    assert deployment.took() >= needed
    # Starting a function's process is the emulator's time, and no small one on a busy machine.
    assert deployment.logged("answering")[-1]["elapsed"] <= (needed + SLACK).total_seconds()

    deployment.deploy(Encryption={**wanted, "key": other_key, "stream": other_stream})
    assert encryption(local_aws, other_stream) == ("ACTIVE", "KMS", other_key)
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", other_key), "replaced, not undone"

    deployment.destroy()
    assert encryption(local_aws, other_stream) == ("ACTIVE", "KMS", other_key)


def test_renamed_construct_leaves_the_stream_encrypted(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    """CloudFormation creates the new resource first and deletes the old one after it."""
    wanted = {"stream": make_stream(local_aws), "key": make_key(local_aws)}
    deployment.deploy(Encryption=wanted)
    deployment.deploy(Renamed=wanted)
    assert encryption(local_aws, wanted["stream"]) == ("ACTIVE", "KMS", wanted["key"])
    answered = [line["type"] for line in deployment.logged("answering")]
    assert answered == ["Create", "Create", "Delete"]


def test_failed_update_is_rolled_back(local_aws: LocalAws, deployment: Deployment) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    unfit = make_key(local_aws, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    wanted = {"stream": stream, "key": key}
    deployment.deploy(Encryption=wanted)
    created = summary(local_aws, stream)

    reason = deployment.fails(Encryption={**wanted, "key": unfit})
    assert reason.startswith(f"KMS key {unfit} is no symmetric encryption key")
    assert deployment.describe()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert summary(local_aws, stream) == created
    assert len(deployment.logged(ACCEPTED)) == 1, "the rollback cost no key change"

    failed = {"stream": make_stream(local_aws), "key": unfit}
    reason = deployment.fails(Encryption=wanted, Second=failed)
    assert unfit in reason
    assert encryption(local_aws, failed["stream"]) == ("ACTIVE", "NONE", None)

    local_aws.client("kms").disable_key(KeyId=key)
    deployment.deploy(Encryption={**wanted, "revision": "2"})
    assert summary(local_aws, stream) == created


def test_delete_of_a_failed_create_is_answered(local_aws: LocalAws, deployment: Deployment) -> None:
    """AWS sends it, with the answered id or with an invented one; the emulator sends none."""
    stream, key = make_stream(local_aws), make_key(local_aws)
    outputs = deployment.deploy(Encryption={"stream": stream, "key": key})
    encrypted = summary(local_aws, stream)
    for physical_id in (stream, f"{deployment.stack}-Encryption-1A2B3C4D5E6F"):
        event = {
            "RequestType": "Delete",
            "ResponseURL": f"{local_aws.endpoint_url}/_ministack/cfn-response/{uuid.uuid4()}",
            "StackId": deployment.describe()["StackId"],
            "RequestId": str(uuid.uuid4()),
            "ResourceType": RESOURCE_TYPE,
            "LogicalResourceId": "Encryption",
            "PhysicalResourceId": physical_id,
            "ResourceProperties": {"StreamArn": stream, "KeyId": key},
        }
        answer = local_aws.client("lambda").invoke(
            FunctionName=outputs["Function"], Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer
        answered = [line for line in deployment.log() if line.get("request") == event["RequestId"]]
        assert "SUCCESS" in [line.get("status") for line in answered]
    assert summary(local_aws, stream) == encrypted


def test_failed_create_leaves_stream_and_account_as_they_were(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    local_aws.client("kms").schedule_key_deletion(KeyId=key)
    reason = deployment.fails(Encryption={"stream": stream, "key": key})
    assert "PendingDeletion" in reason
    assert deployment.describe()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert encryption(local_aws, stream) == ("ACTIVE", "NONE", None)


def test_stream_deleted_during_the_wait(local_aws: LocalAws, deployment: Deployment) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)

    def delete() -> None:
        until(lambda: summary(local_aws, stream)["StreamStatus"] == "UPDATING", seconds=DEPLOYS)
        until(lambda: summary(local_aws, stream)["StreamStatus"] == "ACTIVE")
        local_aws.client("kinesis").delete_stream(StreamARN=stream)

    deleting = threading.Thread(target=delete)
    deleting.start()
    reason = deployment.fails(Encryption={"stream": stream, "key": key})
    deleting.join()
    assert stream in reason
    assert "deleted" in reason
    assert deployment.describe()["StackStatus"] == "ROLLBACK_COMPLETE"


def test_stack_ends_although_the_function_is_killed(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)

    def kill() -> None:
        until(lambda: summary(local_aws, stream)["StreamStatus"] == "UPDATING", seconds=DEPLOYS)
        kill_functions(local_aws)

    killing = threading.Thread(target=kill)
    killing.start()
    reason = deployment.fails(Encryption={"stream": stream, "key": key, "service_timeout": "12"})
    killing.join()
    assert "timed out" in reason
    assert deployment.describe()["StackStatus"] == "ROLLBACK_COMPLETE"


def test_wait_that_outlasts_its_invocation_goes_on_in_others() -> None:
    with LocalAws(updating=timedelta(seconds=45)) as aws:
        deployment = Deployment(aws, function_timeout=60)
        stream, key = make_stream(aws), make_key(aws)
        Cdk(aws).bootstrap()
        outputs = deployment.deploy(Encryption={"stream": stream, "key": key, "timeout": 20})
        assert outputs["EncryptionKeyArn"] == key
        assert encryption(aws, stream) == ("ACTIVE", "KMS", key)
        assert deployment.took() >= aws.updating + SETTLING
        hops = [
            line["hops"] for line in deployment.logged("the wait goes on in another invocation")
        ]
        assert hops == list(range(1, len(hops) + 1))
        assert len(deployment.logged(ACCEPTED)) == 1
        answers = deployment.logged("answering")
        assert len(answers) == 1
        assert answers[0]["elapsed"] < 60, "another invocation has answered"
        assert hops
