"""Properties of the local AWS whose absence no other test of this folder would show."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws, folders
from local_aws.process import CommandTimeoutError, Service, run
from tests.local_aws.observing import parents, process_tree, until

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

SECOND = timedelta(seconds=1)

IMPORT_MODULE = """
import importlib

def handler(event, context):
    return importlib.import_module(event).__name__
"""

SLEEP = """
import time

def handler(event, context):
    time.sleep(300)
"""

RESPOND = """
import boto3, json, urllib.request

def handler(event, context):
    described = boto3.client("cloudformation").describe_stack_resource(
        StackName=event["StackId"], LogicalResourceId=event["LogicalResourceId"]
    )
    response = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    response |= {"Status": "SUCCESS", "PhysicalResourceId": "custom"}
    response["Data"] = {
        "Status": described["StackResourceDetail"]["ResourceStatus"],
        "Sent": event["ResponseURL"].partition("X-Amz-Date=")[2],
    }
    request = urllib.request.Request(
        event["ResponseURL"], data=json.dumps(response).encode(), method="PUT"
    )
    urllib.request.urlopen(request, timeout=5).close()
"""

TRUST_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def create_function(aws: LocalAws, source: str) -> str:
    """Create a function whose role has no permissions, and return its ARN."""
    name = f"harness-{uuid.uuid4().hex[:8]}"
    trust = json.dumps(TRUST_POLICY)
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", source)
    created = aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=role["Role"]["Arn"],
        Timeout=300,
        Code={"ZipFile": package.getvalue()},
    )
    return str(created["FunctionArn"])


def cannot_import(aws: LocalAws, module: str) -> bool:
    """Whether a function fails to import a module."""
    response = aws.client("lambda").invoke(
        FunctionName=create_function(aws, IMPORT_MODULE), Payload=json.dumps(module)
    )
    return f"No module named '{module}'" in response["Payload"].read().decode()


def template(function: str, **properties: str) -> str:
    """A stack with one custom resource, whose attributes are outputs."""
    custom = {"ServiceToken": function, "ServiceTimeout": "60", **properties}
    outputs = {name: {"Value": {"Fn::GetAtt": ["Custom", name]}} for name in ("Status", "Sent")}
    return json.dumps(
        {
            "Resources": {"Custom": {"Type": "Custom::Harness", "Properties": custom}},
            "Outputs": outputs,
        }
    )


def create_stack(aws: LocalAws, function: str, **properties: str) -> str:
    """Create a stack with one custom resource; do not wait."""
    name = f"harness-{uuid.uuid4().hex[:8]}"
    body = template(function, **properties)
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    return name


def complete(aws: LocalAws, stack: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The description of the stack and its outputs, once no operation is in progress."""

    def description() -> Any:
        stacks = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return None if stacks[0]["StackStatus"].endswith("_IN_PROGRESS") else stacks[0]

    described = until(description)
    outputs = described.get("Outputs", [])
    return described, {each["OutputKey"]: each["OutputValue"] for each in outputs}


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Addresses and ports on which these processes listen."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                inodes.add(match[1])
    sockets = set()
    for table, kind in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                words = re.findall("." * 8, address)
                packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
                sockets.add((socket.inet_ntop(kind, packed), int(port, 16)))
    return sockets


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_services_listen_on_the_loopback_interface_only(local_aws: LocalAws) -> None:
    cannot_import(local_aws, "json")  # starts a worker process
    pids = set().union(*(process_tree(service.pid) for service in local_aws.services))
    sockets = listening(pids)
    assert {address for address, _ in sockets} == {"127.0.0.1"}
    ports = {port for _, port in sockets}
    assert ports > {port_of(local_aws.endpoint_url), port_of(local_aws.kinesis_endpoint_url)}
    assert len(ports) == 3, "the third is kinesis-mock's port without TLS: no 443, no MQTT"


def test_functions_cannot_import_packages_that_lambda_lacks(local_aws: LocalAws) -> None:
    assert cannot_import(local_aws, "crhelper")


