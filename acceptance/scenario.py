"""The scenario of `make demo`, and a wait that continues in a new invocation, by the CDK CLI."""

import sys
from datetime import timedelta
from pathlib import Path

from acceptance.assumptions import SCENARIO
from acceptance.aws import Aws, describe, until
from acceptance.report import Report
from local_aws.cdk import Cdk
from local_aws.scenario import Scenario

_APP = Path(__file__).with_name("continuation_app.py")
_STEPS = {
    "deploy": "encrypted",
    "switch-key": "key switched",
    "reject-key": "bad key rejected",
    "destroy": "destroyed",
}
# Log messages of the handler.
_CONTINUED = "continuing in a new invocation"
_PREFLIGHT_FAILED = "could not be described"
_RESPONSE_SENT = "the response was sent"


def check_scenario(aws: Aws, report: Report) -> None:
    """Set all rows of `assumptions.SCENARIO`; raise at the first unexpected observation."""
    scenario = Scenario(
        aws,
        stream=aws.name("scenario"),
        stack=aws.name("scenario"),
        key_description=aws.description,
        updating=timedelta(),
    )
    try:
        scenario.run()
    finally:
        observations = {each.step: each for each in scenario.observations}
        for row, step in _STEPS.items():
            if each := observations.get(step):
                key = each.key.split(" (")[0]
                observed = f"{each.status}, {each.encryption}, {key}; {each.record}"
                report.observe(row, observed, holds=observed == SCENARIO[row][1])
        if scenario.producer.encryption_types:
            failures = scenario.producer.failures
            report.observe("producer", "; ".join(failures) or "none", holds=not failures)


def check_continuation(aws: Aws, report: Report) -> None:
    """Deploy with a function that times out before the wait ends, and read its log."""
    stack, key = aws.name("continuation"), aws.create_key()
    stream = describe(aws.client("kinesis"), aws.create_stream("continuation"))["StreamARN"]
    context = {"stack": stack, "stream": stream, "key": key}
    Cdk(aws, app=f"{sys.executable} {_APP}").deploy(context)
    described = describe(aws.client("kinesis"), aws.name("continuation"))
    lines = until(lambda: _log(aws, stack), seconds=60)
    count = sum(_CONTINUED in line for line in lines)
    encrypted = (described["StreamStatus"], described.get("KeyId")) == ("ACTIVE", key)
    observed = f"continued {count} times, then {described['StreamStatus']}"
    observed += f", {described['EncryptionType']}"
    report.observe("continuation", observed, holds=encrypted, shown=count > 0 or not encrypted)
    failed = [line for line in lines if _PREFLIGHT_FAILED in line]
    report.observe("preflight", "".join(failed[:1]) or "none", holds=not failed)


def _log(aws: Aws, stack: str) -> list[str]:
    """Return the log of the function once it has sent its response, empty before."""
    resources = aws.client("cloudformation").describe_stack_resources(StackName=stack)
    groups = [
        resource["PhysicalResourceId"]
        for resource in resources["StackResources"]
        if resource["ResourceType"] == "AWS::Logs::LogGroup"
    ]
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=groups[0])
    lines = [str(event["message"]) for page in pages for event in page["events"]]
    return lines if any(_RESPONSE_SENT in line for line in lines) else []
