"""Every way a request can fail, each with its cause and its remedy."""

from __future__ import annotations

import re
from enum import Enum

from stream_encryption.aws.errors import AwsError, ErrorKind

MAX_REASON = 1024
"""Characters of a reason, of which CloudFormation shows all."""

_ELLIPSIS = " ..."

_LEAVE_FAILED_ROLLBACK = (
    " If the stack is UPDATE_ROLLBACK_FAILED, re-create the stream and run `aws cloudformation"
    " continue-update-rollback --stack-name STACK`; or run it with `--resources-to-skip ID`, the"
    " logical ID of this resource, then remove the resource or give it another stream."
)


class FailureCode(Enum):
    """Catalogue of failures: what happened, and what the user can do about it.

    The first text is the cause in one line, the second the remedy. `docs/behavior.md` is
    generated from this catalogue.
    """

    INVALID_EVENT = (
        "Malformed custom resource event: {detail}.",
        "Send the event as CloudFormation does; see the custom resource request reference.",
    )
    UNKNOWN_PROPERTY = (
        "Unknown property {name} (value {value}).",
        "Remove it. Known properties: {known}.",
    )
    MISSING_PROPERTY = (
        "Property {name} is missing.",
        "Set it: {expected}.",
    )
    INVALID_PROPERTY = (
        "Property {name} has the invalid value {value}.",
        "Give {expected}.",
    )
    STREAM_AMBIGUOUS = (
        "Both StreamArn {arn} and StreamName {name} are given.",
        "Give exactly one of them, preferably StreamArn.",
    )
    STREAM_ELSEWHERE = (
        "Stream {stream} is in {where}, this function in {here}.",
        "Declare the resource in a stack of the stream's own partition, region and account.",
    )
    KEY_ELSEWHERE = (
        "Key {key} is in {where}, stream {stream} in {here}.",
        "Give a KMS key of the stream's own region and partition.",
    )
    ENCRYPTION_NONE = (
        "EncryptionType NONE is refused: this resource encrypts stream {stream}, it does not"
        " decrypt it.",
        "Remove the property or set KMS. To end encryption, call StopStreamEncryption by hand.",
    )
    STREAM_NOT_FOUND = (
        "Stream {stream} does not exist in region {region} of account {account}.",
        "Check the name, Region, and account, and create the stream before this resource."
        + _LEAVE_FAILED_ROLLBACK,
    )
    STREAM_DELETING = (
        "Stream {stream} is being deleted (DELETING).",
        "It can no longer be encrypted: re-create the stream or remove this resource."
        + _LEAVE_FAILED_ROLLBACK,
    )
    STREAM_GONE = (
        "Stream {stream} was deleted while it was being encrypted with key {key}.",
        "Re-create the stream in Region {region} of account {account} and deploy again, or"
        " remove this resource." + _LEAVE_FAILED_ROLLBACK,
    )
    KEY_NOT_FOUND = (
        "KMS key {key} does not exist, so stream {stream} is changed no further ({found}).",
        "Check key id, alias, region and account, or create the key first.",
    )
    KEY_UNUSABLE = (
        "KMS key {key} cannot be used, its state is {state}, so stream {stream} is changed"
        " no further ({found}).",
        "Bring it to the state Enabled (enable it, after cancelling its deletion or importing its"
        " key material if need be; reconnect its key store), or give another key.",
    )
    KEY_UNSUITABLE = (
        "KMS key {key} is no symmetric encryption key (KeySpec {spec}, KeyUsage {usage}), so"
        " stream {stream} is changed no further ({found}).",
        "Give a key with KeySpec SYMMETRIC_DEFAULT and KeyUsage ENCRYPT_DECRYPT.",
    )
    KEY_REFUSED = (
        "Kinesis cannot use KMS key {key} for stream {stream} ({code}: {detail}).",
        "Give a key that exists, is enabled and in the stream's region, or mend this one.",
    )
    LIMIT_EXCEEDED = (
        "Stream {stream} has spent its 25 encryption changes of the rolling 24 hours, or its rate"
        " of calls; key {key} was not applied ({detail}).",
        "See in CloudTrail how often StartStreamEncryption was called on the stream in the last 24"
        " hours. Deploy again when the oldest of 25 calls is 24 hours old, or in some minutes if"
        " there were fewer.",
    )
    ACCESS_DENIED = (
        "Access denied to {action} for stream {stream}, key {key} ({detail}).",
        "{remedy}",
    )
    CHANGED_BY_OTHERS = (
        "Stream {stream} is ACTIVE but not encrypted with key {key} ({found}), although Kinesis"
        " accepted that key: somebody else changed it meanwhile.",
        "Find the other writer in CloudTrail (StartStreamEncryption, StopStreamEncryption), stop"
        " it, and deploy again.",
    )
    TIMED_OUT = (
        "Stream {stream} was not confirmed ACTIVE and encrypted with key {key} within {seconds} s;"
        " last seen: {found}.",
        "Look at the stream; if it is only slow, give the resource a longer timeout and deploy"
        " again. A change already accepted goes on and is not lost.",
    )
    EXPIRED = (
        "The request for stream {stream} was delivered {age} s after CloudFormation sent it, past"
        " its deadline, and was not carried out (key {key}).",
        "Deploy again; check the function's concurrency limits if it was throttled.",
    )
    STALE_REQUEST = (
        "The request for stream {stream}, key {key} is stale ({detail}), so the stream is not"
        " modified any further.",
        "No action is needed if the stack is in the state that you want; otherwise deploy again.",
    )
    SERVICE_ERROR = (
        "{action} failed for stream {stream}, key {key} ({code}: {detail}).",
        "Correct what the message names and deploy again.",
    )
    CONTINUATION_FAILED = (
        "The wait for stream {stream}, key {key} could not go on in another invocation ({detail}).",
        "{remedy} In a VPC, provide access to the Lambda endpoint. Or set a timeout of at most 14"
        " minutes. A change already accepted continues.",
    )
    UNEXPECTED = (
        "Unexpected error for stream {stream}, key {key} ({detail}).",
        "See the function's log; deploying again is safe.",
    )

    def __init__(self, summary: str, remedy: str) -> None:
        self.summary = summary
        self.remedy = remedy


