"""What fails leaves the stream as it was, and the stack can go on."""

import json
import uuid

import pytest

from local_aws import LocalAws
from tests.local_aws.deployment import (
    Deployment,
    encryption,
    make_key,
    make_stream,
    summary,
)
from tests.local_aws.encryption_app import RESOURCE_TYPE

pytestmark = pytest.mark.timeout(300)

ACCEPTED = "the change was accepted"


def test_failed_update_is_rolled_back(local_aws: LocalAws, deployment: Deployment) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    unfit = make_key(local_aws, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    wanted = {"stream": stream, "key": key}
    deployment.deploy(Encryption=wanted)
    created = summary(local_aws, stream)

    reason = deployment.fails(Encryption={**wanted, "key": unfit})
    assert reason.startswith(f"KEY_UNSUITABLE: KMS key {unfit} is not a symmetric encryption key")
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
