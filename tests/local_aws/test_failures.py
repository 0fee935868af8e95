"""A failed deployment leaves the stream unmodified, and the next one succeeds."""

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
