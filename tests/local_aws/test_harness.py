"""The local AWS itself: what the other tests of this folder take for granted."""

import io
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_aws import Cdk, CdkError, LocalAws, folders
from local_aws.process import CommandTimeoutError, Service, run
from tests.local_aws.observing import family, parents, until

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

SECOND = timedelta(seconds=1)

IMPORTS = """
import importlib

def handler(event, context):
    return importlib.import_module(event).__name__
"""

LISTS_STREAMS = """
import boto3

def handler(event, context):
    return boto3.client("kinesis").list_streams()["StreamNames"]
"""

NEVER_ANSWERS = """
import time

def handler(event, context):
    time.sleep(300)
"""

ANSWERS = """
import json, os, urllib.request

def handler(event, context):
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "answered"}
    answer["Data"] = {"Scheme": event["ResponseURL"].partition(":")[0]}
    request = urllib.request.Request(
        event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT"
    )
    urllib.request.urlopen(request, timeout=5).close()
"""

LOOKS_AT_ITSELF = """
import boto3, json, urllib.request

def handler(event, context):
    found = boto3.client("cloudformation").describe_stack_resource(
        StackName=event["StackId"], LogicalResourceId=event["LogicalResourceId"]
    )
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "looked"}
    answer["Data"] = {"Seen": found["StackResourceDetail"]["ResourceStatus"]}
    answer["Data"] |= {"Sent": event["ResponseURL"].partition("X-Amz-Date=")[2]}
    request = urllib.request.Request(
        event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT"
    )
    urllib.request.urlopen(request, timeout=5).close()
"""

TRUST_LAMBDA = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def make_function(aws: LocalAws, source: str) -> str:
    """Deploy `source` as a function whose role allows nothing, and return its ARN."""
    name = f"harness-{uuid.uuid4().hex[:8]}"
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_LAMBDA)
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


def invoke(aws: LocalAws, function: str, event: object = None) -> tuple[bool, Any]:
    """Invoke `function`; whether it failed, and its answer."""
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    return "FunctionError" in answer, json.loads(answer["Payload"].read())


def create_custom_resource(
    aws: LocalAws, function: str, *, shows: str = "Scheme", **properties: str
) -> str:
    """Begin to create a stack with one custom resource answered by `function`."""
    name = f"harness-{uuid.uuid4().hex[:8]}"
    template = custom_resource(function, shows=shows, **properties)
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=template)
    return name


def ended(aws: LocalAws, stack: str) -> Any:
    """The stack as described once nothing is in progress."""

    def described() -> Any:
        found = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return None if found["StackStatus"].endswith("_IN_PROGRESS") else found

    return until(described)


def custom_resource(function: str, *, shows: str, **properties: str) -> str:
    """Template of a stack with one custom resource, one of whose attributes is an output."""
    given = {"ServiceToken": function, "ServiceTimeout": "60", **properties}
    return json.dumps(
        {
            "Resources": {"Custom": {"Type": "Custom::Harness", "Properties": given}},
            "Outputs": {shows: {"Value": {"Fn::GetAtt": ["Custom", shows]}}},
        }
    )


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Addresses and ports on which `pids` listen."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                inodes.add(match[1])
    found = set()
    for table, kind in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                words = re.findall("." * 8, address)
                packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
                found.add((socket.inet_ntop(kind, packed), int(port, 16)))
    return found


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


class TestLoopback:
    def test_all_that_listens_is_on_the_loopback(self, local_aws: LocalAws) -> None:
        invoke(local_aws, make_function(local_aws, IMPORTS), "json")
        pids = set().union(*(family(service.pid) for service in local_aws.services))
        found = listening(pids)
        assert {address for address, _ in found} == {"127.0.0.1"}
        ports = {port for _, port in found}
        assert ports > {
            port_of(local_aws.endpoint_url),
            port_of(local_aws.kinesis_endpoint_url),
        }
        # Those two and kinesis-mock's port without TLS: no 443, no MQTT.
        assert len(ports) == 3

    def test_with_iam_only_the_endpoint_listens(self, local_aws_iam: LocalAws) -> None:
        (service,) = local_aws_iam.services
        assert listening(family(service.pid)) == {
            ("127.0.0.1", port_of(local_aws_iam.endpoint_url))
        }


class TestTls:
    def test_a_custom_resource_answers_over_verified_tls(self, local_aws: LocalAws) -> None:
        done = ended(
            local_aws, create_custom_resource(local_aws, make_function(local_aws, ANSWERS))
        )
        assert done["StackStatus"] == "CREATE_COMPLETE"
        assert done["Outputs"][0]["OutputValue"] == "https"

    def test_who_does_not_know_the_authority_is_refused(self, local_aws: LocalAws) -> None:
        strangers = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for url in (local_aws.endpoint_url, local_aws.kinesis_endpoint_url):
            with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
                urllib.request.build_opener(
                    urllib.request.ProxyHandler({}),
                    urllib.request.HTTPSHandler(context=strangers),
                ).open(url, timeout=5)


