"""All that a prefix has in the account: found by name, and removed.

Names are looked up one by one, never by what they begin with, so nothing of others is found.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from acceptance.account import AcceptError, Account, described, until

STACKS = ("story", "hand-over", "recorder", "cancelled")
STREAMS = ("probe", "rights", "story", "hand-over")
ALIASES = ("probe",)
ROLES = ("rights",)
_SHORTEST_WINDOW_DAYS = 7


@dataclass(frozen=True)
class Belonging:
    """One thing in the account; `remove` returns once it is gone."""

    kind: str
    name: str
    remove: Callable[[], object]


def find(account: Account) -> list[Belonging]:
    """What there is, in the order in which it can be removed."""
    return [
        *_stacks(account),
        *_streams(account),
        *_aliases(account),
        *_keys(account),
        *_roles(account),
        *_log_groups(account),
    ]


def remove(account: Account, say: Callable[[str], None]) -> None:
    """Remove everything; raises AcceptError if something is left."""
    for belonging in find(account):
        say(f"removing {belonging.kind} {belonging.name}")
        try:
            belonging.remove()
        except (ClientError, AcceptError) as error:
            say(f"  {error}")
    if left := [f"{each.kind} {each.name}" for each in find(account)]:
        raise AcceptError(f"still there: {', '.join(left)}; make accept CLEAN={account.prefix}")


def stack_status(cloudformation: Any, stack: str) -> str | None:
    """The status of a stack, None if there is none."""
    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except cloudformation.exceptions.ClientError:
        return None
    return None if found == "DELETE_COMPLETE" else str(found)


def _stacks(account: Account) -> Iterator[Belonging]:
    cloudformation = account.client("cloudformation")

    def gone(stack: str) -> bool:
        status = stack_status(cloudformation, stack)
        # One that is being updated can't be deleted until it is at rest, so it is brought there.
        with suppress(ClientError):
            if status == "UPDATE_IN_PROGRESS":
                cloudformation.cancel_update_stack(StackName=stack)
            elif status and status != "DELETE_IN_PROGRESS":
                cloudformation.delete_stack(StackName=stack)
        return status is None

    for stack in map(account.name, STACKS):
        if stack_status(cloudformation, stack):
            yield Belonging("stack", stack, partial(until, partial(gone, stack), pace=3))


def _streams(account: Account) -> Iterator[Belonging]:
    kinesis = account.client("kinesis")

    def gone(stream: str) -> bool:
        try:
            if described(kinesis, stream)["StreamStatus"] != "DELETING":
                kinesis.delete_stream(StreamName=stream, EnforceConsumerDeletion=True)
        except kinesis.exceptions.ResourceInUseException:
            return False
        except kinesis.exceptions.ResourceNotFoundException:
            return True
        return False

    for stream in map(account.name, STREAMS):
        with suppress(kinesis.exceptions.ResourceNotFoundException):
            described(kinesis, stream)
            yield Belonging("stream", stream, partial(until, partial(gone, stream)))


def _aliases(account: Account) -> Iterator[Belonging]:
    kms = account.client("kms")
    for alias in map(account.alias, ALIASES):
        with suppress(kms.exceptions.NotFoundException):
            kms.describe_key(KeyId=alias)
            yield Belonging("alias", alias, partial(kms.delete_alias, AliasName=alias))


def _keys(account: Account) -> Iterator[Belonging]:
    kms = account.client("kms")
    for page in kms.get_paginator("list_keys").paginate():
        for key in (each["KeyId"] for each in page["Keys"]):
            with suppress(ClientError):  # a key of somebody else's, who lets nobody look at it
                found = kms.describe_key(KeyId=key)["KeyMetadata"]
                if found["Description"] != account.description or "DeletionDate" in found:
                    continue
                delete = partial(
                    kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=_SHORTEST_WINDOW_DAYS
                )
                yield Belonging("key", key, delete)


def _roles(account: Account) -> Iterator[Belonging]:
    iam = account.client("iam")

    def delete(role: str) -> None:
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role, PolicyName=policy)
        iam.delete_role(RoleName=role)

    for role in map(account.name, ROLES):
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.get_role(RoleName=role)
            yield Belonging("role", role, partial(delete, role))


def _log_groups(account: Account) -> Iterator[Belonging]:
    """Those that stacks leave behind, on purpose or because Lambda made them."""
    logs = account.client("logs")
    for stack in map(account.name, STACKS):
        for start in (f"{stack}-", f"/aws/lambda/{stack}-"):
            for group in logs.describe_log_groups(logGroupNamePrefix=start)["logGroups"]:
                name = group["logGroupName"]
                yield Belonging(
                    "log group", name, partial(logs.delete_log_group, logGroupName=name)
                )
