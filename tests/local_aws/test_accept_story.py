"""All of `make accept` but the quota, against the local AWS."""

from pathlib import Path

import pytest

from acceptance import assumptions, resources
from acceptance.aws import Aws
from acceptance.permissions import check_permissions
from acceptance.report import Report
from local_aws import LocalAws
from tests.local_aws.accepting import rows, run

PREFIX = "accept-story"


@pytest.mark.timeout(900)
def test_all_that_the_emulators_can_show_is_as_assumed(local_aws: LocalAws, tmp_path: Path) -> None:
    status, output = run(local_aws, tmp_path, "--yes", "--prefix", PREFIX)

    answers = rows(tmp_path)
    assert status == 0, output
    assert answers.keys() == assumptions.ALL.keys() - assumptions.QUOTA.keys()
    assert {row["verdict"] for row in answers.values()} == {"as assumed", "not shown here"}
    # Seen on the way, not taken from what the harness says that it cannot show.
    for row in (*assumptions.SCENARIO, "continuation", "event-rollback"):
        assert answers[row]["verdict"] == "as assumed"
    for row in assumptions.PERMISSIONS:
        assert answers[row]["observed"] == "a call without any permission: accepted"
    assert local_aws.account not in (tmp_path / "report.md").read_text()


def test_nothing_is_left(local_aws: LocalAws, tmp_path: Path) -> None:
    status, output = run(local_aws, tmp_path, "--clean", PREFIX)

    assert (status, output) == (0, "nothing to remove\n")
    stacks = local_aws.client("cloudformation").list_stacks()["StackSummaries"]
    living = [stack for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"]
    assert [stack["StackName"] for stack in living if PREFIX in stack["StackName"]] == []
    groups = local_aws.client("logs").describe_log_groups()["logGroups"]
    assert [group["logGroupName"] for group in groups if PREFIX in group["logGroupName"]] == []
    roles = local_aws.client("iam").list_roles()["Roles"]
    assert [role["RoleName"] for role in roles if PREFIX in role["RoleName"]] == []


def test_a_denial_is_believed_where_rights_are_checked(
    local_aws_iam: LocalAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in local_aws_iam.process_environment().items():
        monkeypatch.setenv(name, value)
    aws = Aws.from_shell(PREFIX, tmp_path)
    report = Report("", aws.account, {}, print)
    report.expect(assumptions.PERMISSIONS)
    try:
        check_permissions(aws, report)
    finally:
        resources.remove(aws, print)

    assert report.rows["permissions-both"]["verdict"] == "as assumed"
    assert report.rows["permissions-stream"]["verdict"] == "as assumed"
    assert "kinesis:StartStreamEncryption" in report.rows["permissions-stream"]["observed"]
    # The emulator asks for no right to the key, so that this test would show if it were the other
    # way round.
    assert report.rows["permissions-key"]["verdict"] == "DIFFERENT"
