"""Each peer as a CDK stack that encrypts a number of existing streams.

Each function adds what the peer needs and a custom resource for each stream, and returns the ARN
of the function that CloudFormation sends its events to.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import jsii
from aws_cdk import (
    BundlingOptions,
    CustomResource,
    DockerImage,
    Duration,
    ILocalBundling,
    Stack,
    custom_resources,
)
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider

_FOLDER = Path(__file__).parent
_KEY = "alias/aws/kinesis"
_RUNTIME = lambda_.Runtime.PYTHON_3_13
_TIMEOUT = Duration.minutes(15)
_HOUR = Duration.hours(1)

Add = Callable[[Stack, Sequence[str]], str]


def ours(stack: Stack, names: Sequence[str]) -> str:
    """Add this project's construct for each stream."""
    for number, name in enumerate(names):
        stream = kinesis.Stream.from_stream_arn(stack, f"Stream{number}", _arn(stack, name))
        KinesisStreamEncryption(stack, f"Encryption{number}", stream=stream)
    return KinesisStreamEncryptionProvider.get_or_create(stack).function.function_arn


def by_hand(stack: Stack, names: Sequence[str]) -> str:
    """Add a crhelper function, and a custom resource for each stream."""
    function = _crhelper_function(stack, "by_hand")
    return _add_resources(stack, function.function_arn, names)


def crhelper_poll(stack: Stack, names: Sequence[str]) -> str:
    """Add a crhelper function that polls, and a custom resource for each stream."""
    function = _crhelper_function(stack, "crhelper_poll")
    function.add_to_role_policy(
        iam.PolicyStatement(
            actions=[
                "events:DeleteRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
                "lambda:AddPermission",
                "lambda:RemovePermission",
            ],
            resources=["*"],
        )
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
            initial_policy=[_may_encrypt(stack)],
        )
        for name, handler in (("OnEvent", "on_event"), ("IsComplete", "is_complete"))
    ]
    made = custom_resources.Provider(
        stack,
        "Provider",
        on_event_handler=functions[0],
        is_complete_handler=functions[1],
        total_timeout=_HOUR,
    )
    return _add_resources(stack, made.service_token, names)


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
    "ours": ours,
    "Provider, 5 s (default)": provider,
    "crhelper poll_create": crhelper_poll,
    "crhelper, looks by hand": by_hand,
    "AwsCustomResource": aws_custom_resource,
}
"""What is compared, by the name it has in all figures."""


def _crhelper_function(stack: Stack, folder: str) -> lambda_.Function:
    return lambda_.Function(
        stack,
        "Function",
        runtime=_RUNTIME,
        handler="handler.handler",
        code=_with_crhelper(_FOLDER / folder),
        timeout=_TIMEOUT,
        log_group=logs.LogGroup(stack, "Logs", retention=logs.RetentionDays.THREE_MONTHS),
        initial_policy=[_may_encrypt(stack)],
    )


def _with_crhelper(folder: Path) -> lambda_.Code:
    return lambda_.Code.from_asset(
        str(folder),
        bundling=BundlingOptions(
            image=DockerImage.from_registry("scratch"), local=_Bundling(folder)
        ),
    )


@jsii.implements(ILocalBundling)
class _Bundling:
    """Puts crhelper beside a handler, as `pip install --target` would."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def try_bundle(self, output_dir: str, *_args: object, **_options: object) -> bool:
        crhelper = find_spec("crhelper")
        if crhelper is None or crhelper.origin is None:
            raise RuntimeError("crhelper is not installed")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(self._folder, output_dir, ignore=ignored, dirs_exist_ok=True)
        package = Path(crhelper.origin).parent
        shutil.copytree(package, Path(output_dir) / package.name, ignore=ignored)
        return True


def _may_encrypt(stack: Stack) -> iam.PolicyStatement:
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
