"""Whether a reason is true: one small judgement for each entry of the catalogue of failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stream_encryption.encryption.failure import FailureCode
from tests.simulation.api import Call
from tests.simulation.cloudformation import Request
from tests.simulation.kinesis import State
from tests.simulation.kms import USABLE
from tests.simulation.lambda_service import Invocation
from tests.simulation.schedule import is_malformed

if TYPE_CHECKING:
    from tests.simulation.invariants import Case

Fields = dict[str, str]
RESERVE = 60.0
SETTLING = 5.0
LATE = 20.0
"""Seconds before the end in which a delivery may be too late for anything."""
MISSING = ("NotFoundException", "InvalidArnException")
KMS_LAG = 14.0
"""Seconds for which KMS is asked again."""
ANSWER_RESERVE = 20.0
"""Seconds before the end of request or invocation at which waiting may end."""

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


class Told:
    """A reason that was told, and what was known when it was."""

    def __init__(self, case: Case, request: Request, fields: Fields) -> None:
        assert request.answered is not None
        assert request.answered_by is not None
        self.case = case
        self.request = request
        self.fields = fields
        self.invocation: Invocation = request.answered_by.invocation
        # The reason was made before the first attempt to deliver it.
        self.when = next(
            put.began for put in case.puts[request.id] if put.invocation is self.invocation
        )
        self.calls = [one for one in self.invocation.calls if one.began <= self.when]

    def last(self, operation: str) -> Call | None:
        """The last call of an operation."""
        return next((one for one in reversed(self.calls) if one.operation == operation), None)

    @property
    def key_look(self) -> Call | None:
        """The last look at the wanted key that showed it, or that there is none."""
        key = self.request.properties["KeyId"]
        looks = [one for one in self.calls if one.operation == "DescribeKey"]
        looks = [one for one in looks if one.shown or one.error in MISSING]
        return next((one for one in reversed(looks) if one.params["KeyId"] == key), None)

    def stream_was(self, condition: Callable[[State], bool]) -> bool:
        """Whether the stream was so at any time that the last look may have shown."""
        stream = self.case.stream_of(self.request)
        assert stream is not None
        looked = self.case.last_look(self.invocation, self.when)
        return any(
            condition(state)
            for state in stream.history.between(looked - self.case.staleness, self.when)
        )

    def asked_after(self, look: Call | None) -> bool:
        """Whether a change was asked for after a look."""
        starts = [one for one in self.calls if one.operation == "StartStreamEncryption"]
        return look is not None and any(one.began > look.began for one in starts)


def lie(case: Case, request: Request, cause: FailureCode, fields: Fields) -> str:
    """Say what is not true of a reason; empty when it is true."""
    told = Told(case, request, fields)
    if cause in MALFORMED or is_malformed(request.properties):
        sound = not is_malformed(request.properties)
        return "the properties are sound" if sound else "" if cause in MALFORMED else "malformed"
    return _JUDGEMENTS[cause](told)


def _unless(condition: bool, otherwise: str) -> str:
    return "" if condition else otherwise


def _not_found(told: Told) -> str:
    return _unless(told.stream_was(lambda state: not state.status), "the stream exists")


def _deleting(told: Told) -> str:
    return _unless(told.stream_was(lambda state: state.status == "DELETING"), "not DELETING")


def _key_not_found(told: Told) -> str:
    look = told.key_look
    missing = look is not None and look.error in MISSING
    return (
        _unless(missing, "KMS did not say so")
        or _nothing_more(told)
        or _unless(_lasted(told, _shows_unusable_key), "KMS was not asked again")
    )


def _key_unusable(told: Told) -> str:
    look = told.key_look
    shown = look and look.shown
    state = shown["KeyMetadata"]["KeyState"] if shown else ""
    return (
        _unless(state == told.fields["state"], f"the state was {state}")
        or _nothing_more(told)
        or _unless(_lasted(told, _shows_unusable_key), "KMS was not asked again")
    )


def _key_unsuitable(told: Told) -> str:
    look = told.key_look
    shown = look and look.shown
    spec = shown["KeyMetadata"]["KeySpec"] if shown else ""
    usage = shown["KeyMetadata"]["KeyUsage"] if shown else ""
    same = (spec, usage) == (told.fields["spec"], told.fields["usage"])
    return _unless(same, f"it was {spec}, {usage}") or _nothing_more(told)


def _shows_unusable_key(call: Call) -> bool:
    if call.operation != "DescribeKey":
        return False
    key = (call.shown or {}).get("KeyMetadata", {})
    return call.error in MISSING or key.get("KeyState", "Enabled") not in USABLE


def _lasted(told: Told, shows: Callable[[Call], bool]) -> bool:
    """Whether calls showed the same for as long as KMS may be late, or until time was up."""
    shown = [one for one in told.calls if shows(one)]
    lasted = bool(shown) and (shown[-1].ended or told.when) - shown[0].began >= KMS_LAG
    return lasted or not _early(told)


def _nothing_more(told: Told) -> str:
    return "a change was asked for" if told.asked_after(told.key_look) else ""


def _key_refused(told: Told) -> str:
    start = told.last("StartStreamEncryption")
    code = told.fields["error_code"]
    same = start is not None and start.error == code
    return _unless(same, "Kinesis did not refuse it so") or _unless(
        _lasted(told, lambda call: call.error.startswith("KMS")), "it was not tried again"
    )


def _limit(told: Told) -> str:
    """The stream's quota was named, in this invocation or one that handed over to it."""
    starts = [
        one
        for invocation in told.case.invocations[told.request.id]
        for one in invocation.calls
        if one.operation == "StartStreamEncryption" and one.began <= told.when
    ]
    named = any(told.fields["detail"] == one.message for one in starts)
    handed_over = told.invocation.hops > 0 and any("stream" in one.message for one in starts)
    last = told.last("StartStreamEncryption")
    taken = last is not None and (last.unanswered or not last.error)
    return _unless((named or handed_over) and not taken, "Kinesis did not say so")


