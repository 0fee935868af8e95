"""What CloudFormation sends, recorded by a separate custom resource, not by the product."""

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from acceptance.assumptions import EVENTS
from acceptance.aws import AcceptError, Aws, until
from acceptance.report import Report
from acceptance.resources import stack_status

_FUNCTION = Path(__file__).with_name("recorder_function.py")
_EXPECTED = ["Create", "Update", "Update", "Update", "Delete"]
_LOG_SECONDS = 60.0


def record(aws: Aws, report: Report) -> None:
    """Set all rows of `assumptions.EVENTS`: by Create, Update, a failed Update, and Delete."""
    _deploy(aws, Revision="1")
    _deploy(aws, Revision="2")
    _deploy(aws, Revision="3", Fails="Update")
    _deploy(aws)
    with suppress(AcceptError):
        until(lambda: len(_recorded(aws)) >= len(_EXPECTED), seconds=_LOG_SECONDS)
    events = _recorded(aws)
    if (types := [event["type"] for event in events]) != _EXPECTED:
        raise AcceptError(f"the recorder received {', '.join(types) or 'nothing'}")
    create, update, _, rollback, delete = events

    def observe(row: str, observed: str) -> None:
        report.observe(row, observed, holds=observed == EVENTS[row][1])

    places = (event["timeout"] for event in (create, update, delete))
    observe("event-service-timeout", ", ".join(places))
    dates = [name if "Date" in name else f"{name}={date}" for name, date in create["url"].items()]
    observe("event-url", ", ".join(dates) or "none")
    old = rollback["revision"] == update["revision"]
    observe("event-rollback", f"Update to the {'old' if old else 'new'} properties")
    changes = (create, update, rollback)
    observe("stack-resource", ", ".join(event["status"] for event in changes))
    observe("stack-status", ", ".join(event["stack"] for event in changes))
    if "X-Amz-Date" in create["url"]:
        delays = [event["updated"] - _seconds(event["url"]["X-Amz-Date"]) for event in changes]
        limits = [60 if event["status"].endswith("_IN_PROGRESS") else 5 for event in changes]
        holds = all(delay <= limit for delay, limit in zip(delays, limits, strict=True))
        report.observe("stack-resource-time", f"{max(delays):.1f} s", holds=holds)
    else:
        report.observe("stack-resource-time", "the URL has no such date", shown=False)


def _seconds(date: str) -> float:
    return datetime.strptime(f"{date}+0000", "%Y%m%dT%H%M%SZ%z").timestamp()


def _deploy(aws: Aws, **properties: str) -> None:
    """Create or update the stack, and wait until no operation is in progress."""
    cloudformation, stack = aws.client("cloudformation"), aws.name("recorder")
    exists = stack_status(cloudformation, stack)
    deploy = cloudformation.update_stack if exists else cloudformation.create_stack
    template = json.dumps(_template(aws, properties))
    deploy(StackName=stack, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    until(lambda: not stack_status(cloudformation, stack).endswith("_IN_PROGRESS"), interval=2)


def _recorded(aws: Aws) -> list[dict[str, Any]]:
    """Return the events that the function has logged, in order."""
    pages = aws.client("logs").get_paginator("filter_log_events")
    events = [
        json.loads(event["message"].partition("RECORDED ")[2])
        for page in pages.paginate(logGroupName=_log_group(aws), filterPattern="RECORDED")
        for event in page["events"]
    ]
    return sorted(events, key=lambda event: float(event["began"]))


def _log_group(aws: Aws) -> str:
    return f"{aws.name('recorder')}-log"


def _template(aws: Aws, properties: dict[str, str]) -> dict[str, Any]:
    """Return the template; without properties, it has no custom resource."""
    log, role, function = ({"Fn::GetAtt": [name, "Arn"]} for name in ("Log", "Role", "Function"))
    resources = {
        "Log": _resource("AWS::Logs::LogGroup", LogGroupName=_log_group(aws)),
        "Role": _resource(
            "AWS::IAM::Role",
            AssumeRolePolicyDocument=_policy(
                {"Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
            ),
            Policies=[
                {
                    "PolicyName": "recorder",
                    "PolicyDocument": _policy(
                        {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": log},
                        {
                            "Action": [
                                "cloudformation:DescribeStackResource",
                                "cloudformation:DescribeStacks",
                            ],
                            "Resource": {"Ref": "AWS::StackId"},
                        },
                    ),
                }
            ],
        ),
        "Function": _resource(
            "AWS::Lambda::Function",
            Runtime="python3.13",
            Handler="index.handler",
            Code={"ZipFile": _FUNCTION.read_text()},
            Timeout=60,
            Role=role,
            LoggingConfig={"LogGroup": {"Ref": "Log"}},
        ),
        "Recorded": _resource(
            "Custom::Recorder", ServiceToken=function, ServiceTimeout="60", **properties
        ),
    }
    return {"Resources": {n: r for n, r in resources.items() if properties or n != "Recorded"}}


def _resource(type_: str, **properties: object) -> dict[str, object]:
    return {"Type": type_, "Properties": properties}


def _policy(*statements: dict[str, object]) -> dict[str, object]:
    allowed = [{"Effect": "Allow", **statement} for statement in statements]
    return {"Version": "2012-10-17", "Statement": allowed}
