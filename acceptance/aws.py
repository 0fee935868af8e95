"""The account of the shell's credentials, and the names of all that is made in it."""

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
_PREFIX = re.compile(r"[a-z][a-z0-9-]{3,30}")
_BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"


class AcceptError(RuntimeError):
    """Something stands in the way of the run, or is not as the story says."""


@dataclass(frozen=True)
class Aws:
    """An account and region, reached with the credentials of the shell.

    Everything made in it is called `prefix-…`, or, a key, described by `description`. `folder` is
    for what the CDK CLI writes.
    """

    prefix: str
    session: Any
    account: str
    region: str
    folder: Path

    @classmethod
    def of_the_shell(cls, prefix: str, folder: Path) -> Self:
        """Find out whose credentials these are; raises AcceptError without a region."""
        if not _PREFIX.fullmatch(prefix):
            raise AcceptError(f"the prefix {prefix!r} is none: give {_PREFIX.pattern}")
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        if session.region_name is None:
            raise AcceptError("no region: set AWS_REGION")
        account = str(session.client("sts").get_caller_identity()["Account"])
        return cls(prefix, session, account, session.region_name, folder)

    @property
    def description(self) -> str:
        """How the keys of this prefix are described, which is how they are found again."""
        return f"make accept of cdk-kinesis-stream-encryption, {self.prefix}"

    def client(self, service: str) -> Any:
        """A boto3 client for `service`."""
        return self.session.client(service)

    def name(self, part: str) -> str:
        """The name of one of the things that are made."""
        return f"{self.prefix}-{part}"

    def alias(self, part: str) -> str:
        """The name of an alias that is made."""
        return f"alias/{self.name(part)}"

    def process_environment(self) -> dict[str, str]:
        """The shell's environment with this project's tools and an explicit region."""
        path = [str(folders.NODE.parent), str(folders.VENV_BIN), os.environ.get("PATH", os.defpath)]
        region = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        return dict(os.environ) | region | {"PATH": os.pathsep.join(path)}

    def check_bootstrap(self) -> None:
        """Raise AcceptError unless account and region are bootstrapped for the CDK."""
        ssm = self.client("ssm")
        try:
            ssm.get_parameter(Name=_BOOTSTRAP)
        except ssm.exceptions.ParameterNotFound:
            target = f"aws://{self.account}/{self.region}"
            raise AcceptError(f"not bootstrapped for the CDK: cdk bootstrap {target}") from None

    def make_key(self) -> str:
        """Make a key and return its ARN, once KMS knows it."""
        kms = self.client("kms")
        key = str(kms.create_key(Description=self.description)["KeyMetadata"]["Arn"])
        until(lambda: asked(kms.describe_key, KeyId=key) == "accepted")
        return key

    def make_stream(self, part: str) -> str:
        """Make a stream in plaintext, wait until it is ACTIVE and return its name."""
        kinesis, name = self.client("kinesis"), self.name(part)
        kinesis.create_stream(StreamName=name, ShardCount=1)
        until(lambda: asked(kinesis.describe_stream_summary, StreamName=name) == "accepted")
        until(lambda: described(kinesis, name)["StreamStatus"] == "ACTIVE")
        return name


def described(kinesis: Any, stream: str) -> dict[str, Any]:
    """What DescribeStreamSummary shows of a stream."""
    found = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return dict(found)


def asked(call: Callable[..., Any], **parameters: Any) -> str:
    """Make a call and return "accepted", or the error's code and words."""
    try:
        call(**parameters)
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return "accepted"


def until(look: Callable[[], T], *, seconds: float = 900, pace: float = 1.0) -> T:
    """What `look` returns, once that is true; raises AcceptError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AcceptError(f"waited {seconds:g} s in vain")
        time.sleep(pace)
    return found
