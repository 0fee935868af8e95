"""What no emulator shows of `make accept`: cleaning up, and what it keeps to itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from acceptance import recorder_function, resources
from acceptance.assumptions import Assumptions
from acceptance.aws import Aws
from acceptance.report import Report

SIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIASECRET&X-Amz-Signature=abc123"
OLD_FORM = "AWSAccessKeyId=AKIASECRET&Expires=1789787200&Signature=abc123"


class Session:
    """One client, stubbed."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def client(self, service: str) -> Any:
        return self._client


def client(service: str) -> Any:
    return boto3.client(
        service, region_name="eu-central-1", aws_access_key_id="-", aws_secret_access_key="-"
    )


def test_a_stack_that_is_being_updated_is_brought_to_rest_and_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloudformation = client("cloudformation")
    monkeypatch.setattr("acceptance.aws.time.sleep", lambda seconds: None)
    stack = {"StackName": "accept-x-scenario"}

    with Stubber(cloudformation) as stubber:

        def shows(status: str) -> None:
            found = {"StackName": "-", "CreationTime": 0, "StackStatus": status}
            stubber.add_response("describe_stacks", {"Stacks": [found]}, stack)

        def refuses(call: str) -> None:
            message = "Stack cannot be deleted while in this status"
            stubber.add_client_error(call, "ValidationError", message, expected_params=stack)

        shows("UPDATE_IN_PROGRESS")
        shows("UPDATE_IN_PROGRESS")
        stubber.add_response("cancel_update_stack", {}, stack)
        shows("UPDATE_ROLLBACK_IN_PROGRESS")
        refuses("delete_stack")
        shows("UPDATE_ROLLBACK_COMPLETE")
        stubber.add_response("delete_stack", {}, stack)
        shows("DELETE_IN_PROGRESS")
        stubber.add_client_error("describe_stacks", "ValidationError", "-scenario does not exist")

        aws = Aws("accept-x", Session(cloudformation), "1", "eu-central-1", Path())
        name, remove = next(resources._stacks(aws))
        remove()
        stubber.assert_no_pending_responses()
    assert name == "stack accept-x-scenario"


def test_credentials_that_have_expired_are_not_taken_for_a_stack_that_is_gone() -> None:
    cloudformation = client("cloudformation")
    with Stubber(cloudformation) as stubber:
        stubber.add_client_error("describe_stacks", "ExpiredToken", "the token has expired")
        with pytest.raises(cloudformation.exceptions.ClientError):
            resources.stack_status(cloudformation, "accept-x-scenario")


@pytest.mark.parametrize("query", [SIGNED, OLD_FORM])
def test_the_recorder_logs_no_credentials(
    query: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[Any] = []

    def urlopen(request: Any, timeout: float) -> None:
        sent.append(request)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setattr(
        "acceptance.recorder_function._describe", lambda **_: ("CREATE_IN_PROGRESS", 1.0)
    )
    monkeypatch.setattr(
        "acceptance.recorder_function._stack_status", lambda _: "CREATE_IN_PROGRESS"
    )
    event = {
        "RequestType": "Create",
        "ServiceTimeout": "60",
        "ResponseURL": f"https://bucket.s3.amazonaws.com/key?{query}&X-Amz-Date=20261124T000000Z",
        "ResourceProperties": {"Revision": "1"},
        **dict.fromkeys(("StackId", "RequestId", "LogicalResourceId"), "-"),
    }
    recorder_function.handler(event, None)

    logged = capsys.readouterr().out
    seen = json.loads(logged.removeprefix("RECORDED "))
    assert (seen["timeout"], seen["status"]) == ("event", "CREATE_IN_PROGRESS")
    assert seen["url"]["X-Amz-Date"] == "20261124T000000Z"
    assert not any(secret in logged for secret in ("abc123", "AKIASECRET", "bucket"))
    assert json.loads(sent[0].data)["Status"] == "SUCCESS"


def test_a_row_that_the_aws_at_hand_cannot_show_is_never_as_assumed() -> None:
    lines: list[str] = []
    report = Report("about", "111122223333", {"seen": "it is an emulator"}, lines.append)
    rows: Assumptions = {}
    for name in ("seen", "denied", "held", "broken", "never"):
        rows[name] = ("check", "yes")
    report.expect(rows)
    report.observe("seen", "yes", holds=True)
    report.observe("denied", "no permission in 111122223333", holds=True, shown=False)
    report.observe("held", "yes", holds=True)
    report.observe("broken", "no", holds=False)

    verdicts = {name: row["verdict"] for name, row in report.rows.items()}
    assert verdicts == {
        "seen": "not shown here",
        "denied": "not shown here",
        "held": "as assumed",
        "broken": "DIFFERENT",
        "never": "not checked",
    }
    assert report.open == ["broken", "never"]
    assert "111122223333" not in report.table() + "".join(lines)
