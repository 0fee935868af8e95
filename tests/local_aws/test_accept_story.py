"""`make accept` on the local AWS, except the quota."""

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
def test_emulators_match_the_assumptions_that_they_can_show(
    local_aws: LocalAws, tmp_path: Path
) -> None:
    status, output = run(local_aws, tmp_path, "--yes", "--prefix", PREFIX)

    results = rows(tmp_path)
    assert status == 0, output
    assert results.keys() == assumptions.ALL.keys() - assumptions.QUOTA.keys()
    assert {row["verdict"] for row in results.values()} == {"as assumed", "not shown here"}
    # These rows must be checked, whatever the harness lists as not shown.
    for row in (*assumptions.SCENARIO, "continuation", "event-rollback"):
        assert results[row]["verdict"] == "as assumed"
    for row in assumptions.PERMISSIONS:
        assert results[row]["observed"] == "a call without any permission: accepted"
    assert local_aws.account not in (tmp_path / "report.md").read_text()


def test_run_leaves_no_resources(local_aws: LocalAws, tmp_path: Path) -> None:
    status, output = run(local_aws, tmp_path, "--clean", PREFIX)

    assert (status, output) == (0, "nothing to remove\n")
    stacks = local_aws.client("cloudformation").list_stacks()["StackSummaries"]
    existing = [stack for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"]
    assert [stack["StackName"] for stack in existing if PREFIX in stack["StackName"]] == []
    groups = local_aws.client("logs").describe_log_groups()["logGroups"]
    assert [group["logGroupName"] for group in groups if PREFIX in group["logGroupName"]] == []
    roles = local_aws.client("iam").list_roles()["Roles"]
    assert [role["RoleName"] for role in roles if PREFIX in role["RoleName"]] == []


def test_denials_are_evaluated_if_iam_is_enforced(
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
    # The emulator does not check permissions on the key, so the run must report a difference.
    assert report.rows["permissions-key"]["verdict"] == "DIFFERENT"
