"""Findings of cdk-nag and cfn-lint."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cdk_nag
import pytest
from aws_cdk import App, Duration, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.templates import ACCOUNT, HERE, KEY_ARN, encrypt, imported_vpc, stream_in

SOLUTIONS = [cdk_nag.AwsSolutionsChecks]
PACKS: list[Callable[[App], cdk_nag.NagPack]] = [
    *SOLUTIONS,
    cdk_nag.ServerlessChecks,
    cdk_nag.NIST80053R5Checks,
    cdk_nag.HIPAASecurityChecks,
    cdk_nag.PCIDSS321Checks,
]


def declare(stack: Stack, **options: Any) -> None:
    """Two streams on one provider: an imported key, and a key of the app with a long timeout."""
    KinesisStreamEncryptionProvider(stack, "Provider", **options)
    encrypt(
        stack,
        "Imported",
        stream=stream_in(stack, "imported"),
        encryption_key=kms.Key.from_key_arn(stack, "Key", KEY_ARN),
    )
    encrypt(
        stack,
        "Owned",
        stream=stream_in(stack, "owned"),
        encryption_key=kms.Key(stack, "OwnKey", enable_key_rotation=True),
        timeout=Duration.minutes(30),
    )


def plain(app: App) -> None:
    declare(Stack(app, "Stack", env=HERE))


def for_any_account(app: App) -> None:
    declare(Stack(app, "Stack"))


def with_a_role(app: App) -> None:
    stack = Stack(app, "Stack", env=HERE)
    arn = f"arn:aws:iam::{ACCOUNT}:role/encryption"
    declare(stack, role=iam.Role.from_role_arn(stack, "Role", arn))


def for_many_streams(app: App) -> None:
    stack = Stack(app, "Stack", env=HERE)
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    for number in range(120):
        encrypt(
            stack,
            f"Encryption{number}",
            stream=stream_in(stack, f"stream-{number}".ljust(100, "x")),
            encryption_key=key,
        )


def in_a_vpc(app: App) -> None:
    stack = Stack(app, "Stack", env=HERE)
    declare(stack, vpc=imported_vpc(stack), tracing=lambda_.Tracing.ACTIVE)


def with_aliases(app: App) -> None:
    stack = Stack(app, "Stack", env=HERE)
    KinesisStreamEncryption(stack, "Default", stream=stream_in(stack, "default"))
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/orders")
    encrypt(stack, "Alias1", encryption_key=alias)


CLEAN = [plain, for_any_account, with_a_role, for_many_streams]
APPS = [*CLEAN, in_a_vpc, with_aliases]


def findings(app: App, packs: Sequence[Callable[[App], cdk_nag.NagPack]]) -> list[str]:
    """Rules that cdk-nag reports, with the paths of the constructs."""
    Validations.of(app).add_plugins(*(pack(app) for pack in packs))
    folder = Path(app.outdir)
    try:
        app.synth()
    except RuntimeError as failure:
        if "ValidationFailed" not in str(failure):
            raise
    report = json.loads((folder / "validation-report.json").read_text())
    return [
        f"{violation['ruleName']} at {construct['constructPath']}"
        for pack in report["pluginReports"]
        for violation in pack["violations"]
        for construct in violation["violatingConstructs"]
    ]


@pytest.mark.parametrize("declare_app", CLEAN)
def test_aws_solutions_reports_nothing_if_key_arns_are_known(
    tmp_path: Path, declare_app: Callable[[App], None]
) -> None:
    app = App(outdir=str(tmp_path / "out"))
    declare_app(app)
    assert findings(app, SOLUTIONS) == []


@pytest.mark.parametrize("declare_app", [in_a_vpc, with_aliases])
def test_aws_solutions_reports_only_unavoidable_wildcards(
    tmp_path: Path, declare_app: Callable[[App], None]
) -> None:
    app = App(outdir=str(tmp_path / "out"))
    declare_app(app)
    found = findings(app, SOLUTIONS)
    assert found
    assert all(each.startswith("AwsSolutions-IAM5[") for each in found)


def test_an_older_runtime_is_reported(tmp_path: Path) -> None:
    """The default runtime prevents this finding."""
    app = App(outdir=str(tmp_path / "out"))
    declare(Stack(app, "Stack", env=HERE), runtime=lambda_.Runtime.PYTHON_3_13)
    assert "AwsSolutions-L1 at Stack/Provider/Function/Resource" in findings(app, SOLUTIONS)


def test_findings_of_other_packs_are_documented(tmp_path: Path) -> None:
    """The library suppresses no finding; users decide."""
    app = App(outdir=str(tmp_path / "out"))
    plain(app)
    found = {each.split(" at ")[0].split("-", 1)[1] for each in findings(app, PACKS)}
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    section = page.split("that cdk-nag reports")[1]
    assert found == set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) - {"IAM5"}


def test_the_library_suppresses_no_finding(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"))
    plain(app)
    types = {entry.type for each in app.node.find_all() for entry in each.node.metadata}
    assert not {each for each in types if "acknowledge" in each}


@pytest.mark.parametrize("declare_app", APPS)
def test_cfn_lint_reports_nothing(tmp_path: Path, declare_app: Any) -> None:
    app = App(outdir=str(tmp_path / "out"))
    declare_app(app)
    app.synth()
    templates = [str(path) for path in (tmp_path / "out").glob("*.template.json")]
    # W3005: aws-cdk-lib adds a redundant dependency of each function on its role.
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W3005", "--"]
    done = subprocess.run([*command, *templates], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
