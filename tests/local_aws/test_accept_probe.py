"""`make accept PROBE=1` against the local AWS, and how it cleans up."""

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
    """One whose changes take less time: accept makes many."""
    with LocalAws(updating=timedelta(seconds=1.2)) as aws:
        yield aws


def left(aws: LocalAws) -> tuple[list[str], list[str], list[str]]:
    """Streams, aliases and usable keys of the prefix."""
    kms = aws.client("kms")
    streams = aws.client("kinesis").list_streams()["StreamNames"]
    aliases = [alias["AliasName"] for alias in kms.list_aliases()["Aliases"]]
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    return (
        [name for name in streams if name.startswith(PREFIX)],
        [name for name in aliases if PREFIX in name],
        [key["KeyId"] for key in keys if PREFIX in key["Description"] and key["Enabled"]],
    )


def test_probe_tells_what_is_not_as_assumed(aws: LocalAws, tmp_path: Path) -> None:
    options = ("--probe", "--quota", "--yes", "--prefix", PREFIX)
    status, output = run(aws, tmp_path, *options, believing=True)

    answers = rows(tmp_path)
    different = [name for name, row in answers.items() if row["verdict"] == "DIFFERENT"]
    assert (status, bool(different)) == (1, True), output
    assert f"not as assumed: {', '.join(different)}" in output
    not_shown = json.loads(Path(aws.environment()["ACCEPT_NOT_SHOWN"]).read_text())
    assert {*different} <= not_shown.keys()
    assert answers["same-key"]["observed"] == "accepted, then UPDATING"
    assert answers["start-while-updating"]["observed"].startswith("ResourceInUseException")
    assert answers["updating-type"]["observed"] == "KMS"
    assert answers["quota-message"]["observed"] == "30 changes were accepted and none was rejected"
    assert (tmp_path / "report.md").read_text().splitlines()[4:] == [
        line for line in output.splitlines() if line.startswith("|")
    ]
    assert left(aws) == ([], [], [])


def test_nothing_is_made_unless_it_is_agreed_to(aws: LocalAws, tmp_path: Path) -> None:
    status, output = run(aws, tmp_path, "--probe", "--prefix", PREFIX)

    assert status == 1
    assert f"{PREFIX}-probe" in output
    assert "0.10 USD" in output
    assert left(aws) == ([], [], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_an_interrupted_run_cleans_up(
    aws: LocalAws, tmp_path: Path, number: signal.Signals
) -> None:
    process = accept(aws, tmp_path, "--probe", "--yes", "--prefix", PREFIX)
    until(lambda: all(left(aws)))
    process.send_signal(number)

    output, _ = process.communicate()
    assert process.returncode == 128 + number, output
    assert rows(tmp_path)["deleted-key"]["verdict"] == "not checked"
    assert left(aws) == ([], [], [])


def test_what_a_killed_run_left_is_removed_by_its_prefix(aws: LocalAws, tmp_path: Path) -> None:
    process = accept(aws, tmp_path, "--probe", "--yes", "--prefix", PREFIX)
    until(lambda: all(left(aws)))
    process.kill()
    process.communicate()
    streams, aliases, keys = left(aws)

    refused, output = run(aws, tmp_path, "--probe", "--yes", "--prefix", PREFIX)
    assert (refused, f"CLEAN={PREFIX}" in output) == (1, True), output
    unchanged, output = run(aws, tmp_path, "--clean", PREFIX[:-1], "--yes")
    assert (unchanged, left(aws)) == (0, (streams, aliases, keys)), output
    asked, output = run(aws, tmp_path, "--clean", PREFIX)
    assert (asked, left(aws)) == (1, (streams, aliases, keys)), output

    cleaned, output = run(aws, tmp_path, "--clean", PREFIX, "--yes")
    assert cleaned == 0, output
    assert all(name in output for name in streams + keys)
    assert left(aws) == ([], [], [])


def test_the_story_needs_the_cdk_bootstrap_and_makes_none(aws: LocalAws, tmp_path: Path) -> None:
    status, output = run(aws, tmp_path, "--yes", "--prefix", PREFIX)

    assert status == 1
    assert f"cdk bootstrap aws://{aws.account}/{aws.region}" in output
    assert aws.client("cloudformation").list_stacks()["StackSummaries"] == []
    assert left(aws) == ([], [], [])
