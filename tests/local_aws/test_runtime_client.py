"""The asset under AWS's runtime client, with the boto3 and urllib3 of Lambda's images.

This is the nearest to Lambda that can be had here: the entry point is found, the event and the
context are made, and what the function writes and returns is taken by AWS's own code. Kinesis and
KMS are the emulators.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws import LocalAws, folders
from local_aws.process import Service
from tests.local_aws.deployment import encryption, make_key, make_stream
from tests.local_aws.lambda_platform import SECRET, Code, Ended, Platform, platform, start
from tests.local_aws.template import Written

pytestmark = pytest.mark.timeout(300)

IMAGES = {
    # The first that the environment can point at an emulator, older than what images carry.
    "oldest": ("boto3==1.28.0", "urllib3==1.26.18"),
    # python:3.12, and urllib3 as aws-lambda-base-images #285 has it.
    "3.12": ("boto3==1.40.4", "urllib3==1.26.19"),
    # python:3.14, as aws-lambda-base-images #520 has it.
    "3.14": ("boto3==1.40.4", "urllib3==2.6.3"),
    # Images follow PyPI.
    "newest": ("boto3", "urllib3"),
}
"""By Lambda's image, what it brings."""

ENVIRONMENTS = [
    "emulator",
    *(pytest.param(image, marks=pytest.mark.release) for image in IMAGES),
]


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with the runtime client and boto3, and nothing of ours."""
    if request.param == "emulator":
        return folders.EMULATOR_PYTHON
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    inside = folder / "bin" / "python"
    wanted = ["awslambdaric", *IMAGES[request.param]]
    subprocess.run([inside, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return inside


@pytest.fixture(scope="module")
def code(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Code:
    return Code(written.unpack(tmp_path_factory.mktemp("code")), written.handler)


@pytest.fixture
def around() -> Iterator[Platform]:
    with platform() as server:
        yield server


@pytest.fixture
def function(
    local_aws: LocalAws, around: Platform, python: Path, code: Code, tmp_path: Path
) -> Iterator[Service]:
    with start(local_aws, around, python=python, code=code, folder=tmp_path) as service:
        yield service


def test_create_and_delete(local_aws: LocalAws, around: Platform, function: Service) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)

    around.invoke(around.event(local_aws, "Create", StreamArn=stream, KeyId=key))
    answer = around.answers.get(timeout=60)
    assert answer["Status"] == "SUCCESS", answer
    assert answer["PhysicalResourceId"] == stream
    assert answer["Data"]["KeyArn"] == key
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert around.ended.get(timeout=10) == Ended("response", None)

    event = around.event(local_aws, "Delete", StreamArn=stream, KeyId=key)
    around.invoke({**event, "PhysicalResourceId": stream})
    answer = around.answers.get(timeout=10)
    assert answer["Status"] == "SUCCESS", answer
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert around.ended.get(timeout=10) == Ended("response", None)

    log = function.log.read_text()
    assert SECRET not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["status"] for line in lines if line["message"] == "sending the response"] == [
        "SUCCESS"
    ] * 2


def test_a_wait_goes_on_in_another_invocation(
    local_aws: LocalAws, around: Platform, function: Service
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    event = around.event(local_aws, "Create", StreamArn=stream, KeyId=key)
    around.invoke(event, seconds=20)
    assert around.ended.get(timeout=30) == Ended("response", None)
    assert around.answers.empty(), "handed over, not answered"
    answer = around.answers.get(timeout=30)
    assert answer["Status"] == "SUCCESS", answer
    assert answer["RequestId"] == event["RequestId"]
    assert len(around.handed_over) == 1
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)


def test_a_request_is_refused_with_a_reason(
    local_aws: LocalAws, around: Platform, function: Service
) -> None:
    around.invoke(around.event(local_aws, "Create", KeyId="alias/aws/kinesis"))
    answer = around.answers.get(timeout=30)
    assert answer["Status"] == "FAILED"
    assert "StreamArn" in answer["Reason"]
    assert around.ended.get(timeout=10) == Ended("response", None)


def test_what_cannot_be_answered_is_an_error_of_the_function(
    around: Platform, function: Service
) -> None:
    around.invoke({"RequestType": "Create"})
    ended = around.ended.get(timeout=30)
    assert ended.how == "error"
    assert ended.body["errorType"] == "Failure"
    assert "ResponseURL" in ended.body["errorMessage"]