def cut(text: str, limit: int, mark: str = _ELLIPSIS) -> str:
    """Shorten a text to so many characters, marking that something is missing.

    Characters beyond ASCII are replaced, as they cost up to six bytes each in JSON.
    """
    text = text.encode("ascii", "replace").decode()
    if len(text) <= limit:
        return text
    return text[: max(limit - len(mark), 0)] + mark[:limit]


class Failure(Exception):
    """A request that ends FAILED, with a reason that a user can act on.

    The fields are what the entry's texts name. What is too long is cut from the end of the cause,
    where AWS's own words are, so that both its beginning and the remedy are told.
    """

    def __init__(self, cause: FailureCode, **fields: object) -> None:
        self.cause = cause
        remedy = cause.remedy.format(**fields)
        summary = cut(cause.summary.format(**fields), MAX_REASON - len(remedy) - 1)
        super().__init__(f"{summary} {remedy}")


_CAUSES = {
    ErrorKind.QUOTA: FailureCode.LIMIT_EXCEEDED,
    ErrorKind.KEY: FailureCode.KEY_REFUSED,
    ErrorKind.DENIED: FailureCode.ACCESS_DENIED,
    ErrorKind.DENIED_EXPLICITLY: FailureCode.ACCESS_DENIED,
}


_DENIED_ACTION = re.compile(r"\bnot authorized to perform: ([a-z0-9-]+:\w+)")
_POLICY_KIND = re.compile(
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


def cause_of(error: AwsError) -> tuple[FailureCode, dict[str, object]]:
    """Find the entry of the catalogue for an error, and what its texts need to tell of it."""
    return _CAUSES.get(error.kind, FailureCode.SERVICE_ERROR), {
        "action": error.action,
        "code": error.code,
        "detail": error.message,
        "remedy": denial_remedy(error),
    }


def denial_remedy(error: AwsError) -> str:
    """Explain where to allow what was denied: in the kind of policy that AWS names, if any.

    Source: IAM User Guide, "Troubleshoot access denied error messages".
    """
    action = _first(_DENIED_ACTION, error.message) or error.action
    kind = _first(_POLICY_KIND, error.message)
    policy = _POLICIES.get(kind)
    if kind == "resource-based policy" and action.startswith("kms:"):
        policy = "the key policy"
    if error.kind is ErrorKind.DENIED_EXPLICITLY:
        policy = policy or "the policy that has it (of role, boundary, organization, or key)"
        return f"Remove the explicit deny of {action} from {policy}."
    if error.code.startswith("KMS") and not policy:
        return "Allow the function's role to use the key, in the key policy too."
    return f"Allow {action} in {policy or _POLICIES['identity-based policy']}."


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
