"""Which permissions StartStreamEncryption needs.

Each call uses a session policy with only the permissions under test: unlike a role policy, a
session policy takes effect immediately. A denial counts only if the same call succeeds with all
permissions; nothing counts if a call without any permission succeeds.
"""

import json
from itertools import cycle
from typing import Any

import boto3
from botocore.exceptions import ClientError

from acceptance.assumptions import PERMISSIONS
from acceptance.aws import ACCEPTED, AcceptError, Aws, describe, result_of, until
from acceptance.report import Report
from acceptance.resources import ROLE

_START = "kinesis:StartStreamEncryption"
_PROPAGATION = 120.0


def check_permissions(aws: Aws, report: Report) -> None:
    """Set all rows of `assumptions.PERMISSIONS`."""
    keys, name = [aws.create_key(), aws.create_key()], aws.create_stream("permissions")
    stream = str(describe(aws.client("kinesis"), name)["StreamARN"])
    next_keys, alias = cycle(keys), aws.alias("permissions")
    aws.client("kms").create_alias(AliasName=alias, TargetKeyId=keys[0])

    def start(*statements: dict[str, Any], key: str | None = None) -> str:
        until(lambda: describe(aws.client("kinesis"), name)["StreamStatus"] == "ACTIVE")
        call = {"StreamName": name, "EncryptionType": "KMS", "KeyId": key or next(next_keys)}
        return result_of(_assume(aws, role, *statements).start_stream_encryption, **call)

    try:
        role = _create_role(aws, _allow("kinesis:*", stream, *keys), _allow("kms:*", *keys))
        until(lambda: start() == ACCEPTED, seconds=_PROPAGATION, interval=5)
        # A session policy cannot be empty; GetCallerIdentity needs no permission.
        kinesis = _assume(aws, role, _allow("sts:GetCallerIdentity", "*"))
        without_any = result_of(kinesis.describe_stream_summary, StreamName=name)
    except (AcceptError, ClientError) as error:
        without_any = f"the role did not get its permissions: {error}"
    if not without_any.startswith("AccessDenied"):
        for row in PERMISSIONS:
            report.observe(row, f"a call without any permission: {without_any}", shown=False)
        return

    describe_key, both = _allow("kms:DescribeKey", *keys), _allow(_START, stream, *keys)
    for row, statements, key in (
        ("permissions-both", [describe_key, both], None),
        ("permissions-key", [describe_key, _allow(_START, stream)], None),
        ("permissions-stream", [describe_key, _allow(_START, *keys)], None),
        ("permissions-describe-key", [both], None),
        ("permissions-alias", [describe_key, both], alias),
    ):
        result, assumed = start(*statements, key=key), PERMISSIONS[row][1]
        if result != ACCEPTED and (control := start()) != ACCEPTED:
            report.observe(row, f"{result}; with all permissions: {control}", shown=False)
        else:
            report.observe(row, result, holds=result.startswith(assumed) if assumed else None)


def _create_role(aws: Aws, *statements: dict[str, Any]) -> str:
    """Create a role and return its ARN once this account can assume it."""
    iam, name = aws.client("iam"), aws.name(ROLE)
    partition = aws.session.get_partition_for_region(aws.region)
    root = {"AWS": f"arn:{partition}:iam::{aws.account}:root"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": root}
    created = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
    arn = str(created["Role"]["Arn"])
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_policy(*statements))
    until(lambda: result_of(_assume, aws=aws, role=arn) == ACCEPTED, seconds=_PROPAGATION)
    return arn


def _assume(aws: Aws, role: str, *statements: dict[str, Any]) -> Any:
    """Return a Kinesis client with these permissions of the role, by default all."""
    policy = {"Policy": _policy(*statements)} if statements else {}
    assumed = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="accept", **policy)
    return boto3.client(
        "kinesis",
        region_name=aws.region,
        aws_access_key_id=assumed["Credentials"]["AccessKeyId"],
        aws_secret_access_key=assumed["Credentials"]["SecretAccessKey"],
        aws_session_token=assumed["Credentials"]["SessionToken"],
    )


def _allow(action: str, *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": list(resources)}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
