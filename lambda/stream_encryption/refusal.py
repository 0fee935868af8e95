"""Which failure an error of AWS means that is final, and what the user can do about it."""

from __future__ import annotations

from datetime import UTC, datetime

from stream_encryption.aws_error import AwsError, Kind
from stream_encryption.failure import Cause

_DAY = 24 * 3600

_CAUSES = {
    Kind.DAILY_LIMIT: Cause.DAILY_LIMIT,
    Kind.LIMIT: Cause.LIMIT_EXCEEDED,
    Kind.KEY: Cause.KEY_REFUSED,
    Kind.DENIED: Cause.ACCESS_DENIED,
    Kind.DENIED_EXPLICITLY: Cause.ACCESS_DENIED,
}

_KEY_REMEDIES = {
    "KMSDisabledException": "Enable the key (kms:EnableKey) or give another one.",
    "KMSInvalidStateException": "Give a key whose state is Enabled.",
    "KMSNotFoundException": "Check key id, alias, region and account.",
    "KMSOptInRequired": "Subscribe the account to AWS KMS.",
}


def refusal(error: AwsError, now: float) -> tuple[Cause, dict[str, object]]:
    """Find the entry of the catalogue for an error, and what its texts need.

    Parameters
    ----------
    error
        An error that trying again cannot mend.
    now
        Seconds since the epoch.
    """
    latest = datetime.fromtimestamp(now + _DAY, UTC)
    return _CAUSES.get(error.kind, Cause.SERVICE_ERROR), {
        "action": error.action,
        "code": error.code,
        "detail": error.message,
        "retry": latest.isoformat(timespec="minutes"),
        "remedy": _remedy(error),
    }


def _remedy(error: AwsError) -> str:
    if error.kind is Kind.KEY:
        return _KEY_REMEDIES[error.code]
    if error.kind is Kind.DENIED_EXPLICITLY:
        return (
            "A policy denies it explicitly: change that policy (role, permissions boundary,"
            " service control policy or key policy)."
        )
    if error.code.startswith("KMS"):
        return "Allow the function's role to use the key, in the key's policy too."
    return f"Allow {error.action} to the function's role."
