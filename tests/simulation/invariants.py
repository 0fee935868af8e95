"""The invariants of every schedule, one small check for each.

The letter of a check is the one of its invariant in docs/testing.md. Where AWS makes an invariant
impossible to keep, the check names an exemption, and the uses of each exemption are counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from simulated_aws.api import Call
from simulated_aws.cloudformation import FINISHED, Request
from simulated_aws.kinesis import CHANGES_EXCEEDED, Change, Stream
from simulated_aws.kms import AWS_MANAGED_ALIAS
from simulated_aws.lambda_service import Invocation
from simulated_aws.response_endpoint import SECRET, Put
from stream_encryption.encryption.failure import FailureCode
from tests.simulation import reason_checks
from tests.simulation.outcome import Violation
from tests.simulation.reason_checks import PROPAGATION_WAIT
from tests.simulation.reasons import parse
from tests.simulation.schedule import is_malformed, stream_arn
from tests.simulation.simulation import HandlerSimulation

RETRIED = 45.0
"""Seconds after which a delivery counts as a retry of an earlier one."""
CHECK_VALIDITY = 8.0
"""Seconds after which a change must not rely on a check of key or stack any more."""
STATUS_MARGIN = 5.0
"""Seconds after a request was sent in which a final status may belong to another request."""
MINUTE = 60.0
"""The same for a status in progress, for an idle stack, and for a request without a date."""
LAST_SECONDS = 10.0
"""Seconds before the end of a request in which a delivery may be too late."""
MAX_RETRY_PAUSE = 30.0
"""Longest pause between two attempts to send a response, in seconds."""
PREFLIGHT_SECONDS = 15.0
"""Seconds that failing preflight checks may cost an invocation."""
QUOTA_SECONDS, QUOTA_TRIES = 300.0, 12
"""How long and how often an exhausted quota may be retried, other pauses included."""
MIN_POLL_GAP, MAX_POLL_GAP = 0.5, 2.3
"""Bounds of the polling interval in seconds while a stream changes, jitter included."""
SLOWED_POLLS = 4
"""Successful polls after which a pause may still be longer than that: a failed one allows up to
45 s, and each successful one halves it."""
MAX_CONTINUATIONS = 4
OK = 200
STABLE_STATUSES = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
UNDATED = "a, b, e: the URL has no date, so the age of the request is unknown"
UNREADABLE = "e: the function could not describe the stack"
END_NOT_SHOWN = "e: the stack did not show the request's end when it was described"
ENDED_SOON = "e: the request ended within five seconds of being sent"
ROLLED_BACK_SOON = "e: the request was rolled back within a minute of being sent"
ANOTHER_SOON = "e: another request was sent within a minute"
NOT_SHOWN_YET = "e: the stack shows the request's end only when its operation ends"
ROLLING_BACK = "e: the resource is shown as being rolled back, which proves nothing"
REMOVED = "e: the resource was removed, and the stack has been updated since"


@dataclass
class CheckResult:
    """Result of the checks.

    Parameters
    ----------
    violations
        Invariants that do not hold.
    exemptions
        How often each exemption was used.
    """

    violations: list[Violation] = field(default_factory=list)
    exemptions: Counter[str] = field(default_factory=Counter)


class Case:
    """A finished schedule, indexed for the checks."""

    def __init__(self, aws: HandlerSimulation) -> None:
        self.aws = aws
        self.result = CheckResult()
        self.requests = {request.id: request for request in aws.cloudformation.requests}
        self.invocations: dict[str, list[Invocation]] = {}
        for invocation in aws.lambda_service.invocations:
            self.invocations.setdefault(invocation.request_id, []).append(invocation)
        self.puts: dict[str, list[Put]] = {}
        for put in aws.endpoint.puts:
            self.puts.setdefault(put.request_id, []).append(put)
        self.changes = [
            (stream, change) for stream in aws.kinesis.streams.values() for change in stream.changes
        ]

    @property
    def staleness(self) -> float:
        """Seconds by which a stream description may be stale."""
        return self.aws.schedule.kinesis.staleness

    def exempt(self, exemption: str) -> None:
        """Count the use of an exemption."""
        self.result.exemptions[exemption] += 1

    def stream_of(self, request: Request) -> Stream | None:
        """The stream of a request."""
        return self.aws.kinesis.streams.get(stream_arn(request.properties))

    def changes_by(self, request: Request) -> Iterator[Change]:
        """The stream changes that the invocations of a request made."""
        for _, change in self.changes:
            if isinstance(change.by, Invocation) and change.by.request_id == request.id:
                yield change

    @property
    def starts(self) -> Iterator[tuple[Stream, Change, Invocation]]:
        """The changes to the encryption that the function started."""
        for stream, change in self.changes:
            if change.key is not None and isinstance(change.by, Invocation):
                yield stream, change, change.by

    def descriptions(self, invocation: Invocation, before: float) -> list[Call]:
        """The DescribeStreamSummary calls whose result an invocation received."""
        return [
            call
            for call in invocation.calls
            if call.operation == "DescribeStreamSummary"
            and call.ended is not None
            and call.ended <= before
            and not call.lost
            and (not call.error or call.error == "ResourceNotFoundException")
        ]

    def last_described(self, invocation: Invocation, before: float) -> float:
        """When Kinesis served the last stream description that the invocation received."""
        descriptions = self.descriptions(invocation, before)
        return descriptions[-1].served or 0.0 if descriptions else invocation.began


Check = Callable[[Case], Iterator[str]]
CHECKS: dict[str, Check] = {}


def invariant(letter: str) -> Callable[[Check], Check]:
    """Register a check under the letter of its invariant."""

    def register(check: Check) -> Check:
        CHECKS[f"{letter} {check.__name__}"] = check
        return check

    return register


def check_invariants(aws: HandlerSimulation) -> CheckResult:
    """Run all checks on a finished schedule."""
    case = Case(aws)
    for name, check in CHECKS.items():
        for detail in check(case):
            case.result.violations.append(Violation(name, detail))
    return case.result


# a. Each request has exactly one effective response, and none after its invocation has ended.


@invariant("a")
def every_request_gets_a_response(case: Case) -> Iterator[str]:
    for request in case.requests.values():
        if request.response is not None or request.closed is None or request.canceled:
            continue
        invocations = [
            one
            for one in case.invocations.get(request.id, [])
            if one.began < request.expires - LAST_SECONDS
        ]
        puts = [put for put in case.puts.get(request.id, []) if put.began < request.expires]
        continuation = max((one.continuation for one in invocations), default=0)
        last = [one for one in invocations if one.continuation == continuation]
        if not last or any(_continued(one) for one in last):
            case.exempt("a: Lambda did not deliver the request, or its continuation, in time")
        elif any(put.status == 403 for put in puts):
            case.exempt("a: the endpoint rejected the response permanently")
        elif any(put.status != OK for put in puts):
            case.exempt("a: the endpoint could not be reached")
        elif all(one.how == "killed" for one in last):
            case.exempt("a: Lambda killed every attempt")
        elif _age_unknown(case, request):
            case.exempt(UNDATED)
        else:
            yield f"{request} got no response"


@invariant("a")
def no_invocation_ends_without_effect(case: Case) -> Iterator[str]:
    """One that returns has sent a response or continued in a new invocation."""
    for one in case.aws.lambda_service.invocations:
        if one.how != "returned":
            continue
        puts = [put for put in case.puts.get(one.request_id, []) if put.invocation is one]
        responded = any(put.status in (OK, 403) for put in puts)
        if not responded and not _continued(one):
            yield f"{one} returned without a response or a continuation"


@invariant("a")
def a_response_is_retried_until_the_end(case: Case) -> Iterator[str]:
    """One that is not accepted is sent again until the invocation or the request ends."""
    for request in case.requests.values():
        tried: dict[int, Put] = {}
        for put in case.puts.get(request.id, []):
            tried[put.invocation.number] = put
        for last in tried.values():
            invocation = last.invocation
            end = min(invocation.deadline, request.expires)
            if last.status in (OK, 403) or invocation.how == "killed" or last.ended is None:
                continue
            if last.ended < end - MAX_RETRY_PAUSE and invocation.began < end - LAST_SECONDS:
                yield f"{invocation} gave up {end - last.ended:.0f} s before the end"


@invariant("a")
def nothing_outlives_its_invocation(case: Case) -> Iterator[str]:
    for invocation in case.aws.lambda_service.invocations:
        if invocation.left_running:
            yield f"{invocation} left a thread or timer behind"
    for put in case.aws.endpoint.puts:
        ended = put.invocation.ended
        if ended is not None and put.accepted is not None and put.accepted > ended:
            yield f"{put.invocation} responded after its end"


@invariant("a")
def no_invocation_responds_twice(case: Case) -> Iterator[str]:
    for puts in case.puts.values():
        done: set[int] = set()
        for put in puts:
            if put.invocation.number in done:
                yield f"{put.invocation} responded again after the endpoint had accepted"
            if put.status == OK:
                done.add(put.invocation.number)


@invariant("a")
def responses_are_valid(case: Case) -> Iterator[str]:
    for request in case.requests.values():
        if request.response and request.response.invalid:
            yield f"{request}: {request.response.invalid}"


# b. SUCCESS: ACTIVE, KMS, and the desired key at that moment, after the propagation wait.


@invariant("b")
def success_means_encrypted_with_the_desired_key(case: Case) -> Iterator[str]:
    for request, put in _responded(case, "SUCCESS", "Create", "Update"):
        stream = case.stream_of(request)
        if stream is None or is_malformed(request.properties):
            yield f"{request} is malformed and its response is SUCCESS"
            continue
        assert request.responded is not None
        when, key = request.responded, request.properties["KeyId"]
        state = stream.history.at(when)
        if state.status == "ACTIVE" and case.aws.kms.same(state.key, key, when):
            continue
        described_at = case.last_described(put.invocation, put.began) - case.staleness
        key_checks = [one.began for one in put.invocation.calls if _is_key_check(one, put.began)]
        if _changed_by_others(case, stream, put.invocation, described_at, when) or _alias_moved(
            case, min(key_checks[-1:], default=when), when
        ):
            case.exempt("b: the stream or the key was changed after the last check")
        elif state.status == "ACTIVE" and _alias_unreadable(put.invocation, put.began):
            case.exempt("b: the function could not resolve an alias")
        else:
            yield f"{request} is SUCCESS, stream is {state}, desired {key}"


@invariant("b")
def success_follows_the_propagation_wait(case: Case) -> Iterator[str]:
    for request, put in _responded(case, "SUCCESS", "Create", "Update"):
        stream = case.stream_of(request)
        assert stream is not None
        assert request.responded is not None
        when, invocation = request.responded, put.invocation
        done = [one for one in stream.changes if one.done is not None and one.done <= when]
        if not done or not _is_by(done[-1], request):
            continue
        change, since = done[-1], done[-1].done or when
        if when - since >= PROPAGATION_WAIT:
            continue
        if since > case.last_described(invocation, when) - case.staleness:
            case.exempt("b: the stream or the key was changed after the last check")
        elif _is_parallel(change, invocation) and invocation.began - request.issued < RETRIED:
            case.exempt("b: a parallel delivery of a young request changed the stream")
        elif _could_show_earlier(case, stream, change, since - case.staleness):
            case.exempt("b: a description may show the same key from before the change")
        elif case.aws.schedule.signature == "opaque":
            case.exempt(UNDATED)
        else:
            yield f"{request} is SUCCESS {when - since:.1f} s after the change"


def _could_show_earlier(case: Case, stream: Stream, change: Change, since: float) -> bool:
    """Whether a description since then may show an earlier state with the key of a change."""
    before = change.when - 1e-6
    return any(
        state.status == "ACTIVE" and case.aws.kms.same(state.key, change.key or "", change.when)
        for state in stream.history.between(min(before, since), before)
    )


@invariant("b")
def attributes_are_correct(case: Case) -> Iterator[str]:
    for request, put in _responded(case, "SUCCESS", "Create", "Update"):
        data = json.loads(put.body)["Data"]
        stream = case.stream_of(request)
        assert stream is not None
        expected = {
            "StreamArn": stream.arn,
            "StreamName": stream.name,
            "EncryptionType": "KMS",
        }
        for name, value in expected.items():
            if data.get(name) != value:
                yield f"{request}: {name} is {data.get(name)}, not {value}"
        if data.keys() != {*expected, "KeyId", "KeyArn"}:
            yield f"{request}: the attributes are {', '.join(data)}"
            continue
        since = put.invocation.began - case.staleness
        for name in ("KeyId", "KeyArn"):
            correct = case.aws.kms.same(data[name], request.properties["KeyId"], put.began)
            if not correct and not (
                _changed_by_others(case, stream, put.invocation, since, put.began)
                or _alias_unreadable(put.invocation, put.began)
            ):
                yield f"{request}: {name} is {data[name]}"
        if request.response and request.response.physical_id != stream.arn:
            yield f"{request}: the physical ID is {request.response.physical_id}"


# c. FAILED: the reason names cause, stream, and remedy, and is accurate.


@invariant("c")
def reasons_are_complete(case: Case) -> Iterator[str]:
    for request, _ in _responded(case, "FAILED"):
        assert request.response is not None
        if request.response.invalid:
            continue
        reason = request.response.reason
        parsed = parse(reason)
        stream = case.stream_of(request)
        if parsed is None:
            yield f"{request}: no cause with remedy: {reason!r}"
        elif stream and not is_malformed(request.properties):
            if stream.name not in reason:
                yield f"{request}: the stream is not named: {reason!r}"
            keyless = parsed[0] in (FailureCode.STREAM_NOT_FOUND, FailureCode.STREAM_DELETING)
            if request.properties["KeyId"] not in reason and not keyless:
                yield f"{request}: the key is not named: {reason!r}"


@invariant("c")
def reasons_are_accurate(case: Case) -> Iterator[str]:
    for request, _ in _responded(case, "FAILED"):
        assert request.response is not None
        parsed = parse(request.response.reason)
        inaccuracy = parsed and reason_checks.inaccuracy(case, request, *parsed)
        if parsed and inaccuracy:
            yield f"{request}: {parsed[0].name}: {inaccuracy}: {request.response.reason!r}"


# d. Nothing stops encryption, and a Delete makes no API call.


@invariant("d")
def nothing_is_stopped(case: Case) -> Iterator[str]:
    for stream, change in case.changes:
        if change.key is None and isinstance(change.by, Invocation):
            yield f"{case.requests[change.by.request_id]} ({change.by}) stopped {stream.name}"


@invariant("d")
def a_delete_succeeds_and_calls_nothing(case: Case) -> Iterator[str]:
    for request in case.requests.values():
        if request.type != "Delete":
            continue
        if request.response and request.response.status != "SUCCESS":
            yield f"{request}: {request.response.reason}"
        for invocation in case.invocations.get(request.id, []):
            for call in invocation.calls:
                yield f"{request}: {invocation} called {call.action}"
            puts = [put for put in case.puts.get(request.id, []) if put.invocation is invocation]
            if puts and puts[0].began > invocation.began + 1:
                yield f"{request}: {invocation} responded after {puts[0].began} s"


# e. No unnecessary StartStreamEncryption, none with an unusable key, and no excessive polling.


@invariant("e")
def every_start_is_necessary(case: Case) -> Iterator[str]:
    for stream, change, invocation in case.starts:
        if not case.aws.kms.same(change.before.key, change.key or "", change.when):
            continue
        request = case.requests[invocation.request_id]
        described_at = case.last_described(invocation, change.when) - case.staleness
        if _changed_by_others(case, stream, invocation, described_at, change.when):
            case.exempt("e: the stream or the key was changed between check and start")
        elif _alias_unreadable(invocation, change.when):
            case.exempt("e: the function could not resolve an alias")
        else:
            yield f"{request} ({invocation}) started {change.key} on {change.before}"


@invariant("e")
def no_invocation_starts_encryption_twice(case: Case) -> Iterator[str]:
    """An invocation whose change was accepted makes no second one."""
    for invocation in case.aws.lambda_service.invocations:
        accepted = [
            call
            for call in invocation.calls
            if call.operation == "StartStreamEncryption" and call.shown is not None
        ]
        if len(accepted) > 1:
            yield f"{invocation} started {len(accepted)} times"


@invariant("e")
def nothing_is_started_for_a_stale_request(case: Case) -> Iterator[str]:
    for stream, change, invocation in case.starts:
        request = case.requests[invocation.request_id]
        over = min(request.responded or change.when, request.closed or change.when)
        if over >= change.when:
            continue
        exemption = next(_exemptions(case, request, change, invocation), None)
        if exemption:
            case.exempt(exemption)
        else:
            yield (
                f"{request} ({invocation}) made {stream.name} {change.key}"
                f" {change.when - over:.1f} s after the request's end,"
                f" {change.when - request.issued:.1f} s after it was sent"
            )


@invariant("e")
def no_unusable_key_is_tried(case: Case) -> Iterator[str]:
    for invocation in case.aws.lambda_service.invocations:
        for call in invocation.calls:
            if call.operation != "StartStreamEncryption" or call.served is None:
                continue
            key = str(call.params["KeyId"])
            if key == AWS_MANAGED_ALIAS or not _key_was_unusable(case, key, call):
                continue
            checks = [
                one
                for one in invocation.calls
                if one.operation == "DescribeKey" and one.ended and one.ended <= call.began
            ]
            # A failing check of an alias may have used up the time for that of the key.
            checks = [one for one in checks if one.params["KeyId"] == key or _failed(one)]
            if not checks or not _failed(checks[-1]):
                yield f"{invocation} tried {key}"
            else:
                case.exempt("e: the function could not describe the key")


@invariant("e")
def a_canceled_create_never_applies_its_deleted_key(case: Case) -> Iterator[str]:
    """The rollback deletes a key that was created with it, so fewer exemptions apply."""
    new = {operation.new_key for operation in case.aws.schedule.operations}
    for stream, change, invocation in case.starts:
        request = case.requests[invocation.request_id]
        canceled = request.type == "Create" and request.canceled
        key = case.aws.kms.resolve(request.properties["KeyId"], change.when)
        # A start after the deletion is the subject of no_unusable_key_is_tried.
        if not canceled or key is None or key.key_id not in new or not key.is_suitable:
            continue
        if change.when <= (request.closed or change.when):
            continue
        exemption = next(_exemptions(case, request, change, invocation), None)
        if exemption not in (UNREADABLE, END_NOT_SHOWN, ENDED_SOON, UNDATED):
            yield f"{request} ({invocation}) made {stream.name} {change.key}: {exemption}"


@invariant("e")
def nothing_is_called_for_a_malformed_request(case: Case) -> Iterator[str]:
    for request in case.requests.values():
        if is_malformed(request.properties):
            for invocation in case.invocations.get(request.id, []):
                for call in invocation.calls:
                    yield f"{request}: {invocation} called {call.action}"


@invariant("e")
def an_exhausted_quota_is_not_retried_forever(case: Case) -> Iterator[str]:
    for invocation in case.aws.lambda_service.invocations:
        starts = [one for one in invocation.calls if one.operation == "StartStreamEncryption"]
        # One without a response may have been accepted: the count starts again after it.
        for unknown, series in groupby(starts, lambda one: one.outcome_unknown):
            refused = [one.began for one in series if _names_quota(one)]
            if unknown or not refused:
                continue
            if refused[-1] - refused[0] > QUOTA_SECONDS:
                yield f"{invocation} tried for {refused[-1] - refused[0]:.0f} s"
            if len(refused) > QUOTA_TRIES:
                yield f"{invocation} tried {len(refused)} times"


@invariant("e")
def preflight_checks_are_cheap(case: Case) -> Iterator[str]:
    for invocation in case.aws.lambda_service.invocations:
        failed = [
            call
            for call in invocation.calls
            if call.operation in ("DescribeKey", "DescribeStackResource", "DescribeStacks")
            and call.shown is None
            and call.error not in ("NotFoundException", "ValidationError")
            and call.ended is not None
            and not call.hung
        ]
        cost = sum((call.ended or call.began) - call.began for call in failed)
        if cost > PREFLIGHT_SECONDS:
            yield f"{invocation} spent {cost:.0f} s on {len(failed)} failing checks"


@invariant("e")
def polling_keeps_its_pace(case: Case) -> Iterator[str]:
    """While a stream changes and no call fails: neither too often nor too rarely."""
    for invocation in case.aws.lambda_service.invocations:
        gaps, polls = [], SLOWED_POLLS
        for before, after in pairwise(invocation.calls):
            if before.operation == "DescribeStreamSummary":
                polls = 0 if _slows(before) else polls + 1
            if (
                polls > SLOWED_POLLS
                and _shows_change(before)
                and after.operation == before.operation
            ):
                gaps.append(after.began - (before.ended or after.began))
        # One may be short: the last check falls on the deadline.
        short = [gap for gap in gaps if gap < MIN_POLL_GAP][1:]
        for gap in (*short, *(gap for gap in gaps if gap > MAX_POLL_GAP)):
            yield f"{invocation} polled again after {gap:.2f} s"


# f. CloudFormation reaches a final status, and the stream has the key of the stack.


@invariant("f")
def the_stack_reaches_a_final_status(case: Case) -> Iterator[str]:
    if not case.aws.cloudformation.finished:
        yield "CloudFormation is still waiting"
    for stack in case.aws.cloudformation.stacks:
        if not stack.status.endswith(FINISHED):
            yield f"{stack.arn} is {stack.status}"


@invariant("f")
def the_stream_has_the_key_of_the_stack(case: Case) -> Iterator[str]:
    stacks = case.aws.cloudformation.stacks
    if not stacks or stacks[-1].status not in STABLE_STATUSES:
        return
    stack, resource = stacks[-1], stacks[-1].resource
    stream = case.aws.kinesis.streams[stream_arn(resource.properties)]
    last = [change for change in stream.changes if change.done is not None][-1:]
    if not last or not isinstance(last[0].by, Invocation):
        return
    starter = case.requests[last[0].by.request_id]
    if (starter.closed or 0.0) < last[0].when:
        return  # see nothing_is_started_for_a_stale_request
    state, now = stream.history.value, case.aws.scheduler.now
    same = case.aws.kms.same(state.key, resource.properties["KeyId"], now)
    if same or state.created != last[0].before.created:
        return
    last_put = [
        put
        for request, put in _responded(case, "SUCCESS", "Create", "Update")
        if request.event["LogicalResourceId"] == resource.logical_id
    ][-1]
    described_at = case.last_described(last_put.invocation, last_put.began) - case.staleness
    if last[0].done is not None and last[0].done >= described_at:
        return  # see success_means_encrypted_with_the_desired_key
    if any(len(one.between(starter.issued, now)) > 1 for one in case.aws.kms.aliases.values()):
        return
    yield f"{stream.name} is {state} by {starter}, {stack.status}: {resource.properties}"


@invariant("f")
def continuations_are_few(case: Case) -> Iterator[str]:
    # A version that ignores the fields of the continuation starts counting again.
    chains = 1 + case.aws.faults.counts["lambda: another version receives a continuation"]
    for invocation in case.aws.lambda_service.invocations:
        if invocation.continuation > MAX_CONTINUATIONS * chains:
            yield f"{invocation} is continuation {invocation.continuation}"


# g. The presigned URL is a credential.


@invariant("g")
def the_url_is_never_logged(case: Case) -> Iterator[str]:
    for invocation in case.aws.lambda_service.invocations:
        if any(SECRET in line for line in invocation.log):
            yield f"{invocation} logged it"


def _responded(case: Case, status: str, *types: str) -> Iterator[tuple[Request, Put]]:
    for request in case.requests.values():
        response = request.response
        if response and response.status == status and (not types or request.type in types):
            assert request.response_put is not None
            yield request, request.response_put


def _continued(invocation: Invocation) -> bool:
    """Whether Lambda accepted the continuation of an invocation."""
    return any(call.operation == "Invoke" and call.result for call in invocation.calls)


def _age_unknown(case: Case, request: Request) -> bool:
    """Whether the function could not know when a request was sent."""
    undated = case.aws.schedule.signature == "opaque"
    restarted = case.aws.faults.counts["lambda: another version receives a continuation"] > 0
    return undated and (
        restarted
        or all(
            one.began > request.issued + 2 or one.how == "killed"
            for one in case.invocations[request.id]
            if not one.continuation
        )
    )


def _is_by(change: Change, request: Request) -> bool:
    return isinstance(change.by, Invocation) and change.by.request_id == request.id


def _is_parallel(change: Change, invocation: Invocation) -> bool:
    """Whether a parallel delivery made a change, rather than a predecessor of this one."""
    return (
        isinstance(change.by, Invocation)
        and change.by is not invocation
        and change.by.continuation >= invocation.continuation
    )


def _slows(call: Call) -> bool:
    """Whether a call failed in a way that calls for longer pauses."""
    return call.operation == "DescribeStreamSummary" and (call.outcome_unknown or call.throttled)


def _names_quota(call: Call) -> bool:
    """Whether the error message is the one of an exhausted quota."""
    return call.message.startswith(CHANGES_EXCEEDED.partition("{")[0])


def _failed(call: Call) -> bool:
    """Whether a check of a key returned no information about it."""
    return not call.shown and call.error != "NotFoundException"


def _shows_change(call: Call) -> bool:
    """Whether a call showed a stream in transition."""
    summary = (call.shown or {}).get("StreamDescriptionSummary", {})
    return summary.get("StreamStatus") in ("CREATING", "UPDATING")


def _changed_by_others(
    case: Case, stream: Stream, invocation: Invocation, begin: float, end: float
) -> bool:
    """Whether anything but an invocation changed stream or aliases between two times."""
    touched = any(
        one.by is not invocation and (begin <= one.when <= end or begin <= (one.done or 0) <= end)
        for one in stream.changes
    )
    states = {state.created for state in stream.history.between(begin, end)}
    gone = any(state.status == "DELETING" for state in stream.history.between(begin, end))
    return touched or gone or len(states) > 1 or _alias_moved(case, begin, end)


def _alias_moved(case: Case, begin: float, end: float) -> bool:
    begin -= case.aws.kms.lag
    return any(len(alias.between(begin, end)) > 1 for alias in case.aws.kms.aliases.values())


def _is_key_check(call: Call, before: float) -> bool:
    return call.operation == "DescribeKey" and call.began < before


def _exemptions(
    case: Case, request: Request, change: Change, invocation: Invocation
) -> Iterator[str]:
    """Yield why a request that made a change could not be recognized as stale."""
    closed = request.closed or change.when
    calls = [one for one in invocation.calls if one.began < change.when]
    asked = [one for one in calls if one.operation == "DescribeStackResource"]
    if not asked:
        return
    last = asked[-1]
    stack = next((one for one in calls[calls.index(last) :] if "Stacks" in one.operation), None)
    removed = last.error == "ValidationError"
    if not (removed or last.shown) or (stack and not stack.shown):
        yield UNREADABLE
    done = stack or last
    if change.when - (done.ended or done.began) >= CHECK_VALIDITY:
        return
    traits = case.aws.schedule.cloudformation
    if last.served is not None and last.served - traits.lag <= closed:
        yield END_NOT_SHOWN
    if case.aws.schedule.signature == "opaque":
        # The age counts from the arrival of this delivery, or of the one that it continues.
        restarted = case.aws.faults.counts["lambda: another version receives a continuation"] > 0
        deliveries = case.invocations[request.id]
        arrivals = [one.began for one in deliveries if restarted or not one.continuation]
        arrived = max(one for one in arrivals if one <= invocation.began)
        if closed - arrived <= MINUTE or last.began - arrived <= MINUTE:
            yield UNDATED
    # What does not prove the end of a request proves it no better without a date.
    if removed and stack and stack.shown:
        status = stack.shown["Stacks"][0]["StackStatus"]
        yield from _exemptions_of_stack(request, status, age=last.began - request.issued)
    elif last.shown:
        detail = last.shown["StackResourceDetail"]
        newer_by = detail["LastUpdatedTimestamp"].timestamp() - request.issued
        yield from _exemptions_of_status(request, detail["ResourceStatus"], newer_by)


def _exemptions_of_stack(request: Request, status: str, age: float) -> Iterator[str]:
    rolled_back = status.startswith(("ROLLBACK_", "UPDATE_ROLLBACK_", "DELETE_"))
    if rolled_back and status.endswith(FINISHED) and age <= MINUTE:
        yield ROLLED_BACK_SOON
    if status.startswith(("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")):
        yield REMOVED


def _exemptions_of_status(request: Request, status: str, newer_by: float) -> Iterator[str]:
    if status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
        if newer_by <= MINUTE:
            yield ANOTHER_SOON
    elif status == "UPDATE_ROLLBACK_IN_PROGRESS":
        yield ROLLING_BACK
    elif newer_by <= STATUS_MARGIN:
        ended = (request.closed or request.expires) - request.issued
        yield ENDED_SOON if ended <= STATUS_MARGIN else NOT_SHOWN_YET


def _alias_unreadable(invocation: Invocation, before: float) -> bool:
    """Whether a key check failed that would have shown the start to be unnecessary."""
    return any(_is_key_check(call, before) and _failed(call) for call in invocation.calls)


def _key_was_unusable(case: Case, identifier: str, call: Call) -> bool:
    """Whether a key was unusable for as long as a check of it is valid."""
    kms = case.aws.kms
    times = kms.moments(call.began - CHECK_VALIDITY - kms.lag, call.began)
    return not any((key := kms.resolve(identifier, when)) and key.is_suitable for when in times)
