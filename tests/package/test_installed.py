"""The installed wheel in the app of a user."""

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

USER_APP = """
import aws_cdk as cdk
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from kinesis_stream_encryption import KinesisStreamEncryption

app = cdk.App()
stack = cdk.Stack(app, "User")
arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/orders"
key = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
encryption = KinesisStreamEncryption(
    stack,
    "Encryption",
    stream=kinesis.Stream.from_stream_arn(stack, "Stream", arn),
    encryption_key=kms.Key.from_key_arn(stack, "Key", key),
    timeout=cdk.Duration.minutes(30),
)
cdk.CfnOutput(stack, "KeyArn", value=encryption.key_arn)
app.synth()
"""

INTEGRATIONS_APP = """
import aws_cdk as cdk
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_logs_destinations as logs_destinations
from kinesis_stream_encryption import KinesisStreamEncryption

app = cdk.App()
stack = cdk.Stack(app, "User")
arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/orders"
encryption = KinesisStreamEncryption(
    stack,
    "Encryption",
    stream=kinesis.Stream.from_stream_arn(stack, "Stream", arn),
    encryption_key=kms.Key(stack, "Key"),
)
function = lambda_.Function(
    stack,
    "Function",
    runtime=lambda_.Runtime.PYTHON_3_13,
    handler="index.handler",
    code=lambda_.Code.from_inline("def handler(event, context): ..."),
)
start = lambda_.StartingPosition.LATEST
function.add_event_source(event_sources.KinesisEventSource(encryption, starting_position=start))
encryption.apply_before(function)
events.Rule(
    stack,
    "Rule",
    event_pattern=events.EventPattern(source=["app"]),
    targets=[events_targets.KinesisStream(encryption)],
)
logs.SubscriptionFilter(
    stack,
    "Filter",
    log_group=logs.LogGroup(stack, "Group"),
    destination=logs_destinations.KinesisDestination(encryption),
    filter_pattern=logs.FilterPattern.all_events(),
)
cloudfront.RealtimeLogConfig(
    stack,
    "Log",
    end_points=[cloudfront.Endpoint.from_kinesis_stream(encryption)],
    fields=["timestamp"],
    sampling_rate=100,
)
app.synth()
"""


def in_folder(folder: Path, text: str) -> Path:
    app = folder / "user" / "app.py"
    app.parent.mkdir()
    app.write_text(text)
    return app


@pytest.fixture
def user_app(tmp_path: Path) -> Path:
    """An app outside the checkout."""
    return in_folder(tmp_path, USER_APP)


@pytest.fixture
def app_with_integrations(tmp_path: Path) -> Path:
    """An app that uses the stream as far as the oldest release of aws-cdk-lib can."""
    return in_folder(tmp_path, INTEGRATIONS_APP)


@pytest.fixture(scope="module")
def oldest(install: Install, requirements: dict[str, Requirement]) -> Path:
    """Python of an environment with the oldest releases that the wheel allows."""
    names = ("aws-cdk-lib", "constructs")
    return install(*(f"{name}=={floor(requirements[name])}" for name in names))


def synthesize(python: Path, app: Path, **environment: str) -> Path:
    out = app.parent / "cdk.out"
    shutil.rmtree(out, ignore_errors=True)
    run(python, app, CDK_OUTDIR=str(out), **environment)
    return out


def template(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "User.template.json").read_text())
    return found


def properties(out: Path) -> dict[str, Any]:
    """Properties of the resources of this library, by logical ID; CDK adds its own metadata."""
    types = ("Custom::", "AWS::IAM::", "AWS::Lambda::", "AWS::Logs::")
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template(out)["Resources"].items()
        if resource["Type"].startswith(types)
    }


def key_policies(out: Path) -> dict[str, Any]:
    """Policies that restrict the use of a key to a stream, by logical ID."""
    return {
        id_: resource["Properties"]
        for id_, resource in template(out)["Resources"].items()
        if resource["Type"] == "AWS::IAM::Policy" and "kms:EncryptionContext" in str(resource)
    }


