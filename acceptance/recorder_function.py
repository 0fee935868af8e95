"""A custom resource that logs its events, without the credentials of the response URL."""

import json
import time
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3

_DATES = ("X-Amz-Date", "X-Amz-Expires", "Expires")


def handler(event: dict[str, Any], _context: object) -> None:
    """Log the event and the description of the resource, and send the response."""
    began, properties = time.time(), event["ResourceProperties"]
    query = parse_qs(urlsplit(event["ResponseURL"]).query)
    places = {"event": event, "properties": properties}
    status, updated = _describe(StackName=event["StackId"], LogicalResourceId="Recorded")
    recorded = {
        "type": event["RequestType"],
        "revision": properties["Revision"],
        "timeout": " and ".join(name for name in places if "ServiceTimeout" in places[name]),
        "url": {name: query[name][0] for name in _DATES if name in query},
        "status": status,
        "updated": updated,
        "stack": _stack_status(event["StackId"]),
        "began": began,
    }
    print(f"RECORDED {json.dumps(recorded)}", flush=True)
    ids = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    failed = event["RequestType"] == properties.get("Fails")
    result = {"Status": "FAILED" if failed else "SUCCESS", "Reason": "requested by the test"}
    body = json.dumps({**ids, **result, "PhysicalResourceId": "recorded"}).encode()
    put = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310
    urllib.request.urlopen(put, timeout=10)  # noqa: S310


def _stack_status(stack: str) -> str:
    """The stack's status, or the code of the error if it is unknown."""
    cloudformation = boto3.client("cloudformation")
    try:
        return str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
    except cloudformation.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])


def _describe(**resource: str) -> tuple[str, float]:
    """Return the status of the resource and its time; retry, as the policy of the role is new."""
    cloudformation, code = boto3.client("cloudformation"), ""
    for _ in range(10):
        try:
            detail = cloudformation.describe_stack_resource(**resource)["StackResourceDetail"]
            return detail["ResourceStatus"], detail["LastUpdatedTimestamp"].timestamp()
        except cloudformation.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if "AccessDenied" not in code:
                break
            time.sleep(2)
    return code, 0.0
