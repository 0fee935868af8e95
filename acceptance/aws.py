"""The account of the shell's credentials, and the names of all resources created in it."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import boto3
from botocore.exceptions import ClientError

from local_aws import folders

T = TypeVar("T")
ACCEPTED = "accepted"
_PREFIX = re.compile(r"[a-z][a-z0-9-]{3,30}")
_BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"


class AcceptError(RuntimeError):
    """The run cannot continue."""


@dataclass(frozen=True)
class Aws:
    """An account and Region, with the credentials of the shell.

    Names of all resources begin with `prefix`; keys are identified by `description`. The CDK CLI
    writes to `folder`.
    """

    prefix: str
    session: Any
    account: str
    region: str
    folder: Path

    @classmethod
    def from_shell(cls, prefix: str, folder: Path) -> Self:
        """Identify the account; raise AcceptError if there is no Region."""
        if not _PREFIX.fullmatch(prefix):
            raise AcceptError(f"invalid prefix {prefix!r}: it must match {_PREFIX.pattern}")
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        if session.region_name is None:
            raise AcceptError("no Region: set AWS_REGION")
        account = str(session.client("sts").get_caller_identity()["Account"])
        return cls(prefix, session, account, session.region_name, folder)

    @property
    def description(self) -> str:
        """Description of all keys of this prefix."""
        return f"make accept of cdk-kinesis-stream-encryption, {self.prefix}"

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return self.session.client(service)

    def name(self, part: str) -> str:
        """Return the name of a resource."""
        return f"{self.prefix}-{part}"

    def alias(self, part: str) -> str:
        """Return the name of an alias."""
        return f"alias/{self.name(part)}"

    def process_environment(self) -> dict[str, str]:
        """Return the shell's environment with this project's tools and an explicit Region."""
        path = [str(folders.NODE.parent), str(folders.VENV_BIN), os.environ.get("PATH", os.defpath)]
        region = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        return dict(os.environ) | region | {"PATH": os.pathsep.join(path)}

    def check_bootstrap(self) -> None:
        """Raise AcceptError unless account and Region are bootstrapped for the CDK."""
        ssm = self.client("ssm")
        try:
            ssm.get_parameter(Name=_BOOTSTRAP)
        except ssm.exceptions.ParameterNotFound:
            target = f"aws://{self.account}/{self.region}"
            raise AcceptError(f"not bootstrapped for the CDK: cdk bootstrap {target}") from None

    def create_key(self) -> str:
        """Create a key and return its ARN once KMS finds it."""
        kms = self.client("kms")
        key = str(kms.create_key(Description=self.description)["KeyMetadata"]["Arn"])
        until(lambda: result_of(kms.describe_key, KeyId=key) == ACCEPTED)
        return key

    def create_stream(self, part: str) -> str:
        """Create an unencrypted stream and return its name once it is ACTIVE."""
        kinesis, name = self.client("kinesis"), self.name(part)
        kinesis.create_stream(StreamName=name, ShardCount=1)
        until(lambda: result_of(kinesis.describe_stream_summary, StreamName=name) == ACCEPTED)
        until(lambda: describe(kinesis, name)["StreamStatus"] == "ACTIVE")
        return name


def describe(kinesis: Any, stream: str) -> dict[str, Any]:
    """Return the stream description summary."""
    response = kinesis.describe_stream_summary(StreamName=stream)
    return dict(response["StreamDescriptionSummary"])


def result_of(call: Callable[..., Any], **parameters: Any) -> str:
    """Make a call and return "accepted", or the code and message of the error."""
    try:
        call(**parameters)
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return ACCEPTED


def until(condition: Callable[[], T], *, seconds: float = 900, interval: float = 1.0) -> T:
    """Return the first true result of `condition`; raise AcceptError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AcceptError(f"timed out after {seconds:g} s")
        time.sleep(interval)
    return result