def asset(out: Path) -> Path:
    (folder,) = out.glob("asset.*")
    return folder


def other_pythons() -> list[str]:
    """Other Python versions on this machine: on the path, or next to this one."""
    found = []
    for minor in range(11, 15):
        name = f"python3.{minor}"
        beside = Path(sys.base_prefix).parent.glob(f"*/bin/{name}")
        candidates = [shutil.which(name), *map(str, beside)]
        # A version manager may put commands on the path for versions that are not installed.
        works = (each for each in candidates if each and has_venv(each))
        if sys.version_info.minor != minor and (working := next(works, None)):
            found.append(working)
    return found


def has_venv(python: str) -> bool:
    done = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False)
    return done.returncode == 0


def test_asset_is_that_of_the_checkout(alone: Path, user_app: Path, tmp_path: Path) -> None:
    """The same files with the same hash, from the checkout and from the wheel."""
    app = App(outdir=str(tmp_path / "checkout"))
    KinesisStreamEncryptionProvider(Stack(app, "Stack"), "Provider")
    app.synth()
    installed = asset(synthesize(Path(sys.executable), user_app, PYTHONPATH=str(alone)))
    checkout = asset(tmp_path / "checkout")
    assert installed.name == checkout.name
    files = {path.relative_to(installed) for path in installed.rglob("*.py")}
    assert files == {path.relative_to(checkout) for path in checkout.rglob("*.py")}
    assert {path.parts[0] for path in files} == {"stream_encryption", "crhelper"}


@pytest.mark.release
class TestEmptyEnvironment:
    def test_with_the_newest_releases(self, newest: Path, user_app: Path) -> None:
        out = synthesize(newest, user_app)
        types = [each["Type"] for each in template(out)["Resources"].values()]
        assert types.count("Custom::KinesisStreamEncryption") == 1

    def test_with_the_oldest_releases(self, oldest: Path, newest: Path, user_app: Path) -> None:
        expected = properties(synthesize(newest, user_app))
        assert expected
        assert properties(synthesize(oldest, user_app)) == expected

    def test_integrations_with_the_oldest_releases(
        self, oldest: Path, newest: Path, app_with_integrations: Path
    ) -> None:
        """The rest of what CDK makes for them differs from release to release."""
        expected = key_policies(synthesize(newest, app_with_integrations))
        assert len(expected) == 4
        assert key_policies(synthesize(oldest, app_with_integrations)) == expected

    @pytest.mark.parametrize("python", other_pythons(), ids=lambda python: Path(python).name)
    def test_with_other_pythons(
        self, install: Install, newest: Path, user_app: Path, python: str
    ) -> None:
        expected = template(synthesize(newest, user_app))
        assert template(synthesize(install(python=python), user_app)) == expected

    def test_is_typed(self, newest: Path, user_app: Path) -> None:
        """A type checker finds the types of this library; those of the CDK take minutes."""
        config = user_app.with_name("mypy.ini")
        config.write_text("[mypy]\nstrict = True\n[mypy-aws_cdk.*]\nfollow_imports = skip\n")
        user_app.write_text(f"{USER_APP}reveal_type(encryption.key_arn)\n")
        output = run(
            *(sys.executable, "-m", "mypy", "--config-file", config, "--cache-dir", "/dev/null"),
            *("--python-executable", newest, user_app),
        )
        assert 'Revealed type is "str"' in output.replace("builtins.", "")

    def test_examples_work_with_it(self, newest: Path, tmp_path: Path) -> None:
        for example in (CHECKOUT / "examples").glob("*.py"):
            run(newest, example, CDK_OUTDIR=str(tmp_path / example.stem))
            assert list((tmp_path / example.stem).glob("*.template.json"))


def floor(requirement: Requirement) -> str:
    """The oldest release that a requirement allows."""
    bounds = {each.operator: each.version for each in requirement.specifier}
    return bounds[">="]
