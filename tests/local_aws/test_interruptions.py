"""Interruptions of a wait: the stream is deleted, the function killed, the invocation ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from local_aws import Cdk, LocalAws
from tests.local_aws.deployment import (
    CHANGE_ACCEPTED,
    CONTINUATION_COUNT,
    RESPONSE,
    WAIT_CONTINUED,
    Deployment,
    encryption,
    kill_functions,
    make_key,
    make_stream,
    summary,
)
from tests.local_aws.observing import until

pytestmark = pytest.mark.timeout(300)

MAX_DEPLOYMENT = 240
"""Seconds until a deployment starts the change, on a busy machine."""

PROPAGATION_WAIT = timedelta(seconds=5)
LAMBDA_RETRY_DELAY = timedelta(minutes=1)


@contextmanager
def once_updating(aws: LocalAws, stream: str, action: Callable[[], object]) -> Iterator[None]:
    """Act once in another thread, when the stream is UPDATING."""

    def run() -> None:
        until(lambda: summary(aws, stream)["StreamStatus"] == "UPDATING", seconds=MAX_DEPLOYMENT)
        action()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()


def test_stream_that_is_deleted_during_the_wait_fails_the_deployment(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)

    def delete() -> None:
        until(lambda: summary(local_aws, stream)["StreamStatus"] == "ACTIVE")
        local_aws.client("kinesis").delete_stream(StreamARN=stream)

    with once_updating(local_aws, stream, delete):
        reason = deployment.deploy_and_fail(Encryption={"stream": stream, "key": key})
    assert stream in reason
    assert "deleted" in reason
    assert deployment.describe()["StackStatus"] == "ROLLBACK_COMPLETE"


def test_stack_operation_ends_if_the_function_is_killed(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    with once_updating(local_aws, stream, lambda: kill_functions(local_aws)):
        reason = deployment.deploy_and_fail(
            Encryption={"stream": stream, "key": key, "service_timeout": "12"}
        )
    assert "timed out" in reason
    assert deployment.describe()["StackStatus"] == "ROLLBACK_COMPLETE"


def test_killed_function_completes_the_request_when_lambda_retries(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    with once_updating(local_aws, stream, lambda: kill_functions(local_aws)):
        deployment.deploy(Encryption={"stream": stream, "key": key})
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert deployment.last_duration() >= LAMBDA_RETRY_DELAY
    assert len(deployment.logged(CHANGE_ACCEPTED)) == 1, "the change was made twice"


def test_wait_longer_than_an_invocation_continues_in_new_invocations() -> None:
    with LocalAws(updating=timedelta(seconds=45)) as aws:
        deployment = Deployment(aws, function_timeout=60)
        stream, key = make_stream(aws), make_key(aws)
        Cdk(aws).bootstrap()
        outputs = deployment.deploy(Encryption={"stream": stream, "key": key, "timeout": 20})
        assert outputs["EncryptionKeyArn"] == key
        assert encryption(aws, stream) == ("ACTIVE", "KMS", key)
        assert deployment.last_duration() >= aws.updating + PROPAGATION_WAIT
        counts = [line[CONTINUATION_COUNT] for line in deployment.logged(WAIT_CONTINUED)]
        assert counts == list(range(1, len(counts) + 1))
        assert len(deployment.logged(CHANGE_ACCEPTED)) == 1
        (response,) = deployment.logged(RESPONSE)
        assert response["elapsed"] < 60, "the first invocation sent the response"
        assert counts