class TestMinistackBridged:
    """What `ministack_bridged.py` adds; `test_interruptions.py` shows the retries."""

    def test_resource_in_progress_is_described_as_such(self, local_aws: LocalAws) -> None:
        cloudformation = local_aws.client("cloudformation")
        function = create_function(local_aws, RESPOND)
        stack = create_stack(local_aws, function)
        for operation in ("CREATE", "UPDATE"):
            _, outputs = complete(local_aws, stack)
            assert outputs["Status"] == f"{operation}_IN_PROGRESS"
            detail = cloudformation.describe_stack_resource(
                StackName=stack, LogicalResourceId="Custom"
            )["StackResourceDetail"]
            assert detail["ResourceStatus"] == f"{operation}_COMPLETE"
            if operation == "CREATE":
                changed = template(function, Revision="2")
                cloudformation.update_stack(StackName=stack, TemplateBody=changed)

    def test_response_url_contains_the_date_of_the_request(self, local_aws: LocalAws) -> None:
        stack = create_stack(local_aws, create_function(local_aws, RESPOND))
        described, outputs = complete(local_aws, stack)
        sent = datetime.strptime(outputs["Sent"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        assert timedelta(0) <= sent - described["CreationTime"] + SECOND <= timedelta(minutes=1)

    def test_service_timeout_counts_from_the_request(self, local_aws: LocalAws) -> None:
        stack = create_stack(local_aws, create_function(local_aws, SLEEP), ServiceTimeout="2")
        described, _ = complete(local_aws, stack)
        assert described["StackStatus"] == "ROLLBACK_COMPLETE"


def test_encryption_changes_take_the_configured_time(local_aws: LocalAws) -> None:
    name, kinesis = f"harness-{uuid.uuid4().hex[:8]}", local_aws.client("kinesis")

    def is_active() -> bool:
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return bool(summary["StreamStatus"] == "ACTIVE")

    kinesis.create_stream(StreamName=name, ShardCount=1)
    until(is_active)
    for change in (kinesis.start_stream_encryption, kinesis.stop_stream_encryption):
        change(StreamName=name, EncryptionType="KMS", KeyId="alias/aws/kinesis")
        changed = time.monotonic()
        assert not is_active()
        until(is_active)
        duration = timedelta(seconds=time.monotonic() - changed)
        assert local_aws.updating - SECOND / 2 < duration < 2 * local_aws.updating


def test_environment_of_the_user_has_no_effect(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "borrowed.py").touch()
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_PROFILE": "unknown",
        "AWS_REGION": "us-west-2",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "PYTHONPATH": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    with LocalAws(iam=True) as aws:
        assert cannot_import(aws, "borrowed")


INSTANCE = """
import signal
from datetime import timedelta
from local_aws import LocalAws, process
from test_harness import SLEEP, create_function, create_stack

# A shell starts background commands with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
process.exit_on_signals()
with LocalAws(updating=timedelta(seconds=3)) as aws:
    create_stack(aws, create_function(aws, SLEEP))
    print(aws.endpoint_url, aws.kinesis_endpoint_url, flush=True)
    aws.wait()
"""

DAEMON = """
import os, pathlib, time

if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    pathlib.Path("ready").touch()
time.sleep(300)
"""


class TestStopping:
    @pytest.mark.parametrize(
        "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
    )
    def test_killed_run_leaves_no_process_and_no_port(self, number: signal.Signals) -> None:
        path = os.pathsep.join([str(folders.PROJECT), str(Path(__file__).parent)])
        with subprocess.Popen(
            [sys.executable, "-c", INSTANCE],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as instance:
            assert instance.stdout is not None
            urls = instance.stdout.readline().split()
            # The instance, two supervisors, two emulators, and the worker that sleeps.
            until(lambda: len(process_tree(instance.pid)) == 6)
            started = process_tree(instance.pid)
            instance.send_signal(number)
            try:
                instance.wait(timeout=30)
            finally:
                instance.kill()
        until(lambda: not started & parents().keys(), seconds=10)
        for url in urls:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port_of(url)), timeout=5)

    def test_process_outside_its_process_group_is_stopped(self, tmp_path: Path) -> None:
        with Service(
            "daemon",
            [sys.executable, "-c", DAEMON],
            environment=folders.base_environment(tmp_path),
            folder=tmp_path,
            log=tmp_path / "log",
        ) as service:
            until((tmp_path / "ready").exists)
            # The supervisor, the command, and the daemon that the supervisor has adopted.
            started = process_tree(service.pid)
            assert len(started) == 3
        assert not started & parents().keys()

    def test_command_is_stopped_after_its_timeout(self, tmp_path: Path) -> None:
        code = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
        with pytest.raises(CommandTimeoutError) as caught:
            run(
                [sys.executable, "-c", code],
                environment=folders.base_environment(tmp_path),
                folder=tmp_path,
                seconds=1,
            )
        assert int(str(caught.value).split()[-1]) not in parents()


USER_SCRIPT = """
import boto3
print(boto3.client('kinesis').list_streams()['StreamNames'])
print(boto3.client('cloudformation').describe_stacks()['Stacks'][0]['StackName'])
"""


def test_up_prints_the_variables_to_export_and_down_stops_all_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local_aws", "--folder", str(tmp_path)]

    def call(*arguments: str) -> str:
        return subprocess.run(
            [*command, *arguments],
            cwd=folders.PROJECT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    exports = call("up", "--updating", "0.5")
    try:
        assert call("up") == exports, "a second up returns the running instance"
        pid = json.loads((tmp_path / "up.json").read_text())["pid"]
        started = process_tree(pid)
        output = subprocess.run(
            ["sh", "-c", f'{exports}\npython -c "{USER_SCRIPT}"'],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    finally:
        call("down")
    assert "CDKToolkit" in output
    until(lambda: not started & parents().keys(), seconds=5)
    assert not (tmp_path / "up.json").exists()
