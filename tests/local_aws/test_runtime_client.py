"""The asset with the AWS runtime client, and the boto3 and urllib3 of the images of Lambda.

AWS's own code imports the entry point, creates the event and the context, and processes what the
function writes and returns. Kinesis and KMS are the emulators.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws import LocalAws, folders
from local_aws.process import Service
from tests.local_aws.deployment import RESPONSE, encryption, make_key, make_stream
from tests.local_aws.lambda_platform import SECRET, Code, Platform, Result, start
from tests.local_aws.template import Written

pytestmark = pytest.mark.timeout(300)

IMAGES = {
    # The first release with AWS_ENDPOINT_URL, older than that of any image.
    "oldest": ("boto3==1.28.0", "urllib3==1.26.18"),
    # python:3.12, with urllib3 as in aws-lambda-base-images #285.
    "3.12": ("boto3==1.40.4", "urllib3==1.26.19"),
    # python:3.14, as in aws-lambda-base-images #520.
    "3.14": ("boto3==1.40.4", "urllib3==2.6.3"),
    # Images follow PyPI.
    "newest": ("boto3", "urllib3"),
}
"""Packages by image of Lambda."""

ENVIRONMENTS = [
    "emulator",
    *(pytest.param(image, marks=pytest.mark.release) for image in IMAGES),
]


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with the runtime client and boto3, without this project."""
    if request.param == "emulator":
        return folders.EMULATOR_PYTHON
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    interpreter = folder / "bin" / "python"
    packages = ["awslambdaric", *IMAGES[request.param]]
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *packages], check=True)
    return interpreter


@pytest.fixture(scope="module")
def code(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Code:
    return Code(written.unpack(tmp_path_factory.mktemp("code")), written.handler)


@pytest.fixture
def lambda_platform() -> Iterator[Platform]:
    with Platform() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def function(
    local_aws: LocalAws, lambda_platform: Platform, python: Path, code: Code, tmp_path: Path
) -> Iterator[Service]:
    with start(local_aws, lambda_platform, python=python, code=code, folder=tmp_path) as service:
        yield service


def test_create_and_delete(
    local_aws: LocalAws, lambda_platform: Platform, function: Service
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)

    lambda_platform.invoke(lambda_platform.event(local_aws, "Create", StreamArn=stream, KeyId=key))
    response = lambda_platform.responses.get(timeout=60)
    assert response["Status"] == "SUCCESS", response
    assert response["PhysicalResourceId"] == stream
    assert response["Data"]["KeyArn"] == key
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert lambda_platform.results.get(timeout=10) == Result("response", None)

    event = lambda_platform.event(local_aws, "Delete", StreamArn=stream, KeyId=key)
    lambda_platform.invoke({**event, "PhysicalResourceId": stream})
    response = lambda_platform.responses.get(timeout=10)
    assert response["Status"] == "SUCCESS", response
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)
    assert lambda_platform.results.get(timeout=10) == Result("response", None)

    log = function.log.read_text()
    assert SECRET not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["status"] for line in lines if line["message"] == RESPONSE] == ["SUCCESS"] * 2


def test_wait_continues_in_a_new_invocation(
    local_aws: LocalAws, lambda_platform: Platform, function: Service
) -> None:
    stream, key = make_stream(local_aws), make_key(local_aws)
    event = lambda_platform.event(local_aws, "Create", StreamArn=stream, KeyId=key)
    lambda_platform.invoke(event, seconds=20)
    assert lambda_platform.results.get(timeout=30) == Result("response", None)
    assert lambda_platform.responses.empty(), "the first invocation sent a response"
    response = lambda_platform.responses.get(timeout=30)
    assert response["Status"] == "SUCCESS", response
    assert response["RequestId"] == event["RequestId"]
    assert len(lambda_platform.continuations) == 1
    assert encryption(local_aws, stream) == ("ACTIVE", "KMS", key)


def test_event_without_response_url_is_an_error_of_the_function(
    lambda_platform: Platform, function: Service
) -> None:
    lambda_platform.invoke({"RequestType": "Create"})
    result = lambda_platform.results.get(timeout=30)
    assert result.kind == "error"
    assert result.body["errorType"] == "Failure"
    assert "ResponseURL" in result.body["errorMessage"]
