"""What CloudFormation sends, seen by a custom resource of accept's own, never by the product's."""

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from acceptance.aws import AcceptError, Aws, until
from acceptance.belongings import stack_status
from acceptance.questions import EVENTS
from acceptance.report import Report

_FUNCTION = Path(__file__).with_name("recorder_function.py")
_EXPECTED = ["Create", "Update", "Update", "Update", "Delete"]
_LOG_SECONDS = 60.0


def record(aws: Aws, report: Report) -> None:
    """Answer all of `questions.EVENTS`: a Create, an Update, one that fails, and a Delete."""
    _deploy(aws, Revision="1")
    _deploy(aws, Revision="2")
    _deploy(aws, Revision="3", Fails="Update")
    _deploy(aws)
    with suppress(AcceptError):
        until(lambda: len(_seen(aws)) >= len(_EXPECTED), seconds=_LOG_SECONDS)
    seen = _seen(aws)
    if (kinds := [each["type"] for each in seen]) != _EXPECTED:
        raise AcceptError(f"the recorder saw {', '.join(kinds) or 'nothing'}")
    create, update, _, back, delete = seen

    def answer(row: str, told: str) -> None:
        report.answer(row, told, holds=told == EVENTS[row][1])

    answer("event-service-timeout", ", ".join(each["timeout"] for each in (create, update, delete)))
    dates = [name if "Date" in name else f"{name}={of}" for name, of in create["url"].items()]
    answer("event-url", ", ".join(dates) or "none")
    old = back["revision"] == update["revision"]
    answer("event-rollback", f"Update to the {'old' if old else 'new'} properties")
    waited_for = (create, update, back)
    answer("stack-resource", ", ".join(each["status"] for each in waited_for))
    if "X-Amz-Date" in create["url"]:
        late = max(each["updated"] - _signed(each["url"]["X-Amz-Date"]) for each in waited_for)
        report.answer("stack-resource-time", f"{late:.1f} s", holds=late <= 5)
    else:
        report.answer("stack-resource-time", "the URL has no such date", shown=False)


def _signed(date: str) -> float:
    return datetime.strptime(f"{date}+0000", "%Y%m%dT%H%M%SZ%z").timestamp()


def _deploy(aws: Aws, **properties: str) -> None:
    """Create or update the stack, and wait until it is at rest, however that ends."""
    cloudformation, stack = aws.client("cloudformation"), aws.name("recorder")
    exists = stack_status(cloudformation, stack)
    deploy = cloudformation.update_stack if exists else cloudformation.create_stack
    template = json.dumps(_template(aws, properties))
    deploy(StackName=stack, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    until(lambda: not stack_status(cloudformation, stack).endswith("_IN_PROGRESS"), pace=2)


def _seen(aws: Aws) -> list[dict[str, Any]]:
    """What the function has logged, in order."""
    pages = aws.client("logs").get_paginator("filter_log_events")
    found = [
        json.loads(event["message"].partition("RECORDED ")[2])
        for page in pages.paginate(logGroupName=_log_group(aws), filterPattern="RECORDED")
        for event in page["events"]
    ]
    return sorted(found, key=lambda each: float(each["began"]))


def _log_group(aws: Aws) -> str:
    return f"{aws.name('recorder')}-log"


def _template(aws: Aws, properties: dict[str, str]) -> dict[str, Any]:
    """The stack; without properties, the custom resource is removed."""
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
                            "Action": "cloudformation:DescribeStackResource",
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


def _resource(kind: str, **properties: object) -> dict[str, object]:
    return {"Type": kind, "Properties": properties}


def _policy(*statements: dict[str, object]) -> dict[str, object]:
    allowed = [{"Effect": "Allow", **statement} for statement in statements]
    return {"Version": "2012-10-17", "Statement": allowed}
