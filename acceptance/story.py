"""The story of `make demo`, and one wait that is handed over, with the CDK CLI."""

import sys
from datetime import timedelta
from pathlib import Path

from acceptance.aws import Aws, described, until
from acceptance.questions import STORY
from acceptance.report import Report
from local_aws.cdk import Cdk
from local_aws.demo import Demo

_APP = Path(__file__).with_name("hand_over_app.py")
_STEPS = {
    "deploy": "encrypted",
    "switch-key": "key switched",
    "refuse-key": "bad key refused",
    "destroy": "destroyed",
}


def tell_story(aws: Aws, report: Report) -> None:
    """Answer what a deployment of app.py shows; raises at the first step that is not as it says."""
    demo = Demo(
        aws,
        stream=aws.name("story"),
        stack=aws.name("story"),
        keys_are=aws.description,
        updating=timedelta(),
    )
    try:
        demo.run()
    finally:
        seen = {row.step: row for row in demo.rows}
        for name, step in _STEPS.items():
            if row := seen.get(step):
                told = f"{row.status}, {row.encryption}, {row.key.split(' (')[0]}; {row.record}"
                report.answer(name, told, holds=told == STORY[name][1])
        if demo.producer.encryption_types:
            refused = demo.producer.failures
            report.answer("producer", "; ".join(refused) or "none", holds=not refused)


def hand_over(aws: Aws, report: Report) -> None:
    """Deploy with a function that ends long before the wait does, and read its log."""
    stack, key = aws.name("hand-over"), aws.make_key()
    stream = described(aws.client("kinesis"), aws.make_stream("hand-over"))["StreamARN"]
    context = {"stack": stack, "stream": stream, "key": key}
    Cdk(aws, app=f"{sys.executable} {_APP}").deploy(context=context)
    found = described(aws.client("kinesis"), aws.name("hand-over"))
    lines = until(lambda: _log(aws, stack), seconds=60)
    hops = sum("goes on in another invocation" in line for line in lines)
    encrypted = (found["StreamStatus"], found.get("KeyId")) == ("ACTIVE", key)
    told = f"{hops} hand-overs, then {found['StreamStatus']}, {found['EncryptionType']}"
    report.answer("hand-over", told, holds=encrypted, shown=hops > 0 or not encrypted)
    failed = [line for line in lines if "could not be looked at" in line]
    report.answer("precautions", "".join(failed[:1]) or "none", holds=not failed)


def _log(aws: Aws, stack: str) -> list[str]:
    """All lines of the stack's function, once it has answered; none before."""
    resources = aws.client("cloudformation").describe_stack_resources(StackName=stack)
    groups = [
        resource["PhysicalResourceId"]
        for resource in resources["StackResources"]
        if resource["ResourceType"] == "AWS::Logs::LogGroup"
    ]
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=groups[0])
    lines = [str(event["message"]) for page in pages for event in page["events"]]
    return lines if any("the answer was delivered" in line for line in lines) else []
