"""The function of `make template`, and a stack of another template that uses it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.exceptions import WaiterError

from local_aws import LocalAws, folders
from local_aws.process import run
from tests.local_aws.deployment import destroy, encryption, make_key
from tests.local_aws.template import Written

pytestmark = pytest.mark.timeout(300)

BUCKETS = "deployments"


@pytest.fixture(scope="module")
def documented_template() -> str:
    """The CloudFormation template in docs/other-languages.md."""
    page = (folders.PROJECT / "docs" / "other-languages.md").read_text()
    (template,) = re.findall(r"```yaml\n(.+?)```", page, re.DOTALL)
    return str(template)


class Stacks:
    """Stacks that are created with the CloudFormation API."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws, self.cloudformation = aws, aws.client("cloudformation")
        self.names: list[str] = []

    def put(self, name: str, template: str, **parameters: str) -> dict[str, str]:
        """Create or update a stack, and return its outputs."""
        kind = "update" if name in self.names else "create"
        getattr(self.cloudformation, f"{kind}_stack")(
            StackName=name,
            TemplateBody=template,
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
        )
        if kind == "create":
            self.names.append(name)
        self.cloudformation.get_waiter(f"stack_{kind}_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
        (stack,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}

    def delete(self, name: str) -> None:
        self.names.remove(name)
        destroy(self.aws, name)

    def reason(self, name: str) -> str:
        """Return the first failure reason of a stack."""
        events = self.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        failed = [each for each in events if each["ResourceStatus"].endswith("_FAILED")]
        return str(failed[-1]["ResourceStatusReason"])


@dataclass
class Account:
    """An account with the stream and the key of the documented template.

    Attributes
    ----------
    consumer
        The documented template with the key ARN instead of the alias, because the emulator checks
        permissions on the alias ARN.
    """

    aws: LocalAws
    stacks: Stacks
    key: str
    consumer: str

    def encryption(self) -> tuple[str, str, str | None]:
        return encryption(self.aws, "orders")

    def upload(self, code: Path, key: str) -> None:
        """Upload the code to the bucket that the template for StackSets reads."""
        s3, bucket = self.aws.client("s3"), f"{BUCKETS}-{self.aws.region}"
        location = {"LocationConstraint": self.aws.region}
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        s3.upload_file(str(code), bucket, key)

    def provide(self, template: str, streams: str = "stream/orders*", **parameters: str) -> None:
        """Deploy the function."""
        self.stacks.put(
            "provider",
            template,
            AllowedStreams=f"arn:aws:kinesis:*:{self.aws.account}:{streams}",
            AllowedKeys=f"arn:aws:kms:*:{self.aws.account}:key/*",
            **parameters,
        )


@pytest.fixture
def account(local_aws_iam: LocalAws, documented_template: str) -> Iterator[Account]:
    aws, kinesis, kms = local_aws_iam, local_aws_iam.client("kinesis"), local_aws_iam.client("kms")
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="orders", WaiterConfig={"Delay": 1})
    key = make_key(aws)
    kms.create_alias(AliasName="alias/orders", TargetKeyId=key)
    stacks = Stacks(aws)
    yield Account(aws, stacks, key, documented_template.replace("alias/orders", key))
    for name in reversed(stacks.names):
        stacks.delete(name)
    kms.delete_alias(AliasName="alias/orders")
    kinesis.delete_stream(StreamName="orders")


def test_stack_of_another_template_encrypts_its_stream(
    account: Account, written: Written, documented_template: str
) -> None:
    account.upload(written.archive, written.key)
    account.provide(written.template, CodeBucketPrefix=BUCKETS)

    account.stacks.put("consumer", documented_template)
    assert account.encryption()[:2] == ("ACTIVE", "KMS")

    outputs = account.stacks.put("consumer", account.consumer)
    assert outputs["KeyArn"] == account.key
    assert account.encryption() == ("ACTIVE", "KMS", account.key)

    account.stacks.delete("consumer")
    assert account.encryption() == ("ACTIVE", "KMS", account.key)


@pytest.mark.release
def test_stream_that_is_not_allowed_is_not_modified(account: Account, written: Written) -> None:
    """For releases only: the handler retries a denial for a minute, as IAM policies propagate."""
    account.upload(written.archive, written.key)
    account.provide(written.template, streams="stream/others*", CodeBucketPrefix=BUCKETS)
    with pytest.raises(WaiterError):
        account.stacks.put("consumer", account.consumer)
    reason = account.stacks.reason("consumer")
    assert "Access denied to kinesis:DescribeStreamSummary" in reason
    assert account.encryption()[1] == "NONE"


@pytest.mark.release
def test_aws_cli_packages_the_template(account: Account, written: Written, tmp_path: Path) -> None:
    tools, packaged = tmp_path / "tools", tmp_path / "packaged.yaml"
    subprocess.run([sys.executable, "-m", "venv", tools], check=True)
    pip = f"{tools}/bin/pip"
    subprocess.run([pip, "install", "--quiet", "awscli"], check=True)
    account.aws.client("s3").create_bucket(
        Bucket="code", CreateBucketConfiguration={"LocationConstraint": account.aws.region}
    )
    result = run(
        [
            *(str(tools / "bin" / "aws"), "cloudformation", "package", "--s3-bucket", "code"),
            *("--template-file", str(written.folder / "provider.yaml")),
            *("--output-template-file", str(packaged)),
        ],
        environment=account.aws.process_environment(),
        folder=tmp_path,
        seconds=120,
    )
    assert result.exit_code == 0, result.output
    account.provide(packaged.read_text())
    account.stacks.put("consumer", account.consumer)
    assert account.encryption() == ("ACTIVE", "KMS", account.key)