class TestCloudFormation:
    """What `ministack_bridged.py` adds; `test_interruptions.py` sees a killed function again."""

    def test_a_resource_in_progress_is_shown_as_such(self, local_aws: LocalAws) -> None:
        cloudformation = local_aws.client("cloudformation")
        function = make_function(local_aws, LOOKS_AT_ITSELF)
        stack = create_custom_resource(local_aws, function, shows="Seen")
        for operation in ("CREATE", "UPDATE"):
            (output,) = ended(local_aws, stack)["Outputs"]
            assert output["OutputValue"] == f"{operation}_IN_PROGRESS"
            shown = cloudformation.describe_stack_resource(
                StackName=stack, LogicalResourceId="Custom"
            )["StackResourceDetail"]
            assert shown["ResourceStatus"] == f"{operation}_COMPLETE"
            if operation == "CREATE":
                changed = custom_resource(function, shows="Seen", Change="another")
                cloudformation.update_stack(StackName=stack, TemplateBody=changed)

    def test_the_answers_url_tells_when_the_request_was_sent(self, local_aws: LocalAws) -> None:
        function = make_function(local_aws, LOOKS_AT_ITSELF)
        done = ended(local_aws, create_custom_resource(local_aws, function, shows="Sent"))
        sent = datetime.strptime(done["Outputs"][0]["OutputValue"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        assert timedelta(0) <= sent - done["CreationTime"] + SECOND <= timedelta(minutes=1)

    def test_a_request_ends_with_its_timeout_while_the_function_runs(
        self, local_aws: LocalAws
    ) -> None:
        function = make_function(local_aws, NEVER_ANSWERS)
        stack = create_custom_resource(local_aws, function, ServiceTimeout="2")
        assert ended(local_aws, stack)["StackStatus"] == "ROLLBACK_COMPLETE"


class TestFunctions:
    def test_they_find_boto3_as_on_lambda(self, local_aws: LocalAws) -> None:
        failed, answer = invoke(local_aws, make_function(local_aws, IMPORTS), "boto3")
        assert (failed, answer) == (False, "boto3")

    def test_they_cannot_borrow_crhelper(self, local_aws: LocalAws) -> None:
        failed, answer = invoke(local_aws, make_function(local_aws, IMPORTS), "crhelper")
        assert failed
        assert "No module named 'crhelper'" in answer["errorMessage"]

    def test_they_reach_the_kinesis_with_transitions(
        self, local_aws: LocalAws, stream: str
    ) -> None:
        failed, answer = invoke(local_aws, make_function(local_aws, LISTS_STREAMS))
        assert not failed, answer
        assert stream in answer

    def test_with_iam_they_have_the_rights_of_their_role(self, local_aws_iam: LocalAws) -> None:
        failed, answer = invoke(local_aws_iam, make_function(local_aws_iam, LISTS_STREAMS))
        assert failed
        assert "AccessDenied" in answer["errorMessage"]


@pytest.fixture(scope="module")
def stream(local_aws: LocalAws) -> Iterator[str]:
    name = f"harness-{uuid.uuid4().hex[:8]}"
    kinesis = local_aws.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    until(lambda: status(kinesis, name) == "ACTIVE")
    yield name
    kinesis.delete_stream(StreamName=name)


def status(kinesis: Any, stream: str) -> str:
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return str(summary["StreamStatus"])


class TestKinesis:
    def test_start_and_stop_take_the_time_asked_for(self, local_aws: LocalAws, stream: str) -> None:
        kinesis = local_aws.client("kinesis")
        key = {"StreamName": stream, "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
        for change in (kinesis.start_stream_encryption, kinesis.stop_stream_encryption):
            change(**key)
            changed = time.monotonic()
            assert status(kinesis, stream) == "UPDATING"
            until(lambda: status(kinesis, stream) == "ACTIVE")
            took = timedelta(seconds=time.monotonic() - changed)
            assert local_aws.updating - SECOND / 2 < took < 2 * local_aws.updating

    def test_streams_and_functions_share_account_and_region(
        self, local_aws: LocalAws, stream: str
    ) -> None:
        summary = local_aws.client("kinesis").describe_stream_summary(StreamName=stream)
        of_stream = summary["StreamDescriptionSummary"]["StreamARN"].split(":")[3:5]
        of_function = make_function(local_aws, IMPORTS).split(":")[3:5]
        assert of_stream == of_function == [local_aws.region, local_aws.account]

    def test_the_key_that_kinesis_owns_is_known(self, local_aws: LocalAws) -> None:
        found = local_aws.client("kms").describe_key(KeyId="alias/aws/kinesis")
        assert found["KeyMetadata"]["KeyState"] == "Enabled"


def test_nothing_of_the_users_environment_leaks_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "borrowed.py").touch()
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_PROFILE": "nobody",
        "AWS_REGION": "us-west-2",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "PYTHONPATH": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    with LocalAws(iam=True) as aws:
        failed, answer = invoke(aws, make_function(aws, IMPORTS), "borrowed")
    assert failed
    assert "No module named 'borrowed'" in answer["errorMessage"]


INSTANCE = """
import signal
from datetime import timedelta
from local_aws import LocalAws, process
from test_harness import NEVER_ANSWERS, create_custom_resource, make_function

# What a shell runs in the background is born ignoring it, and hands that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
process.exit_on_signals()
with LocalAws(updating=timedelta(seconds=3)) as aws:
    create_custom_resource(aws, make_function(aws, NEVER_ANSWERS))
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
    def test_a_killed_run_leaves_no_process_and_no_port(self, number: signal.Signals) -> None:
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
            # Itself, two supervisors, two emulators, and the worker that never answers.
            until(lambda: len(family(instance.pid)) == 6)
            started = family(instance.pid)
            instance.send_signal(number)
            try:
                instance.wait(timeout=30)
            finally:
                instance.kill()
        until(lambda: not started & parents().keys(), seconds=10)
        for url in urls:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port_of(url)), timeout=5)

    def test_what_left_its_process_group_is_stopped_too(self, tmp_path: Path) -> None:
        with Service(
            "daemon",
            [sys.executable, "-c", DAEMON],
            environment=folders.base_environment(tmp_path),
            folder=tmp_path,
            log=tmp_path / "log",
        ) as service:
            until((tmp_path / "ready").exists)
            # The supervisor, the command, and the daemon that the supervisor has adopted.
            started = family(service.pid)
            assert len(started) == 3
        assert not started & parents().keys()

    def test_a_command_that_takes_too_long_is_stopped(self, tmp_path: Path) -> None:
        code = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
        with pytest.raises(CommandTimeoutError) as caught:
            run(
                [sys.executable, "-c", code],
                environment=folders.base_environment(tmp_path),
                folder=tmp_path,
                seconds=1,
            )
        assert int(str(caught.value).split()[-1]) not in parents()


class TestCommandLine:
    def test_up_prints_what_a_shell_needs_and_down_leaves_nothing(self, tmp_path: Path) -> None:
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
            assert call("up") == exports, "a second up shows the instance that there is"
            pid = json.loads((tmp_path / "up.json").read_text())["pid"]
            started = family(pid)
            listed = subprocess.run(
                ["sh", "-c", f'{exports}\npython -c "{USER_SCRIPT}"'],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        finally:
            call("down")
        assert "CDKToolkit" in listed
        assert not started & parents().keys()
        assert not (tmp_path / "up.json").exists()


USER_SCRIPT = """
import boto3
print(boto3.client('kinesis').list_streams()['StreamNames'])
print(boto3.client('cloudformation').describe_stacks()['Stacks'][0]['StackName'])
"""

TINY_APP = """
import aws_cdk

app = aws_cdk.App()
stack = aws_cdk.Stack(app, "HarnessTiny")
aws_cdk.CfnWaitConditionHandle(stack, "Handle")
aws_cdk.CfnOutput(stack, "Said", value=app.node.get_context("said"))
app.synth()
"""


class TestCdk:
    def test_deploy_returns_outputs_and_destroy_removes(
        self, local_aws: LocalAws, tmp_path: Path
    ) -> None:
        (tmp_path / "app.py").write_text(TINY_APP)
        cdk = Cdk(local_aws, tmp_path, "python app.py")
        deployment = cdk.deploy("HarnessTiny", context={"said": "so"})
        assert deployment.outputs == {"HarnessTiny": {"Said": "so"}}
        cdk.destroy("HarnessTiny", context={"said": "so"})
        stacks = local_aws.client("cloudformation").describe_stacks()["Stacks"]
        assert "HarnessTiny" not in [each["StackName"] for each in stacks]

    def test_a_failure_is_raised_with_what_was_printed(
        self, local_aws: LocalAws, tmp_path: Path
    ) -> None:
        failing = "python -c 'raise SystemExit(\"the reason\")'"
        with pytest.raises(CdkError, match="the reason"):
            Cdk(local_aws, tmp_path, failing).deploy()
