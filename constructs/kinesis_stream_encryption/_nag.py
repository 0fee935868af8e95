"""Findings of cdk-nag that are accepted, each at the resource it is about and with its reason."""

from __future__ import annotations

import json

import aws_cdk
from aws_cdk import Stack
from constructs import IConstruct

__all__ = ["accept", "accept_wildcard"]

# cdk-nag reports the same rule under the name of each pack that has it.
_PACKS = ("HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321", "Serverless")


def accept(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept a rule's finding on a construct.

    Parameters
    ----------
    construct
        What the finding is about, alone.
    rule
        Name of the rule without its pack.
    reason
        Why it is accepted.
    """
    for pack in _PACKS:
        _acknowledge(construct, f"{pack}-{rule}", reason)


def accept_wildcard(construct: IConstruct, resource: str, reason: str) -> None:
    """Accept a resource with a wildcard in a policy.

    Parameters
    ----------
    construct
        The policy, or the role it is part of.
    resource
        The resource as it stands in the policy.
    reason
        Why there is no finer form.
    """
    shown = _as_reported(Stack.of(construct).resolve(resource))
    _acknowledge(construct, f"AwsSolutions-IAM5[Resource::{shown}]", reason)
    _acknowledge(construct, "Serverless-LambdaStarPermissions", reason)


def _as_reported(value: object) -> str:
    match value:
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(map(_as_reported, parts))
        case str():
            return value
        case _:
            return json.dumps(value, separators=(",", ":"))


def _acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    # Older releases of aws-cdk-lib have no validations, and neither have they anything to accept.
    if hasattr(aws_cdk, "Validations"):
        aws_cdk.Validations.of(construct).acknowledge(
            aws_cdk.Acknowledgment(id=rule, reason=reason)
        )
