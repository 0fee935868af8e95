"""The lifecycle of the deployed resource: the CDK CLI, CloudFormation, Lambda and Kinesis."""

import json
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from local_aws import Cdk, LocalAws
from tests.local_aws.deployment import (
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


@pytest.fixture
def deployment(local_aws: LocalAws) -> Iterator[Deployment]:
    deployment = Deployment(local_aws)
    yield deployment
    if deployment.exists:
        deployment.destroy()


def test_life_of_a_resource(local_aws: LocalAws, deployment: Deployment) -> None:
    stream, other_stream = make_stream(local_aws), make_stream(local_aws)
    key, other_key = make_key(local_aws), make_key(local_aws)
    wanted = {"stream": stream, "key": key, "removal_policy": "DESTROY"}

    outputs = deployment.deploy(Encryption=wanted)
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert outputs["EncryptionKeyArn"] == key
    assert outputs["EncryptionChanged"] == "true"
    assert deployment.took() >= local_aws.updating + SETTLING

    outputs = deployment.deploy(Encryption={**wanted, "timeout": 3})
    assert outputs["EncryptionChanged"] == "false"
    assert deployment.took() < timedelta(seconds=3)

    kinesis = local_aws.client("kinesis")
    kinesis.start_stream_encryption(StreamARN=stream, EncryptionType="KMS", KeyId=other_key)
    until(lambda: summary(local_aws, stream)["StreamStatus"] == "ACTIVE")
    outputs = deployment.deploy(Encryption={**wanted, "timeout": 4})
    assert outputs["EncryptionChanged"] == "true"
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)

    deployment.deploy(Encryption={**wanted, "key": other_key})
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", other_key)
    needed = local_aws.updating + SETTLING
    assert deployment.took() >= needed
    # Starting a function's process is the emulator's time, and no small one on a busy machine.
    assert deployment.logged("answering")[-1]["elapsed"] <= (needed + SLACK).total_seconds()

    deployment.deploy(Encryption={**wanted, "key": other_key, "stream": other_stream})
    assert encryption(local_aws, other_stream) == ("ACTIVE", "KMS", other_key)
    assert encryption(local_aws, stream) == ("ACTIVE", "NONE", None), "the replaced one is undone"

    deployment.destroy()
    assert encryption(local_aws, other_stream) == ("ACTIVE", "NONE", None)


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
    started = deployment.logged("started encryption")
    assert len(started) == 1, "the rollback cost no key change"

    failed = {"stream": make_stream(local_aws), "key": unfit, "removal_policy": "DESTROY"}
    reason = deployment.fails(Encryption=wanted, Second=failed)
    assert unfit in reason
    assert encryption(local_aws, failed["stream"]) == ("ACTIVE", "NONE", None)
    # AWS sends a Delete for a failed Create, the emulator does not.
    assert_deleted_in_peace(local_aws, deployment, failed)
    assert encryption(local_aws, failed["stream"]) == ("ACTIVE", "NONE", None)

    local_aws.client("kms").disable_key(KeyId=key)
    deployment.deploy(Encryption={**wanted, "timeout": 3})
    assert summary(local_aws, stream) == created


def assert_deleted_in_peace(
    aws: LocalAws, deployment: Deployment, resource: dict[str, str]
) -> None:
    function = next(
        output["OutputValue"]
        for output in deployment.describe()["Outputs"]
        if output["OutputKey"] == "Function"
    )
    event = {
        "RequestType": "Delete",
        "ResponseURL": f"{aws.endpoint_url}/_ministack/cfn-response/{uuid.uuid4()}",
        "StackId": deployment.describe()["StackId"],
        "RequestId": str(uuid.uuid4()),
        "ResourceType": "Custom::KinesisStreamEncryption",
        "LogicalResourceId": "Second",
        "PhysicalResourceId": resource["stream"],
        "ResourceProperties": {
            "StreamArn": resource["stream"],
            "KeyId": resource["key"],
            "OnDelete": "Restore",
        },
    }
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    assert "FunctionError" not in answer
    answered = [line for line in deployment.log() if line.get("request") == event["RequestId"]]
    assert "SUCCESS" in [line.get("status") for line in answered]


def test_failed_create_leaves_stream_and_account_as_they_were(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    local_aws.client("kms").schedule_key_deletion(KeyId=key)
    reason = deployment.fails(Encryption={"stream": stream, "key": key})
    assert "PendingDeletion" in reason
    assert deployment.describe()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert encryption(local_aws, stream) == ("ACTIVE", "NONE", None)


def test_retain_leaves_the_stream_encrypted(local_aws: LocalAws, deployment: Deployment) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    deployment.deploy(Encryption={"stream": stream, "key": key})
    deployment.destroy()
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)


def test_stream_deleted_during_the_wait(local_aws: LocalAws, deployment: Deployment) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)

    def delete() -> None:
        until(lambda: summary(local_aws, stream)["StreamStatus"] == "UPDATING")
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
        until(lambda: summary(local_aws, stream)["StreamStatus"] == "UPDATING")
        kill_functions(local_aws)

    killing = threading.Thread(target=kill)
    killing.start()
    reason = deployment.fails(Encryption={"stream": stream, "key": key, "service_timeout": "12"})
    killing.join()
    assert "timed out" in reason
    assert deployment.describe()["StackStatus"] == "ROLLBACK_COMPLETE"


@pytest.mark.timeout(400)
def test_wait_that_outlasts_its_invocation_goes_on_in_others() -> None:
    with LocalAws(updating=timedelta(seconds=45)) as aws:
        deployment = Deployment(aws, function_timeout=30)
        stream, key = make_stream(aws), make_key(aws)
        Cdk(aws).bootstrap()
        outputs = deployment.deploy(
            Encryption={"stream": stream, "key": key, "timeout": 20, "removal_policy": "DESTROY"}
        )
        assert outputs["EncryptionChanged"] == "true"
        assert encryption(aws, stream) == ("ACTIVE", "KMS", key)
        assert deployment.took() > timedelta(seconds=45)
        assert aws.client("events").list_rules()["Rules"] == []
        goes_on = deployment.logged("looked at the stream")
        assert goes_on[-1]["elapsed"] < goes_on[0]["elapsed"] + 45, "another invocation looked"
