"""Which rights StartStreamEncryption needs.

A role is assumed again and again, each time with a session policy of only the rights in question:
unlike a role's own policy, that one counts at once. A denial is believed only if the same call is
allowed with all rights; and nothing is, where a call without any right is allowed.
"""

import json
from itertools import cycle
from typing import Any

import boto3
from botocore.exceptions import ClientError

from acceptance.aws import AcceptError, Aws, asked, described, until
from acceptance.belongings import ROLE
from acceptance.questions import RIGHTS
from acceptance.report import Report

_START = "kinesis:StartStreamEncryption"
_PROPAGATION = 120.0


def ask_for_rights(aws: Aws, report: Report) -> None:
    """Answer all of `questions.RIGHTS`."""
    keys, name = [aws.make_key(), aws.make_key()], aws.make_stream("rights")
    stream = str(described(aws.client("kinesis"), name)["StreamARN"])
    turns, alias = cycle(keys), aws.alias("rights")
    aws.client("kms").create_alias(AliasName=alias, TargetKeyId=keys[0])

    def start(*rights: dict[str, Any], key: str | None = None) -> str:
        until(lambda: described(aws.client("kinesis"), name)["StreamStatus"] == "ACTIVE")
        call = {"StreamName": name, "EncryptionType": "KMS", "KeyId": key or next(turns)}
        return asked(_assume(aws, role, *rights).start_stream_encryption, **call)

    try:
        role = _make_role(aws, _allow("kinesis:*", stream, *keys), _allow("kms:*", *keys))
        until(lambda: start() == "accepted", seconds=_PROPAGATION, pace=5)
        # A session policy has to say something: who one is may be asked without any right.
        kinesis = _assume(aws, role, _allow("sts:GetCallerIdentity", "*"))
        nothing = asked(kinesis.describe_stream_summary, StreamName=name)
    except (AcceptError, ClientError) as error:
        nothing = f"no role has got them: {error}"
    if not nothing.startswith("AccessDenied"):
        for row in RIGHTS:
            report.answer(row, f"a look without any right: {nothing}", shown=False)
        return

    look, on_both = _allow("kms:DescribeKey", *keys), _allow(_START, stream, *keys)
    for row, rights, key in (
        ("rights-both", [look, on_both], None),
        ("rights-key", [look, _allow(_START, stream)], None),
        ("rights-stream", [look, _allow(_START, *keys)], None),
        ("rights-describe-key", [on_both], None),
        ("rights-alias", [look, on_both], alias),
    ):
        told, assumed = start(*rights, key=key), RIGHTS[row][1]
        if told != "accepted" and (control := start()) != "accepted":
            report.answer(row, f"{told}; but with all rights: {control}", shown=False)
        else:
            report.answer(row, told, holds=told.startswith(assumed) if assumed else None)


def _make_role(aws: Aws, *rights: dict[str, Any]) -> str:
    """Make a role that this account may assume, and return its ARN once that is so."""
    iam, name = aws.client("iam"), aws.name(ROLE)
    partition = aws.session.get_partition_for_region(aws.region)
    root = {"AWS": f"arn:{partition}:iam::{aws.account}:root"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": root}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
    arn = str(made["Role"]["Arn"])
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_policy(*rights))
    until(lambda: asked(_assume, aws=aws, role=arn) == "accepted", seconds=_PROPAGATION)
    return arn


def _assume(aws: Aws, role: str, *rights: dict[str, Any]) -> Any:
    """A client of Kinesis with these rights of the role, or all of them."""
    policy = {"Policy": _policy(*rights)} if rights else {}
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
