"""A custom resource that logs what CloudFormation sends, but for what could answer in its place."""

import json
import time
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3

_DATES = ("X-Amz-Date", "X-Amz-Expires", "Expires")


def handler(event: dict[str, Any], _context: object) -> None:
    """Log the event and how CloudFormation describes the resource, and answer."""
    began, properties = time.time(), event["ResourceProperties"]
    query = parse_qs(urlsplit(event["ResponseURL"]).query)
    places = {"event": event, "properties": properties}
    status, updated = _describe(StackName=event["StackId"], LogicalResourceId="Recorded")
    seen = {
        "type": event["RequestType"],
        "revision": properties["Revision"],
        "timeout": " and ".join(name for name in places if "ServiceTimeout" in places[name]),
        "url": {name: query[name][0] for name in _DATES if name in query},
        "status": status,
        "updated": updated,
        "began": began,
    }
    print(f"RECORDED {json.dumps(seen)}", flush=True)
    ids = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    failed = event["RequestType"] == properties.get("Fails")
    result = {"Status": "FAILED" if failed else "SUCCESS", "Reason": "as asked for"}
    body = json.dumps({**ids, **result, "PhysicalResourceId": "recorded"}).encode()
    put = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310
    urllib.request.urlopen(put, timeout=10)  # noqa: S310


def _describe(**resource: str) -> tuple[str, float]:
    """The resource's status and when it got that; a new role may be denied for a while."""
    cloudformation, code = boto3.client("cloudformation"), ""
    for _ in range(10):
        try:
            found = cloudformation.describe_stack_resource(**resource)["StackResourceDetail"]
            return found["ResourceStatus"], found["LastUpdatedTimestamp"].timestamp()
        except cloudformation.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if "AccessDenied" not in code:
                break
            time.sleep(2)
    return code, 0.0
