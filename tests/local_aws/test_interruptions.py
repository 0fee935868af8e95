"""A wait during which something happens: to the stream, to the function, to the invocation."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
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

DEPLOYS = 240
"""Seconds within which a deployment gets to the resource, on a busy machine."""

SETTLING = timedelta(seconds=5)
LAMBDA_WAITS = timedelta(minutes=1)
ACCEPTED = "the change was accepted"


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


@contextmanager
def killed_while_updating(aws: LocalAws, stream: str) -> Iterator[None]:
    """Kill the functions, once, as soon as the stream is UPDATING."""

    def kill() -> None:
        until(lambda: summary(aws, stream)["StreamStatus"] == "UPDATING", seconds=DEPLOYS)
        kill_functions(aws)

    killing = threading.Thread(target=kill)
    killing.start()
    yield
    killing.join()


def test_stack_ends_although_the_function_is_killed(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    with killed_while_updating(local_aws, stream):
        reason = deployment.fails(
            Encryption={"stream": stream, "key": key, "service_timeout": "12"}
        )
    assert "timed out" in reason
    assert deployment.describe()["StackStatus"] == "ROLLBACK_COMPLETE"


def test_function_that_is_killed_finishes_when_lambda_calls_it_again(
    local_aws: LocalAws, deployment: Deployment
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    with killed_while_updating(local_aws, stream):
        deployment.deploy(Encryption={"stream": stream, "key": key})
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert deployment.took() >= LAMBDA_WAITS
    assert len(deployment.logged(ACCEPTED)) == 1, "the change is not made twice"


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
            line["continuation"] for line in deployment.logged("continuing in a new invocation")
        ]
        assert hops == list(range(1, len(hops) + 1))
        assert len(deployment.logged(ACCEPTED)) == 1
        answers = deployment.logged("sending the response")
        assert len(answers) == 1
        assert answers[0]["elapsed"] < 60, "another invocation has answered"
        assert hops
