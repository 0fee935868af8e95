"""Each alternative as a CDK stack that encrypts existing streams.

Each function adds a custom resource per stream, and returns the ARN of the function to which
CloudFormation sends its events.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from aws_cdk import CustomResource, Duration, Stack, custom_resources
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider

_FOLDER = Path(__file__).parent
_KEY = "alias/aws/kinesis"
_RUNTIME = lambda_.Runtime.PYTHON_3_13

Add = Callable[[Stack, Sequence[str]], str]


def this_construct(stack: Stack, names: Sequence[str]) -> str:
    """Add KinesisStreamEncryption for each stream."""
    for number, name in enumerate(names):
        stream = kinesis.Stream.from_stream_arn(stack, f"Stream{number}", _arn(stack, name))
        KinesisStreamEncryption(stack, f"Encryption{number}", stream=stream)
    return KinesisStreamEncryptionProvider.get_or_create(stack).function.function_arn


def crhelper_wait(stack: Stack, names: Sequence[str]) -> str:
    """Add a crhelper function that waits, and a custom resource for each stream."""
    function = lambda_.Function(
        stack,
        "Function",
        runtime=_RUNTIME,
        handler="handler.handler",
        code=lambda_.Code.from_asset(_with_crhelper(_FOLDER / "crhelper_wait")),
        timeout=Duration.minutes(15),
        log_group=logs.LogGroup(stack, "Logs", retention=logs.RetentionDays.THREE_MONTHS),
        initial_policy=[_allow_encryption(stack)],
    )
    return _add_resources(stack, function.function_arn, names)


def provider(stack: Stack, names: Sequence[str]) -> str:
    """Add CDK's Provider with an is_complete_handler, and a custom resource for each stream."""
    code = lambda_.Code.from_asset(str(_FOLDER / "provider"))
    functions = [
        lambda_.Function(
            stack,
            name,
            runtime=_RUNTIME,
            handler=f"handler.{handler}",
            code=code,
            initial_policy=[_allow_encryption(stack)],
        )
        for name, handler in (("OnEvent", "on_event"), ("IsComplete", "is_complete"))
    ]
    framework = custom_resources.Provider(
        stack,
        "Provider",
        on_event_handler=functions[0],
        is_complete_handler=functions[1],
        total_timeout=Duration.hours(1),
    )
    return _add_resources(stack, framework.service_token, names)


def aws_custom_resource(stack: Stack, names: Sequence[str]) -> str:
    """Add an AwsCustomResource for each stream."""
    for number, name in enumerate(names):
        call = custom_resources.AwsSdkCall(
            service="Kinesis",
            action="startStreamEncryption",
            parameters={"StreamName": name, "EncryptionType": "KMS", "KeyId": _KEY},
            physical_resource_id=custom_resources.PhysicalResourceId.of(name),
        )
        custom_resources.AwsCustomResource(
            stack,
            f"Encryption{number}",
            install_latest_aws_sdk=False,
            on_update=call,
            policy=custom_resources.AwsCustomResourcePolicy.from_sdk_calls(
                resources=[_arn(stack, name)]
            ),
        )
    (function,) = (each for each in stack.node.find_all() if isinstance(each, lambda_.CfnFunction))
    return function.attr_arn


STACKS: dict[str, Add] = {
    "this construct": this_construct,
    "Provider, every 5 s": provider,
    "crhelper, wait loop": crhelper_wait,
    "AwsCustomResource": aws_custom_resource,
}
"""Stacks by the name of the alternative in all figures."""

WAITING = [name for name in STACKS if name != "AwsCustomResource"]
"""Alternatives that wait until the stream is ACTIVE."""


def stack_name(name: str) -> str:
    """Return the name of the stack of an alternative."""
    return f"bench-{list(STACKS).index(name)}"


def _with_crhelper(folder: Path) -> str:
    """Copy crhelper next to a handler, as `pip install --target` does."""
    crhelper = find_spec("crhelper")
    if crhelper is None or crhelper.origin is None:
        raise RuntimeError("crhelper is not installed")
    package, target = Path(crhelper.origin).parent, Path(tempfile.mkdtemp())
    for source, copy in ((folder, target), (package, target / package.name)):
        shutil.copytree(
            source, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )
    return str(target)


def _allow_encryption(stack: Stack) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=["kinesis:DescribeStreamSummary", "kinesis:StartStreamEncryption"],
        resources=[_arn(stack, "*")],
    )


def _add_resources(stack: Stack, service_token: str, names: Sequence[str]) -> str:
    for number, name in enumerate(names):
        CustomResource(
            stack,
            f"Encryption{number}",
            resource_type="Custom::StreamEncryption",
            service_token=service_token,
            properties={"StreamName": name, "KeyId": _KEY},
        )
    return service_token


def _arn(stack: Stack, name: str) -> str:
    return stack.format_arn(service="kinesis", resource="stream", resource_name=name)
