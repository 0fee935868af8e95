"""The installed wheel in the app of somebody else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from packaging.requirements import Requirement

from kinesis_stream_encryption import KinesisStreamEncryptionProvider
from tests.package.conftest import CHECKOUT, Install, run

FOREIGN_APP = """
import aws_cdk as cdk
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from kinesis_stream_encryption import EnforceStreamEncryption, KinesisStreamEncryption

app = cdk.App()
stack = cdk.Stack(app, "Foreign")
arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/orders"
stream = kinesis.Stream.from_stream_arn(stack, "Stream", arn)
encryption = KinesisStreamEncryption(
    stack,
    "Encryption",
    stream=stream,
    encryption_key=kms.Key(stack, "Key"),
    removal_policy=cdk.RemovalPolicy.DESTROY,
    timeout=cdk.Duration.minutes(30),
)
cdk.CfnOutput(stack, "KeyArn", value=encryption.key_arn)
cdk.Aspects.of(app).add(EnforceStreamEncryption())
app.synth()
"""


@pytest.fixture
def foreign_app(tmp_path: Path) -> Path:
    """An app outside the checkout."""
    app = tmp_path / "foreign" / "app.py"
    app.parent.mkdir()
    app.write_text(FOREIGN_APP)
    return app


def synthesize(python: Path, app: Path) -> Path:
    out = app.parent / "cdk.out"
    run(python, app, CDK_OUTDIR=str(out))
    return out


def template(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "Foreign.template.json").read_text())
    return found


def asset(out: Path) -> Path:
    (folder,) = out.glob("asset.*")
    return folder


def other_pythons() -> list[str]:
    """Further versions of Python that this machine has: on the path, or beside this one."""
    found: dict[int, str] = {}
    for minor in range(11, 15):
        name = f"python3.{minor}"
        beside = Path(sys.base_prefix).parent.glob(f"*/bin/{name}")
        for python in [shutil.which(name), *map(str, beside)]:
            # What is on the path may be a version manager's stand-in for one that is not there.
            if python and sys.version_info.minor != minor and _works(python):
                found[minor] = python
    return list(found.values())


def _works(python: str) -> bool:
    done = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False)
    return done.returncode == 0


def test_synthesizes_with_the_newest_releases(newest: Path, foreign_app: Path) -> None:
    types = [
        each["Type"] for each in template(synthesize(newest, foreign_app))["Resources"].values()
    ]
    assert types.count("Custom::KinesisStreamEncryption") == 1


def test_synthesizes_with_the_oldest_aws_cdk_lib(
    install: Install, requirements: dict[str, Requirement], newest: Path, foreign_app: Path
) -> None:
    bounds = {each.operator: each.version for each in requirements["aws-cdk-lib"].specifier}
    oldest = install(f"aws-cdk-lib=={bounds['>=']}")
    expected = template(synthesize(newest, foreign_app))["Resources"]
    shutil.rmtree(foreign_app.parent / "cdk.out")
    found = template(synthesize(oldest, foreign_app))["Resources"]
    ours = ("Custom::", "AWS::IAM::", "AWS::Lambda::", "AWS::Logs::")
    for id_, resource in expected.items():
        if resource["Type"].startswith(ours):
            assert found[id_]["Properties"] == resource["Properties"]


@pytest.mark.parametrize("python", other_pythons(), ids=lambda python: Path(python).name)
def test_synthesizes_with_other_pythons(
    install: Install, newest: Path, foreign_app: Path, python: str
) -> None:
    expected = template(synthesize(newest, foreign_app))
    shutil.rmtree(foreign_app.parent / "cdk.out")
    assert template(synthesize(install(python=python), foreign_app)) == expected


def test_asset_is_the_checkouts(newest: Path, foreign_app: Path, tmp_path: Path) -> None:
    """The same files under the same hash, wherever the handler is found."""
    app = App(outdir=str(tmp_path / "checkout"))
    KinesisStreamEncryptionProvider(Stack(app, "Stack"), "Provider")
    app.synth()
    installed = asset(synthesize(newest, foreign_app))
    checkout = asset(tmp_path / "checkout")
    assert installed.name == checkout.name
    files = {path.relative_to(installed) for path in installed.rglob("*.py")}
    assert files == {path.relative_to(checkout) for path in checkout.rglob("*.py")}
    assert {path.parts[0] for path in files} == {"stream_encryption", "crhelper"}


def test_is_typed(newest: Path, foreign_app: Path) -> None:
    run(
        sys.executable,
        *("-m", "mypy", "--strict", "--no-incremental", "--cache-dir", "/dev/null"),
        *("--python-executable", newest, foreign_app),
    )


def test_examples_work_with_it(newest: Path, tmp_path: Path) -> None:
    for example in (CHECKOUT / "examples").glob("*.py"):
        run(newest, example, CDK_OUTDIR=str(tmp_path / example.stem))
        assert list((tmp_path / example.stem).glob("*.template.json"))
