"""The lifecycle of the deployed resource: the CDK CLI, CloudFormation, Lambda and Kinesis."""

from datetime import timedelta

import pytest

from local_aws import LocalAws
from tests.local_aws.deployment import (
    Deployment,
    encryption,
    make_key,
    make_stream,
    summary,
)
from tests.local_aws.observing import until

pytestmark = pytest.mark.timeout(300)

SETTLING = timedelta(seconds=5)
SLACK = timedelta(seconds=1)
ACCEPTED = "the change was accepted"


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
    assert (
        deployment.logged("sending the response")[-1]["elapsed"] <= (needed + SLACK).total_seconds()
    )

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
    answered = [line["type"] for line in deployment.logged("sending the response")]
    assert answered == ["Create", "Create", "Delete"]
