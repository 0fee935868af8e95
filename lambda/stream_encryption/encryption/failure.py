"""The catalog of failures, each with its cause and its remedy."""

from __future__ import annotations

import re
from enum import Enum

from stream_encryption.aws.errors import AwsError, ErrorKind

MAX_REASON = 1024
"""Maximum characters of a reason; CloudFormation shows all of them."""

_ELLIPSIS = " ..."

_LEAVE_FAILED_ROLLBACK = (
    " If the stack is in UPDATE_ROLLBACK_FAILED, re-create the stream and run `aws cloudformation"
    " continue-update-rollback --stack-name STACK`. Or run it with `--resources-to-skip ID`, the"
    " logical ID of this resource, then remove the resource or specify another stream."
)


class FailureCode(Enum):
    """Catalog of failures.

    The first text is the cause and the state, the second one the remedy. `docs/behavior.md`
    contains this catalog.
    """

    INVALID_EVENT = (
        "The custom resource event is malformed: {detail}.",
        "Send events as CloudFormation does. ServiceToken must be the ARN of the function itself,"
        " not of a custom_resources.Provider.",
    )
    UNKNOWN_PROPERTY = (
        "Unknown property {name} (value {value}).",
        "Remove it. Known properties: {known}.",
    )
    MISSING_PROPERTY = (
        "Property {name} is missing.",
        "Specify {expected}.",
    )
    INVALID_PROPERTY = (
        "Property {name} has the invalid value {value}.",
        "Specify {expected}.",
    )
    STREAM_AMBIGUOUS = (
        "Both StreamArn {arn} and StreamName {name} are specified.",
        "Specify exactly one of them, preferably StreamArn.",
    )
    STREAM_ELSEWHERE = (
        "Stream {stream} is in {where}, and this function is in {here}.",
        "Declare the resource in a stack in the partition, Region, and account of the stream.",
    )
    KEY_ELSEWHERE = (
        "Key {key} is in {where}, and stream {stream} is in {here}.",
        "Specify a KMS key in the Region and partition of the stream.",
    )
    ENCRYPTION_NONE = (
        "EncryptionType NONE is not allowed for stream {stream}: this resource cannot stop"
        " encryption.",
        "Remove the property or specify KMS. To stop encryption, call StopStreamEncryption"
        " yourself.",
    )
    STREAM_NOT_FOUND = (
        "Stream {stream} does not exist in Region {region} of account {account}.",
        "Check the name, Region, and account, and create the stream before this resource."
        + _LEAVE_FAILED_ROLLBACK,
    )
    STREAM_DELETING = (
        "Stream {stream} is being deleted (DELETING).",
        "Re-create the stream or remove this resource." + _LEAVE_FAILED_ROLLBACK,
    )
    STREAM_GONE = (
        "Stream {stream} was deleted during its encryption with key {key}.",
        "Re-create the stream in Region {region} of account {account} and deploy again, or"
        " remove this resource." + _LEAVE_FAILED_ROLLBACK,
    )
    KEY_NOT_FOUND = (
        "KMS key {key} does not exist. Stream {stream} was not modified ({found}).",
        "Check the key identifier, Region, and account, or create the key first.",
    )
    KEY_UNUSABLE = (
        "KMS key {key} is not usable (state: {state}). Stream {stream} was not modified ({found}).",
        "{fix}, or specify another one.",
    )
    KEY_UNSUITABLE = (
        "KMS key {key} is not a symmetric encryption key (KeySpec {spec}, KeyUsage {usage})."
        " Stream {stream} was not modified ({found}).",
        "Specify a key with KeySpec SYMMETRIC_DEFAULT and KeyUsage ENCRYPT_DECRYPT.",
    )
    KEY_REFUSED = (
        "Kinesis cannot use KMS key {key} for stream {stream} ({error_code}: {detail}).",
        "Fix the cause that the message names, or specify a key that exists, is enabled, and is in"
        " the Region of the stream.",
    )
    LIMIT_EXCEEDED = (
        "Stream {stream} has used its 25 key changes of 24 hours, or its call rate. Key {key} was"
        " not applied ({detail}).",
        "Count the StartStreamEncryption calls for the stream of the last 24 hours in CloudTrail."
        " With 25 calls, deploy again when the oldest one is 24 hours old; with fewer, deploy again"
        " in some minutes.",
    )
    ACCESS_DENIED = (
        "Access denied to {action} for stream {stream}, key {key} ({detail}).",
        "{remedy}",
    )
    CHANGED_BY_OTHERS = (
        "Stream {stream} is ACTIVE but not encrypted with key {key} ({found}), although Kinesis"
        " accepted this key: another caller has changed it since.",
        "Find the other caller in CloudTrail (StartStreamEncryption, StopStreamEncryption), stop"
        " it, and deploy again.",
    )
    TIMED_OUT = (
        "Stream {stream} was not confirmed ACTIVE and encrypted with key {key} within {seconds} s;"
        " last state: {found}.",
        "Check the stream. If it is only slow, increase the timeout and deploy again. An accepted"
        " change continues.",
    )
    EXPIRED = (
        "The request for stream {stream} arrived {age} s after CloudFormation sent it, after its"
        " deadline. It was not performed (key {key}).",
        "Deploy again. If the function was throttled, check its concurrency limits.",
    )
    STALE_REQUEST = (
        "The request for stream {stream}, key {key} is stale ({detail}). The stream is not modified"
        " any further.",
        "No action is needed if the stack is in the state that you want; otherwise deploy again.",
    )
    SERVICE_ERROR = (
        "{action} failed for stream {stream}, key {key} ({error_code}: {detail}).",
        "Fix the cause that the message names, and deploy again.",
    )
    CONTINUATION_FAILED = (
        "The wait for stream {stream}, key {key} could not continue in a new invocation"
        " ({detail}).",
        "{remedy} In a VPC, provide access to the Lambda endpoint. Or set a timeout of at most 14"
        " minutes. An accepted change continues.",
    )
    UNEXPECTED = (
        "Unexpected error for stream {stream}, key {key} ({detail}).",
        "Check the log of the function. It is safe to deploy again.",
    )

    def __init__(self, cause: str, remedy: str) -> None:
        self.cause = cause
        self.remedy = remedy


