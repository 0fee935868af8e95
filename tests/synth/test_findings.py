"""What cdk-nag and cfn-lint find: nothing that is not accepted, with a reason, where it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cdk_nag
import pytest
from aws_cdk import App, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider
from tests.synth.cloud import HERE, stream_in

PACKS: list[Callable[[App], cdk_nag.NagPack]] = [
    cdk_nag.AwsSolutionsChecks,
    cdk_nag.ServerlessChecks,
    cdk_nag.NIST80053R5Checks,
    cdk_nag.HIPAASecurityChecks,
    cdk_nag.PCIDSS321Checks,
]


def declare(stack: Stack, **options: Any) -> None:
    """Every kind of stream, key and wait on one provider."""
    KinesisStreamEncryptionProvider.get_or_create(stack, **options)
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd")
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/orders")
    KinesisStreamEncryption(stack, "Default", stream=stream_in(stack, "default"))
    KinesisStreamEncryption(
        stack, "WithKey", stream=stream_in(stack, "with-key"), encryption_key=key
    )
    KinesisStreamEncryption(
        stack,
        "WithAlias",
        stream=stream_in(stack, "with-alias"),
        encryption_key=alias,
        timeout=Duration.minutes(30),
    )
    KinesisStreamEncryption(
        stack,
        "Restored",
        stream=stream_in(stack, "restored"),
        encryption_key=alias,
        removal_policy=RemovalPolicy.DESTROY,
    )


def plain(app: App) -> None:
    declare(Stack(app, "Stack", env=HERE))


def for_any_account(app: App) -> None:
    declare(Stack(app, "Stack"))


def shared(app: App) -> None:
    stack, other = Stack(app, "Stack", env=HERE), Stack(app, "Other", env=HERE)
    declare(stack)
    KinesisStreamEncryption(
        other,
        "Encryption",
        stream=stream_in(other),
        provider=KinesisStreamEncryptionProvider.get_or_create(stack),
    )


def in_a_vpc(app: App) -> None:
    stack = Stack(app, "Stack", env=HERE)
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-central-1a"],
        private_subnet_ids=["subnet-0123456789abcdef0"],
    )
    declare(stack, vpc=vpc, tracing=lambda_.Tracing.ACTIVE)


def with_a_role(app: App) -> None:
    stack = Stack(app, "Stack", env=HERE)
    arn = "arn:aws:iam::111122223333:role/encryption"
    declare(stack, role=iam.Role.from_role_arn(stack, "Role", arn))


APPS = [plain, for_any_account, shared, in_a_vpc, with_a_role]


def findings(app: App) -> list[str]:
    """Rules that cdk-nag reports, with the constructs they are about."""
    Validations.of(app).add_plugins(*(pack(app) for pack in PACKS))
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


@pytest.mark.parametrize("declare_app", APPS)
def test_nothing_is_found(tmp_path: Path, declare_app: Any) -> None:
    app = App(outdir=str(tmp_path / "out"))
    declare_app(app)
    assert findings(app) == []


def test_findings_would_be_found(tmp_path: Path) -> None:
    """The packs do look: something that nobody has accepted is reported."""
    app = App(outdir=str(tmp_path / "out"))
    stack = Stack(app, "Stack", env=HERE)
    declare(stack)
    role = iam.Role(stack, "Open", assumed_by=iam.AccountRootPrincipal())
    role.add_to_policy(iam.PolicyStatement(actions=["s3:*"], resources=["*"]))
    found = findings(app)
    for pack in ("AwsSolutions", "NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321"):
        assert any(each.startswith(pack) for each in found), pack
    assert all("/Open/" in each for each in found)


def test_each_acceptance_has_a_reason_and_is_about_one_resource(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"))
    plain(app)
    stack = app.node.find_child("Stack")
    accepted = [
        (construct.node.path, entry.data)
        for construct in app.node.find_all()
        for entry in construct.node.metadata
        if "acknowledge" in entry.type
    ]
    assert accepted
    assert not [path for path, _ in accepted if path in ("", stack.node.path)]
    for _, data in accepted:
        assert all(len(reason) > 20 for reason in dict(data).values()), data


@pytest.mark.parametrize("declare_app", APPS)
def test_cfn_lint_finds_nothing(tmp_path: Path, declare_app: Any) -> None:
    app = App(outdir=str(tmp_path / "out"))
    declare_app(app)
    app.synth()
    templates = [str(path) for path in (tmp_path / "out").glob("*.template.json")]
    # W3005: aws-cdk-lib has every function depend on its role, which the function names anyway.
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W3005", "--"]
    done = subprocess.run([*command, *templates], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
