"""`make accept PROBE=1` on the local AWS, and its cleanup."""

import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from local_aws import LocalAws
from tests.local_aws.accepting import accept, rows, run
from tests.local_aws.observing import until

PREFIX = "accept-test"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    """A local AWS with fast changes, because a run makes many of them."""
    with LocalAws(updating=timedelta(seconds=1.2)) as aws:
        yield aws


def remaining(aws: LocalAws) -> tuple[list[str], list[str], list[str]]:
    """Return the streams, aliases, and enabled keys with the prefix."""
    kms = aws.client("kms")
    streams = aws.client("kinesis").list_streams()["StreamNames"]
    aliases = [alias["AliasName"] for alias in kms.list_aliases()["Aliases"]]
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    return (
        [name for name in streams if name.startswith(PREFIX)],
        [name for name in aliases if PREFIX in name],
        [key["KeyId"] for key in keys if PREFIX in key["Description"] and key["Enabled"]],
    )


def test_probe_reports_differences_from_the_assumptions(aws: LocalAws, tmp_path: Path) -> None:
    options = ("--probe", "--quota", "--yes", "--prefix", PREFIX)
    status, output = run(aws, tmp_path, *options, trust_emulators=True)

    results = rows(tmp_path)
    different = [name for name, row in results.items() if row["verdict"] == "DIFFERENT"]
    assert (status, bool(different)) == (1, True), output
    assert f"not as assumed: {', '.join(different)}" in output
    not_shown = json.loads(Path(aws.environment()["ACCEPT_NOT_SHOWN"]).read_text())
    assert {*different} <= not_shown.keys()
    assert results["same-key"]["observed"] == "accepted, then UPDATING"
    assert results["start-while-updating"]["observed"].startswith("ResourceInUseException")
    assert results["updating-type"]["observed"] == "KMS"
    assert results["quota-message"]["observed"] == "30 changes were accepted and none was rejected"
    assert (tmp_path / "report.md").read_text().splitlines()[4:] == [
        line for line in output.splitlines() if line.startswith("|")
    ]
    assert remaining(aws) == ([], [], [])


def test_no_resource_is_created_without_confirmation(aws: LocalAws, tmp_path: Path) -> None:
    status, output = run(aws, tmp_path, "--probe", "--prefix", PREFIX)

    assert status == 1
    assert f"{PREFIX}-probe" in output
    assert "0.10 USD" in output
    assert remaining(aws) == ([], [], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_interrupted_run_cleans_up(aws: LocalAws, tmp_path: Path, number: signal.Signals) -> None:
    process = accept(aws, tmp_path, "--probe", "--yes", "--prefix", PREFIX)
    until(lambda: all(remaining(aws)))
    process.send_signal(number)

    output, _ = process.communicate()
    assert process.returncode == 128 + number, output
    assert rows(tmp_path)["deleted-key"]["verdict"] == "not checked"
    assert remaining(aws) == ([], [], [])


def test_clean_removes_the_resources_of_a_killed_run_by_prefix(
    aws: LocalAws, tmp_path: Path
) -> None:
    process = accept(aws, tmp_path, "--probe", "--yes", "--prefix", PREFIX)
    until(lambda: all(remaining(aws)))
    process.kill()
    process.communicate()
    streams, aliases, keys = remaining(aws)

    rejected, output = run(aws, tmp_path, "--probe", "--yes", "--prefix", PREFIX)
    assert (rejected, f"CLEAN={PREFIX}" in output) == (1, True), output
    unchanged, output = run(aws, tmp_path, "--clean", PREFIX[:-1], "--yes")
    assert (unchanged, remaining(aws)) == (0, (streams, aliases, keys)), output
    unconfirmed, output = run(aws, tmp_path, "--clean", PREFIX)
    assert (unconfirmed, remaining(aws)) == (1, (streams, aliases, keys)), output

    cleaned, output = run(aws, tmp_path, "--clean", PREFIX, "--yes")
    assert cleaned == 0, output
    assert all(name in output for name in streams + keys)
    assert remaining(aws) == ([], [], [])


def test_run_requires_a_bootstrapped_environment_and_does_not_bootstrap(
    aws: LocalAws, tmp_path: Path
) -> None:
    status, output = run(aws, tmp_path, "--yes", "--prefix", PREFIX)

    assert status == 1
    assert f"cdk bootstrap aws://{aws.account}/{aws.region}" in output
    assert aws.client("cloudformation").list_stacks()["StackSummaries"] == []
    assert remaining(aws) == ([], [], [])
