"""All resources of a prefix: finds and removes them.

Each is found by its full name, never by the beginning of a name, so that no other resource is
removed.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from botocore.exceptions import ClientError

from acceptance.aws import AcceptError, Aws, describe, until

STACKS = ("scenario", "continuation", "recorder")
STREAMS = ("probe", "permissions", "scenario", "continuation")
ROLE = "permissions"
_SHORTEST_WINDOW_DAYS = 7

Found = Iterator[tuple[str, Callable[[], object]]]


def find(aws: Aws) -> dict[str, Callable[[], object]]:
    """Return the functions that remove each resource, in the order of removal."""
    return dict(_found(aws))


def remove(aws: Aws, show: Callable[[str], None]) -> None:
    """Remove everything; raise AcceptError if a resource remains."""
    for name, remove_resource in _found(aws):
        show(f"removing {name}")
        try:
            remove_resource()
        except (ClientError, AcceptError) as error:
            show(f"  {error}")
    if remaining := ", ".join(find(aws)):
        raise AcceptError(f"not removed: {remaining}; make accept CLEAN={aws.prefix}")


def stack_status(cloudformation: Any, stack: str) -> str:
    """Return the status of a stack, empty if it does not exist."""
    try:
        stacks = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return ""
    status = str(stacks[0]["StackStatus"])
    return "" if status == "DELETE_COMPLETE" else status


def _found(aws: Aws) -> Found:
    """Find each kind only after the previous ones have been removed."""
    return chain.from_iterable(
        kind(aws) for kind in (_stacks, _streams, _keys, _roles, _log_groups)
    )


def _stacks(aws: Aws) -> Found:
    cloudformation = aws.client("cloudformation")

    def removed(stack: str) -> bool:
        status = stack_status(cloudformation, stack)
        # A stack cannot be deleted during an update or a rollback.
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
            yield f"stack {stack}", partial(until, partial(removed, stack), interval=3)


def _streams(aws: Aws) -> Found:
    kinesis = aws.client("kinesis")

    def removed(stream: str) -> bool:
        with suppress(kinesis.exceptions.ResourceInUseException):
            try:
                if describe(kinesis, stream)["StreamStatus"] != "DELETING":
                    kinesis.delete_stream(StreamName=stream)
            except kinesis.exceptions.ResourceNotFoundException:
                return True
        return False

    for stream in map(aws.name, STREAMS):
        with suppress(kinesis.exceptions.ResourceNotFoundException):
            describe(kinesis, stream)
            yield f"stream {stream}", partial(until, partial(removed, stream))


def _keys(aws: Aws) -> Found:
    """Find the keys by their description, among all keys, and their aliases."""
    kms = aws.client("kms")

    def delete(key: str) -> None:
        for alias in kms.list_aliases(KeyId=key)["Aliases"]:
            kms.delete_alias(AliasName=alias["AliasName"])
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=_SHORTEST_WINDOW_DAYS)

    for page in kms.get_paginator("list_keys").paginate():
        for key in (each["KeyId"] for each in page["Keys"]):
            try:
                metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessDeniedException":
                    raise
                continue  # a key with a policy that does not allow it
            if metadata["Description"] == aws.description and "DeletionDate" not in metadata:
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
    """Find the log groups that outlive their stacks."""
    logs = aws.client("logs")
    for stack in map(aws.name, STACKS):
        for start in (f"{stack}-", f"/aws/lambda/{stack}-"):
            for group in logs.describe_log_groups(logGroupNamePrefix=start)["logGroups"]:
                name = group["logGroupName"]
                yield f"log group {name}", partial(logs.delete_log_group, logGroupName=name)
