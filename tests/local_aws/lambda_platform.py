"""Lambda and CloudFormation, for a function that runs under the AWS runtime client.

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes";
CloudFormation API reference, DescribeStackResource; Lambda API reference, Invoke.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from local_aws import LocalAws, folders
from local_aws.process import Service

STACK = "arn:aws:cloudformation:{region}:{account}:stack/orders/11111111-2222-3333-4444"
FUNCTION = "arn:aws:lambda:{region}:{account}:function:encryption"
SECRET = "presigned-by-cloudformation"

_DESCRIPTION = """
<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail>
<StackId>{StackId}</StackId><LogicalResourceId>{LogicalResourceId}</LogicalResourceId>
<ResourceType>{ResourceType}</ResourceType><ResourceStatus>{status}</ResourceStatus>
<LastUpdatedTimestamp>{issued}</LastUpdatedTimestamp>
</StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>
"""


class Code(NamedTuple):
    asset: Path
    handler: str


class Invocation(NamedTuple):
    event: dict[str, Any]
    seconds: float = 900


class Result(NamedTuple):
    """What the runtime client reports of an invocation: `response` or `error`, and the body."""

    kind: str
    body: Any


class Platform(ThreadingHTTPServer):
    """Serves the Runtime API, response URLs, Lambda's Invoke and DescribeStackResource."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}"
        self.pending = SimpleQueue[Invocation]()
        self.results = SimpleQueue[Result]()
        self.responses = SimpleQueue[dict[str, Any]]()
        self.continuations: list[dict[str, Any]] = []
        self.current: dict[str, Any] = {}

    def invoke(self, event: dict[str, Any], *, seconds: float = 900) -> None:
        """Invoke the function with a remaining time."""
        self.current = event
        self.pending.put(Invocation(event, seconds))

    def event(self, aws: LocalAws, type_: str, **properties: str) -> dict[str, Any]:
        """Return an event as CloudFormation sends it now."""
        location = {"region": aws.region, "account": aws.account}
        now = datetime.now(UTC)
        return {
            "RequestType": type_,
            "ResponseURL": f"{self.url}/response?X-Amz-Date={now:%Y%m%dT%H%M%SZ}"
            f"&X-Amz-Expires=7200&X-Amz-Signature={SECRET}",
            "StackId": STACK.format(**location),
            "RequestId": str(uuid.uuid4()),
            "ResourceType": "Custom::KinesisStreamEncryption",
            "LogicalResourceId": "Encryption",
            "ServiceTimeout": "120",
            "ResourceProperties": {"ServiceToken": FUNCTION.format(**location), **properties},
        }


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Platform

    def do_GET(self) -> None:
        invocation = self.server.pending.get()
        arn = invocation.event.get("ResourceProperties", {}).get("ServiceToken", FUNCTION)
        self._reply(
            200,
            json.dumps(invocation.event),
            **{
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": arn,
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            },
        )

    def do_POST(self) -> None:
        body = self._body()
        if self.path.startswith("/2018-06-01/runtime/"):
            self.server.results.put(Result(self.path.rpartition("/")[2], json.loads(body)))
            self._reply(202, "{}")
        elif self.path.endswith("/invocations"):
            self.server.continuations.append(json.loads(body))
            self.server.pending.put(Invocation(json.loads(body)))
            self._reply(202, "")
        else:
            self._describe_stack_resource(parse_qs(body.decode()))

    def do_PUT(self) -> None:
        assert "Content-Type" not in self.headers or not self.headers["Content-Type"]
        self.server.responses.put(json.loads(self._body()))
        self._reply(200, "")

    def log_message(self, *_: object) -> None:
        """Do not log requests."""

    def _describe_stack_resource(self, query: dict[str, list[str]]) -> None:
        event = self.server.current
        assert query["Action"] == ["DescribeStackResource"]
        assert query["LogicalResourceId"] == [event["LogicalResourceId"]]
        status = f"{event['RequestType'].upper()}_IN_PROGRESS"
        issued = datetime.now(UTC).isoformat()
        self._reply(200, _DESCRIPTION.format(**event, status=status, issued=issued))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _reply(self, status: int, body: str, **headers: str) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def start(aws: LocalAws, server: Platform, *, python: Path, code: Code, folder: Path) -> Service:
    """Run a function with `awslambdaric`, as the images of Lambda do."""
    environment = {
        "AWS_ENDPOINT_URL_CLOUDFORMATION": server.url,
        "AWS_ENDPOINT_URL_LAMBDA": server.url,
        "AWS_LAMBDA_FUNCTION_NAME": "encryption",
        "AWS_LAMBDA_RUNTIME_API": server.address,
        "LAMBDA_TASK_ROOT": str(code.asset),
        "PYTHONPATH": str(code.asset),
        "TZ": ":UTC",
    }
    return Service(
        "runtime-client",
        [str(python), "-m", "awslambdaric", code.handler],
        environment=folders.base_environment(folder) | aws.environment() | environment,
        folder=code.asset,
        log=folder / "function.log",
    )