def _denied(told: Told) -> str:
    refused = [one for one in told.calls if one.action == told.fields["action"]]
    denied = bool(refused) and ("Denied" in refused[-1].error)
    if not denied:
        return "the last call was not denied"
    denial = told.case.world.iam.denial(refused[-1].action, refused[-1].served or 0.0)
    kind = denial.policy.removesuffix("policy") if denial else ""
    named = kind in told.fields["remedy"]
    return _unless(named, f"it was denied by another policy: {kind}") or _protects(told)


def _changed_by_others(told: Told) -> str:
    stream = told.case.stream_of(told.request)
    own = list(told.case.changes_by(told.request))
    if stream is None or not own:
        return "nothing was started"
    since = own[0].when
    others = [one for one in stream.changes if one.when > since and one not in own]
    recreated = len({state.created for state in stream.history.between(since, told.when)}) > 1
    moved = any(
        len(alias.between(since, told.when)) > 1 for alias in told.case.world.kms.aliases.values()
    )
    return _unless(bool(others) or moved or recreated, "nobody else changed anything")


def _timed_out(told: Told) -> str:
    """Two looks in a row that show the same, and as wanted, would have confirmed it."""
    good = [
        (look.served, look.shown)
        for look in told.case.looks(told.invocation, told.when)[-2:]
        if look.served is not None and _shows_wanted_key(told, look)
    ]
    readable = all(one.shown for one in told.calls if one.operation == "DescribeKey")
    if len(good) == 2 and readable:
        (before, shown), (after, shown_again) = good
        if after - before >= SETTLING and shown == shown_again:
            return "it was seen encrypted with the wanted key"
    return _late(told) or _unless(_names_last_error(told), "the last error is not named")


def _names_last_error(told: Told) -> bool:
    """Whether the error is named of the last of those calls that have not succeeded since."""
    failing: dict[str, str] = {}
    for call in told.calls:
        what = call.operation if call.service == "kinesis" else call.service
        failing.pop(what, None)
        if (call.error or call.lost) and call.error != "ValidationError":
            failing[what] = call.error
    last = list(failing.values())[-1:]
    return all(code in told.fields["found"] or "..." in told.fields["found"] for code in last)


def _shows_wanted_key(told: Told, look: Call) -> bool:
    if look.shown is None:
        return False
    summary = look.shown["StreamDescriptionSummary"]
    key = told.request.properties["KeyId"]
    same = told.case.world.kms.same(summary.get("KeyId"), key, told.when)
    return bool(summary["StreamStatus"] == "ACTIVE") and same


def _late(told: Told) -> str:
    """Whether time was really up."""
    request = told.request
    if early := _early(told):
        return early
    age, given = told.when - int(request.issued), int(told.fields["seconds"])
    known = told.case.world.schedule.signature != "opaque"
    true = age - 12 < given if known else True
    return _unless(true and given < age + 12, f"its age was {age:.0f} s")


def _early(told: Told) -> str:
    request, invocation = told.request, told.invocation
    reserve = min(RESERVE, (request.expires - request.issued) / 2)
    due = min(request.expires - reserve, invocation.deadline - ANSWER_RESERVE) - 1
    return _unless(told.when >= due, f"there were {due - told.when:.0f} s left")


def _expired(told: Told) -> str:
    # The URL's date has whole seconds.
    return _unless(told.when >= told.request.expires - 1, "it was in time")


def _stale(told: Told) -> str:
    """CloudFormation took the answer, so it was waiting for it."""
    return "it was the current request"


def _service_error(told: Told) -> str:
    same = any(
        one.action == told.fields["action"] and one.error == told.fields["error_code"]
        for one in told.calls
    )
    return _unless(same, "the service did not say so") or _protects(told)


def _protects(told: Told) -> str:
    """Looks that only protect fail no request."""
    return _unless(told.fields["action"].startswith("kinesis:"), "it only protects")


def _not_handed_over(told: Told) -> str:
    failed = any(one.operation == "Invoke" and one.shown is None for one in told.calls)
    return _unless(failed, "Lambda did not fail")


def _unexpected(told: Told) -> str:
    """Only the alarm before the end tells of what is in no catalogue."""
    detail, invocation = told.fields["detail"], told.invocation
    slow = any(one.hung or one.ended is None or one.ended > told.when for one in told.calls)
    late = invocation.began > told.request.expires - LATE
    return _unless("time ran out" in detail and (slow or late), "something was not expected")


_JUDGEMENTS: dict[FailureCode, Callable[[Told], str]] = {
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
    FailureCode.CONTINUATION_FAILED: _not_handed_over,
    FailureCode.UNEXPECTED: _unexpected,
}