def cut(text: str, limit: int, mark: str = _ELLIPSIS) -> str:
    """Truncate a text to a number of characters, with a mark at the end.

    Characters outside ASCII are replaced, because JSON encodes them in up to six bytes each.
    """
    text = text.encode("ascii", "replace").decode()
    if len(text) <= limit:
        return text
    return text[: max(limit - len(mark), 0)] + mark[:limit]


class Failure(Exception):
    """A request that ends with FAILED, and the reason: code, cause, and remedy.

    ``fields`` are the placeholders of the catalog entry. The end of a long cause is truncated,
    where messages of AWS are, so that its beginning and the remedy remain.
    """

    def __init__(self, code: FailureCode, /, **fields: object) -> None:
        self.code = code
        remedy = code.remedy.format(**fields)
        cause = f"{code.name}: {code.cause.format(**fields)}"
        super().__init__(f"{cut(cause, MAX_REASON - len(remedy) - 1)} {remedy}")


_CODES = {
    ErrorKind.QUOTA: FailureCode.LIMIT_EXCEEDED,
    ErrorKind.KEY: FailureCode.KEY_REFUSED,
    ErrorKind.DENIED: FailureCode.ACCESS_DENIED,
    ErrorKind.DENIED_EXPLICITLY: FailureCode.ACCESS_DENIED,
}

_KEY_STATE_REMEDIES = {
    "Creating": "Deploy again when the key is Enabled",
    "Disabled": "Enable the key",
    "PendingDeletion": "Cancel the deletion of the key and enable it",
    "PendingImport": "Import the key material",
    "PendingReplicaDeletion": "Cancel the deletion of the key and enable it",
    "Unavailable": "Reconnect the custom key store of the key",
}

_DENIED_ACTION = re.compile(r"\bnot authorized to perform: ([a-z0-9-]+:\w+)")
_POLICY_TYPE = re.compile(
    r"\b(?:because no|explicit deny in an?) ([\w -]+? policy|permissions boundary)\b"
)
_POLICIES = {
    "identity-based policy": "the identity-based policies of the function's role",
    "permissions boundary": "the permissions boundary of the function's role",
    "session policy": "the session policy of the function's credentials",
    "service control policy": "the service control policies of the organization",
    "resource control policy": "the resource control policies of the organization",
    "VPC endpoint policy": "the policy of the VPC endpoint that the function uses",
    "resource-based policy": "the resource-based policy of the key or the stream",
}


def failure_of(error: AwsError) -> tuple[FailureCode, dict[str, object]]:
    """Return the code and the fields of the failure that an error means."""
    return _CODES.get(error.kind, FailureCode.SERVICE_ERROR), {
        "action": error.action,
        "error_code": error.code,
        "detail": error.message,
        "remedy": denial_remedy(error),
    }


def key_state_remedy(state: str) -> str:
    """Return how to make a key usable.

    Source: KMS Developer Guide, "Key states of AWS KMS keys".
    """
    return _KEY_STATE_REMEDIES.get(state, "Bring the key to the state Enabled")


def denial_remedy(error: AwsError) -> str:
    """Return where to allow a denied action: in the policy type that AWS names, if any.

    Source: IAM User Guide, "Troubleshoot access denied error messages".
    """
    action = _first(_DENIED_ACTION, error.message) or error.action
    policy_type = _first(_POLICY_TYPE, error.message)
    policy = _POLICIES.get(policy_type)
    if action.startswith("kms:") and "resource-based polic" in error.message:
        # KMS also lists it among other causes, if the key may be in another account.
        policy = "the key policy"
    if error.kind is ErrorKind.DENIED_EXPLICITLY:
        policy = policy or "the policy that contains it (of role, boundary, organization, or key)"
        return f"Remove the explicit deny of {action} from {policy}."
    if error.code.startswith("KMS") and not policy:
        return "Allow the function's role to use the key, in the key policy too."
    return f"Allow {action} in {policy or _POLICIES['identity-based policy']}."


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
