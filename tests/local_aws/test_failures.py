"""A failed deployment leaves the stream unmodified, and the next one succeeds."""

import json
import uuid

import pytest

from local_aws import LocalAws
from tests.local_aws.deployment import (
    CHANGE_ACCEPTED,
    Deployment,
    encryption,
    make_key,
    make_stream,
    summary,
)
from tests.local_aws.encryption_app import RESOURCE_TYPE

pytestmark = pytest.mark.timeout(300)


def test_failed_update_is_rolled_back_without_a_key_change(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    unsuitable = make_key(local_aws, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    options = {"stream": stream, "key": key}
    deployment.deploy(Encryption=options)
    created = summary(local_aws, stream)

    reason = deployment.deploy_and_fail(Encryption={**options, "key": unsuitable})
    assert unsuitable in reason
    assert "HMAC_256" in reason
    assert deployment.describe()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert summary(local_aws, stream) == created
    assert len(deployment.logged(CHANGE_ACCEPTED)) == 1, "the rollback used a key change"

    failed = {"stream": make_stream(local_aws), "key": unsuitable}
    reason = deployment.deploy_and_fail(Encryption=options, Second=failed)
    assert unsuitable in reason
    assert encryption(local_aws, failed["stream"]) == ("ACTIVE", "NONE", None)

    local_aws.client("kms").disable_key(KeyId=key)
    deployment.deploy(Encryption={**options, "revision": "2"})
    assert summary(local_aws, stream) == created


def test_delete_of_a_failed_create_succeeds(local_aws: LocalAws, deployment: Deployment) -> None:
    """AWS sends it with the ID of the response or one of its own; the emulator sends none."""
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
        response = local_aws.client("lambda").invoke(
            FunctionName=outputs["Function"], Payload=json.dumps(event)
        )
        assert "FunctionError" not in response
        lines = [line for line in deployment.log() if line.get("request") == event["RequestId"]]
        assert "SUCCESS" in [line.get("status") for line in lines]
    assert summary(local_aws, stream) == encrypted
