"""All that a prefix has in the account: found by name, and removed.

Names are looked up one by one, never by what they begin with, so nothing of others is found.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from botocore.exceptions import ClientError

from acceptance.aws import AcceptError, Aws, described, until

STACKS = ("story", "hand-over", "recorder")
STREAMS = ("probe", "rights", "story", "hand-over")
ROLE = "rights"
_SHORTEST_WINDOW_DAYS = 7

Found = Iterator[tuple[str, Callable[[], object]]]


def find(aws: Aws) -> dict[str, Callable[[], object]]:
    """What there is, with what removes it, in the order in which that can be done."""
    return dict(_found(aws))


def remove(aws: Aws, say: Callable[[str], None]) -> None:
    """Remove everything; raises AcceptError if something is left."""
    for name, remove_it in _found(aws):
        say(f"removing {name}")
        try:
            remove_it()
        except (ClientError, AcceptError) as error:
            say(f"  {error}")
    if left := ", ".join(find(aws)):
        raise AcceptError(f"still there: {left}; make accept CLEAN={aws.prefix}")


def stack_status(cloudformation: Any, stack: str) -> str:
    """The status of a stack, nothing if there is none."""
    try:
        found = str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return ""
    return "" if found == "DELETE_COMPLETE" else found


def _found(aws: Aws) -> Found:
    """Look for each kind only once those before it are dealt with."""
    return chain.from_iterable(
        kind(aws) for kind in (_stacks, _streams, _keys, _roles, _log_groups)
    )


def _stacks(aws: Aws) -> Found:
    cloudformation = aws.client("cloudformation")

    def gone(stack: str) -> bool:
        status = stack_status(cloudformation, stack)
        # One that is being updated, or taken back, can't be deleted until it is at rest.
        try:
            if status == "UPDATE_IN_PROGRESS":
                cloudformation.cancel_update_stack(StackName=stack)
            elif status not in ("", "DELETE_IN_PROGRESS"):
                cloudformation.delete_stack(StackName=stack)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
        return not status

    for stack in map(aws.name, STACKS):
        if stack_status(cloudformation, stack):
            yield f"stack {stack}", partial(until, partial(gone, stack), pace=3)


def _streams(aws: Aws) -> Found:
    kinesis = aws.client("kinesis")

    def gone(stream: str) -> bool:
        with suppress(kinesis.exceptions.ResourceInUseException):
            try:
                if described(kinesis, stream)["StreamStatus"] != "DELETING":
                    kinesis.delete_stream(StreamName=stream)
            except kinesis.exceptions.ResourceNotFoundException:
                return True
        return False

    for stream in map(aws.name, STREAMS):
        with suppress(kinesis.exceptions.ResourceNotFoundException):
            described(kinesis, stream)
            yield f"stream {stream}", partial(until, partial(gone, stream))


def _keys(aws: Aws) -> Found:
    """The keys described as ours, which have to be looked for among all, with their aliases."""
    kms = aws.client("kms")

    def delete(key: str) -> None:
        for alias in kms.list_aliases(KeyId=key)["Aliases"]:
            kms.delete_alias(AliasName=alias["AliasName"])
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=_SHORTEST_WINDOW_DAYS)

    for page in kms.get_paginator("list_keys").paginate():
        for key in (each["KeyId"] for each in page["Keys"]):
            try:
                found = kms.describe_key(KeyId=key)["KeyMetadata"]
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessDeniedException":
                    raise
                continue  # somebody else's, who lets nobody look at it
            if found["Description"] == aws.description and "DeletionDate" not in found:
                yield f"key {key}", partial(delete, key)


def _roles(aws: Aws) -> Found:
    iam, role = aws.client("iam"), aws.name(ROLE)

    def delete() -> None:
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role, PolicyName=policy)
        iam.delete_role(RoleName=role)

    with suppress(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName=role)
        yield f"role {role}", delete


def _log_groups(aws: Aws) -> Found:
    """Those that a stack leaves behind."""
    logs = aws.client("logs")
    for stack in map(aws.name, STACKS):
        for start in (f"{stack}-", f"/aws/lambda/{stack}-"):
            for group in logs.describe_log_groups(logGroupNamePrefix=start)["logGroups"]:
                name = group["logGroupName"]
                yield f"log group {name}", partial(logs.delete_log_group, logGroupName=name)
