"""The lifecycle of the deployed resource with the CDK CLI, CloudFormation, Lambda, and Kinesis."""

from datetime import timedelta

import pytest

from local_aws import LocalAws
from tests.local_aws.deployment import (
    CHANGE_ACCEPTED,
    RESPONSE,
    Deployment,
    encryption,
    make_key,
    make_stream,
    summary,
)
from tests.local_aws.observing import until

pytestmark = pytest.mark.timeout(300)

PROPAGATION_WAIT = timedelta(seconds=5)
TOLERANCE = timedelta(seconds=1)


def test_create_update_replace_and_delete(local_aws: LocalAws, deployment: Deployment) -> None:
    stream, other_stream = make_stream(local_aws), make_stream(local_aws)
    key, other_key = make_key(local_aws), make_key(local_aws)
    options = {"stream": stream, "key": key}

    outputs = deployment.deploy(Encryption=options)
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert outputs["EncryptionKeyArn"] == key
    assert deployment.last_duration() >= local_aws.updating + PROPAGATION_WAIT

    deployment.deploy(Encryption={**options, "revision": "2"})
    assert len(deployment.logged(CHANGE_ACCEPTED)) == 1, "a compliant stream was modified"
    assert deployment.last_duration() < timedelta(seconds=3)

    kinesis = local_aws.client("kinesis")
    kinesis.start_stream_encryption(StreamARN=stream, EncryptionType="KMS", KeyId=other_key)
    until(lambda: summary(local_aws, stream)["StreamStatus"] == "ACTIVE")
    deployment.deploy(Encryption={**options, "revision": "3"})
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key), (
        "the new revision did not restore the key"
    )

    deployment.deploy(Encryption={**options, "key": other_key})
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", other_key)
    minimum = local_aws.updating + PROPAGATION_WAIT
    assert deployment.last_duration() >= minimum
    # Measured in the function, because the emulator takes long to start it on a busy machine.
    assert deployment.logged(RESPONSE)[-1]["elapsed"] <= (minimum + TOLERANCE).total_seconds()

    deployment.deploy(Encryption={**options, "key": other_key, "stream": other_stream})
    assert encryption(local_aws, other_stream) == ("ACTIVE", "KMS", other_key)
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", other_key), (
        "the replacement modified the first stream"
    )

    deployment.destroy()
    assert encryption(local_aws, other_stream) == ("ACTIVE", "KMS", other_key)


def test_renamed_construct_leaves_the_stream_encrypted(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    """CloudFormation creates the new resource first, and then deletes the old one."""
    options = {"stream": make_stream(local_aws), "key": make_key(local_aws)}
    deployment.deploy(Encryption=options)
    deployment.deploy(Renamed=options)
    assert encryption(local_aws, options["stream"]) == ("ACTIVE", "KMS", options["key"])
    request_types = [line["type"] for line in deployment.logged(RESPONSE)]
    assert request_types == ["Create", "Create", "Delete"]
