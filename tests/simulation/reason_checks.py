"""Whether a failure reason is accurate: one small check for each failure code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulated_aws.api import Call
from simulated_aws.cloudformation import Request
from simulated_aws.kinesis import State
from simulated_aws.kms import USABLE
from simulated_aws.lambda_service import Invocation
from stream_encryption.encryption.failure import FailureCode
from tests.simulation.schedule import is_malformed

if TYPE_CHECKING:
    from tests.simulation.invariants import Case

Fields = dict[str, str]
RESERVE = 60.0
PROPAGATION_WAIT = 5.0
"""Seconds after ACTIVE in which records may still be written unencrypted."""
LAST_SECONDS = 20.0
"""Seconds before the end in which a delivery may be too late for anything."""
KEY_NOT_FOUND_ERRORS = ("NotFoundException", "InvalidArnException")
KMS_RETRY_SECONDS = 14.0
"""Seconds for which KMS calls are retried."""
RESPONSE_RESERVE = 20.0
"""Seconds before the end of request or invocation in which polling may stop."""

MALFORMED = {
    FailureCode.INVALID_EVENT,
    FailureCode.UNKNOWN_PROPERTY,
    FailureCode.MISSING_PROPERTY,
    FailureCode.INVALID_PROPERTY,
    FailureCode.STREAM_AMBIGUOUS,
    FailureCode.STREAM_ELSEWHERE,
    FailureCode.KEY_ELSEWHERE,
    FailureCode.ENCRYPTION_NONE,
}


class FailureReason:
    """The reason of a FAILED response, and what the handler had seen when it sent it."""

    def __init__(self, case: Case, request: Request, fields: Fields) -> None:
        assert request.responded is not None
        assert request.response_put is not None
        self.case = case
        self.request = request
        self.fields = fields
        self.invocation: Invocation = request.response_put.invocation
        # The reason was composed before the first attempt to send it.
        self.when = next(
            put.began for put in case.puts[request.id] if put.invocation is self.invocation
        )
        self.calls = [one for one in self.invocation.calls if one.began <= self.when]

    def last(self, operation: str) -> Call | None:
        """The last call of an operation."""
        return next((one for one in reversed(self.calls) if one.operation == operation), None)

    @property
    def key_check(self) -> Call | None:
        """The last check of the desired key that showed it, or that it does not exist."""
        key = self.request.properties["KeyId"]
        checks = (
            one
            for one in reversed(self.calls)
            if one.operation == "DescribeKey" and one.params["KeyId"] == key
        )
        return next((one for one in checks if one.shown or one.error in KEY_NOT_FOUND_ERRORS), None)

    def stream_was(self, condition: Callable[[State], bool]) -> bool:
        """Whether a condition held at any time that the last description may have shown."""
        stream = self.case.stream_of(self.request)
        assert stream is not None
        described_at = self.case.last_described(self.invocation, self.when)
        return any(
            condition(state)
            for state in stream.history.between(described_at - self.case.staleness, self.when)
        )

    def started_after(self, check: Call | None) -> bool:
        """Whether encryption was started after a check."""
        starts = [one for one in self.calls if one.operation == "StartStreamEncryption"]
        return check is not None and any(one.began > check.began for one in starts)


def inaccuracy(case: Case, request: Request, code: FailureCode, fields: Fields) -> str:
    """Describe what is inaccurate about a reason; empty when nothing is."""
    reason = FailureReason(case, request, fields)
    if code in MALFORMED or is_malformed(request.properties):
        valid = not is_malformed(request.properties)
        return "the properties are valid" if valid else "" if code in MALFORMED else "malformed"
    return _CHECKS[code](reason)


def _unless(condition: bool, otherwise: str) -> str:
    return "" if condition else otherwise


def _not_found(reason: FailureReason) -> str:
    return _unless(reason.stream_was(lambda state: not state.status), "the stream exists")


def _deleting(reason: FailureReason) -> str:
    return _unless(reason.stream_was(lambda state: state.status == "DELETING"), "not DELETING")


def _key_not_found(reason: FailureReason) -> str:
    check = reason.key_check
    missing = check is not None and check.error in KEY_NOT_FOUND_ERRORS
    return (
        _unless(missing, "KMS did not return that") or _no_later_start(reason) or _retried(reason)
    )


def _key_unusable(reason: FailureReason) -> str:
    check = reason.key_check
    shown = check and check.shown
    state = shown["KeyMetadata"]["KeyState"] if shown else ""
    return (
        _unless(state == reason.fields["state"], f"the state was {state}")
        or _no_later_start(reason)
        or _retried(reason)
    )


def _retried(reason: FailureReason) -> str:
    lasted = _lasted(reason, _shows_unusable_key)
    return _unless(lasted, "the KMS call was not retried")


def _key_unsuitable(reason: FailureReason) -> str:
    check = reason.key_check
    shown = check and check.shown
    spec = shown["KeyMetadata"]["KeySpec"] if shown else ""
    usage = shown["KeyMetadata"]["KeyUsage"] if shown else ""
    same = (spec, usage) == (reason.fields["spec"], reason.fields["usage"])
    return _unless(same, f"it was {spec}, {usage}") or _no_later_start(reason)


def _shows_unusable_key(call: Call) -> bool:
    if call.operation != "DescribeKey":
        return False
    key = (call.shown or {}).get("KeyMetadata", {})
    return call.error in KEY_NOT_FOUND_ERRORS or key.get("KeyState", "Enabled") not in USABLE


def _lasted(reason: FailureReason, shows: Callable[[Call], bool]) -> bool:
    """Whether calls showed this for as long as KMS may be stale, or until time was up."""
    shown = [one for one in reason.calls if shows(one)]
    lasted = bool(shown) and (shown[-1].ended or reason.when) - shown[0].began >= KMS_RETRY_SECONDS
    return lasted or not _early(reason)


def _no_later_start(reason: FailureReason) -> str:
    return "encryption was started" if reason.started_after(reason.key_check) else ""


def _key_refused(reason: FailureReason) -> str:
    start = reason.last("StartStreamEncryption")
    code = reason.fields["error_code"]
    same = start is not None and start.error == code
    return _unless(same, "Kinesis returned another error") or _unless(
        _lasted(reason, lambda call: call.error.startswith("KMS")), "it was not retried"
    )


def _limit(reason: FailureReason) -> str:
    """Kinesis named the quota of the stream, in this invocation or one that it continues."""
    starts = [
        one
        for invocation in reason.case.invocations[reason.request.id]
        for one in invocation.calls
        if one.operation == "StartStreamEncryption" and one.began <= reason.when
    ]
    named = any(reason.fields["detail"] == one.message for one in starts)
    continued = reason.invocation.continuation > 0 and any(
        "stream" in one.message for one in starts
    )
    last = reason.last("StartStreamEncryption")
    accepted = last is not None and (last.outcome_unknown or not last.error)
    return _unless((named or continued) and not accepted, "Kinesis did not return that")


def _denied(reason: FailureReason) -> str:
    refused = [one for one in reason.calls if one.action == reason.fields["action"]]
    denied = bool(refused) and ("Denied" in refused[-1].error)
    if not denied:
        return "the last call was not denied"
    denial = reason.case.aws.iam.denial(refused[-1].action, refused[-1].served or 0.0)
    kind = denial.policy.removesuffix("policy") if denial else ""
    named = kind in reason.fields["remedy"]
    return _unless(named, f"it was denied by another policy: {kind}") or _preflight_only(reason)


def _changed_by_others(reason: FailureReason) -> str:
    stream = reason.case.stream_of(reason.request)
    own = list(reason.case.changes_by(reason.request))
    if stream is None or not own:
        return "nothing was started"
    since = own[0].when
    others = [one for one in stream.changes if one.when > since and one not in own]
    recreated = len({state.created for state in stream.history.between(since, reason.when)}) > 1
    moved = any(
        len(alias.between(since, reason.when)) > 1 for alias in reason.case.aws.kms.aliases.values()
    )
    return _unless(bool(others) or moved or recreated, "no other principal changed anything")


def _timed_out(reason: FailureReason) -> str:
    """Two equal, compliant descriptions in a row would have confirmed success."""
    compliant = [
        (check.served, check.shown)
        for check in reason.case.descriptions(reason.invocation, reason.when)[-2:]
        if check.served is not None and _shows_desired_key(reason, check)
    ]
    readable = all(one.shown for one in reason.calls if one.operation == "DescribeKey")
    if len(compliant) == 2 and readable:
        (before, shown), (after, shown_again) = compliant
        if after - before >= PROPAGATION_WAIT and shown == shown_again:
            return "it was seen encrypted with the desired key"
    return _late(reason) or _unless(_names_last_error(reason), "the last error is not named")


def _names_last_error(reason: FailureReason) -> bool:
    """Whether the reason names the last error that no later call has cleared."""
    failing: dict[str, str] = {}
    for call in reason.calls:
        what = call.operation if call.service == "kinesis" else call.service
        failing.pop(what, None)
        if (call.error or call.lost) and call.error != "ValidationError":
            failing[what] = call.error
    last = list(failing.values())[-1:]
    return all(code in reason.fields["found"] or "..." in reason.fields["found"] for code in last)


def _shows_desired_key(reason: FailureReason, check: Call) -> bool:
    if check.shown is None:
        return False
    summary = check.shown["StreamDescriptionSummary"]
    key = reason.request.properties["KeyId"]
    same = reason.case.aws.kms.same(summary.get("KeyId"), key, reason.when)
    return bool(summary["StreamStatus"] == "ACTIVE") and same


def _late(reason: FailureReason) -> str:
    """Whether time was up."""
    request = reason.request
    if early := _early(reason):
        return early
    age, given = reason.when - int(request.issued), int(reason.fields["seconds"])
    dated = reason.case.aws.schedule.signature != "opaque"
    early_enough = age - 12 < given if dated else True
    return _unless(early_enough and given < age + 12, f"its age was {age:.0f} s")


def _early(reason: FailureReason) -> str:
    request, invocation = reason.request, reason.invocation
    reserve = min(RESERVE, (request.expires - request.issued) / 2)
    due = min(request.expires - reserve, invocation.deadline - RESPONSE_RESERVE) - 1
    return _unless(reason.when >= due, f"there were {due - reason.when:.0f} s left")


def _expired(reason: FailureReason) -> str:
    # The date of the URL has whole seconds.
    return _unless(reason.when >= reason.request.expires - 1, "it was in time")


def _stale(reason: FailureReason) -> str:
    """CloudFormation accepted the response, so it was waiting for it."""
    return "it was the current request"


def _service_error(reason: FailureReason) -> str:
    same = any(
        one.action == reason.fields["action"] and one.error == reason.fields["error_code"]
        for one in reason.calls
    )
    return _unless(same, "the service did not return that") or _preflight_only(reason)


def _preflight_only(reason: FailureReason) -> str:
    """Preflight checks fail open, so they fail no request."""
    return _unless(reason.fields["action"].startswith("kinesis:"), "it is a preflight check")


def _continuation_failed(reason: FailureReason) -> str:
    failed = any(one.operation == "Invoke" and one.shown is None for one in reason.calls)
    return _unless(failed, "Lambda did not fail")


def _unexpected(reason: FailureReason) -> str:
    """Only the timeout guard reports an unexpected failure."""
    detail, invocation = reason.fields["detail"], reason.invocation
    slow = any(one.hung or one.ended is None or one.ended > reason.when for one in reason.calls)
    late = invocation.began > reason.request.expires - LAST_SECONDS
    return _unless("time ran out" in detail and (slow or late), "no timeout explains it")


_CHECKS: dict[FailureCode, Callable[[FailureReason], str]] = {
    FailureCode.STREAM_NOT_FOUND: _not_found,
    FailureCode.STREAM_GONE: _not_found,
    FailureCode.STREAM_DELETING: _deleting,
    FailureCode.KEY_NOT_FOUND: _key_not_found,
    FailureCode.KEY_UNUSABLE: _key_unusable,
    FailureCode.KEY_UNSUITABLE: _key_unsuitable,
    FailureCode.KEY_REFUSED: _key_refused,
    FailureCode.LIMIT_EXCEEDED: _limit,
    FailureCode.ACCESS_DENIED: _denied,
    FailureCode.CHANGED_BY_OTHERS: _changed_by_others,
    FailureCode.TIMED_OUT: _timed_out,
    FailureCode.EXPIRED: _expired,
    FailureCode.STALE_REQUEST: _stale,
    FailureCode.SERVICE_ERROR: _service_error,
    FailureCode.CONTINUATION_FAILED: _continuation_failed,
    FailureCode.UNEXPECTED: _unexpected,
}
