"""What must hold of every schedule, each as one small check.

Each has the letter that docs/reliability.md tells of it by. Where an invariant cannot hold by the
nature of AWS, the check names the exemption, and each use of it is counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stream_encryption.failure import Cause
from tests.simulation import truth
from tests.simulation.api import REFUSALS, Call
from tests.simulation.cloudformation import Request
from tests.simulation.endpoint import SIGNATURE, Put
from tests.simulation.kinesis import Change, Stream
from tests.simulation.kms import AWS_OWNED_ALIAS
from tests.simulation.lambda_service import Invocation
from tests.simulation.reasons import read
from tests.simulation.schedule import is_malformed, stream_arn
from tests.simulation.world import World

SETTLING = 5.0
FRESH = 3.0
KEY_CHECK_VALIDITY = 35.0
LAST_SECONDS = 10.0
LONGEST_PAUSE = 30.0
LAST_POLLS = 150.0
STACK_LOOK_VALIDITY = 4.0
CLOCKS = 5.0


@dataclass(frozen=True)
class Violation:
    """An invariant that does not hold.

    Parameters
    ----------
    check
        Letter of the invariant and name of the check.
    detail
        Where.
    """

    check: str
    detail: str

    def __str__(self) -> str:
        return f"{self.check}: {self.detail}"


@dataclass
class Verdict:
    """What the checks found.

    Parameters
    ----------
    violations
        What does not hold.
    exemptions
        How often each exemption was used.
    """

    violations: list[Violation] = field(default_factory=list)
    exemptions: Counter[str] = field(default_factory=Counter)


class Case:
    """A world that has happened, as the checks look at it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.verdict = Verdict()
        self.requests = {request.id: request for request in world.cloudformation.requests}
        self.invocations: dict[str, list[Invocation]] = {}
        for invocation in world.lambda_service.invocations:
            self.invocations.setdefault(invocation.request_id, []).append(invocation)
        self.puts: dict[str, list[Put]] = {}
        for put in world.endpoint.puts:
            self.puts.setdefault(put.request_id, []).append(put)
        self.changes = [
            (stream, change)
            for stream in world.kinesis.streams.values()
            for change in stream.changes
        ]

    @property
    def staleness(self) -> float:
        """Seconds by which a look at a stream may be late."""
        return self.world.schedule.kinesis.staleness

    def exempt(self, exemption: str) -> None:
        """Count the use of an exemption."""
        self.verdict.exemptions[exemption] += 1

    def stream_of(self, request: Request) -> Stream | None:
        """The stream that a request is about."""
        return self.world.kinesis.streams.get(stream_arn(request.properties))

    def changes_by(self, request: Request) -> Iterator[Change]:
        """The changes that a request's invocations made."""
        for _, change in self.changes:
            if isinstance(change.by, Invocation) and change.by.request_id == request.id:
                yield change

    def looks(self, invocation: Invocation, before: float) -> list[Call]:
        """The looks at the stream that an invocation has been shown the outcome of."""
        return [
            call
            for call in invocation.calls
            if call.operation == "DescribeStreamSummary"
            and call.ended is not None
            and call.ended <= before
            and not call.lost
            and (not call.error or call.error == "ResourceNotFoundException")
        ]

    def last_look(self, invocation: Invocation, before: float) -> float:
        """When that was served which the invocation knew last of the stream."""
        looks = self.looks(invocation, before)
        return looks[-1].served or 0.0 if looks else invocation.began


Check = Callable[[Case], Iterator[str]]
CHECKS: dict[str, Check] = {}


def invariant(letter: str) -> Callable[[Check], Check]:
    """Enter a check under the letter of its invariant."""

    def enter(check: Check) -> Check:
        CHECKS[f"{letter} {check.__name__}"] = check
        return check

    return enter


def judge(world: World) -> Verdict:
    """Check everything about a world that has happened."""
    case = Case(world)
    for name, check in CHECKS.items():
        for detail in check(case):
            case.verdict.violations.append(Violation(name, detail))
    return case.verdict


# a. Each request has exactly one effective answer, and none after its invocation is over.


@invariant("a")
def every_request_is_answered(case: Case) -> Iterator[str]:
    for request in case.requests.values():
        if request.answer is not None or request.closed is None:
            continue
        invocations = [
            one
            for one in case.invocations.get(request.id, [])
            if one.began < request.expires - LAST_SECONDS
        ]
        puts = [put for put in case.puts.get(request.id, []) if put.began < request.expires]
        if not invocations:
            case.exempt("a: Lambda did not deliver the request in time")
        elif any(put.status == 403 for put in puts):
            case.exempt("a: the endpoint refused the answer for good")
        elif puts:
            case.exempt("a: the endpoint could not be reached")
        elif all(one.how == "killed" for one in invocations):
            case.exempt("a: Lambda killed every attempt")
        elif _polls_came_late(case, request):
            case.exempt("a: Lambda delivered none of the last polls in time")
        else:
            yield f"{request} was not answered"


@invariant("a")
def no_invocation_ends_without_effect(case: Case) -> Iterator[str]:
    """One that returns has answered, or left a rule that goes on."""
    for one in case.world.lambda_service.invocations:
        if one.how != "returned":
            continue
        puts = [put for put in case.puts.get(one.request_id, []) if put.invocation is one]
        told = any(put.status in (200, 403) for put in puts)
        goes_on = one.is_poll or any(
            call.operation == "PutTargets" and not call.error for call in one.calls
        )
        if not told and not goes_on:
            yield f"{one} returned without an answer or a rule"


@invariant("a")
def an_answer_is_tried_to_the_end(case: Case) -> Iterator[str]:
    """One that is not accepted is sent again until the invocation or the request ends."""
    for request in case.requests.values():
        tried: dict[int, Put] = {}
        for put in case.puts.get(request.id, []):
            tried[put.invocation.number] = put
        for last in tried.values():
            invocation = last.invocation
            end = min(invocation.deadline, request.expires)
            if last.status in (200, 403) or invocation.how == "killed" or last.ended is None:
                continue
            if last.ended < end - LONGEST_PAUSE and invocation.began < end - LAST_SECONDS:
                yield f"{invocation} gave up {end - last.ended:.0f} s before the end"


@invariant("a")
def nothing_outlives_its_invocation(case: Case) -> Iterator[str]:
    for invocation in case.world.lambda_service.invocations:
        if invocation.left_running:
            yield f"{invocation} left a thread or timer behind"
    for put in case.world.endpoint.puts:
        ended = put.invocation.ended
        if ended is not None and put.accepted is not None and put.accepted > ended:
            yield f"{put.invocation} answered after its end"


@invariant("a")
def no_invocation_answers_twice(case: Case) -> Iterator[str]:
    for puts in case.puts.values():
        done: set[int] = set()
        for put in puts:
            if put.invocation.number in done:
                yield f"{put.invocation} answered again after the endpoint had accepted"
            if put.status == 200:
                done.add(put.invocation.number)


@invariant("a")
def answers_are_valid(case: Case) -> Iterator[str]:
    for request in case.requests.values():
        if request.answer and request.answer.invalid:
            yield f"{request}: {request.answer.invalid}"


# b. SUCCESS: at that moment ACTIVE, KMS, the wanted key, settled.


@invariant("b")
def success_means_encrypted_with_the_wanted_key(case: Case) -> Iterator[str]:
    for request in _answered(case, "SUCCESS", "Create", "Update"):
        stream = case.stream_of(request)
        assert stream is not None, request
        assert request.answered is not None
        assert request.answered_by is not None
        when = request.answered
        state = stream.history.at(when)
        key = request.properties["KeyId"]
        good = state.status == "ACTIVE" and case.world.kms.same(state.key, key, when)
        if good:
            continue
        put = request.answered_by
        looked = case.last_look(put.invocation, put.began) - case.staleness
        if _others_did_something(case, stream, put.invocation, looked, when):
            case.exempt("b: the stream or the key was changed after the last look")
        elif _was_changed_twice(case, stream, put.invocation):
            case.exempt("b: the stream was changed twice at once, and described late")
        else:
            yield f"{request} answered SUCCESS, stream is {state}, wanted {key}"


@invariant("b")
def success_means_settled(case: Case) -> Iterator[str]:
    for request in _answered(case, "SUCCESS", "Create", "Update"):
        stream = case.stream_of(request)
        assert stream is not None
        assert request.answered is not None
        assert request.answered_by is not None
        when = request.answered
        last = [one for one in stream.changes if one.done is not None and one.done <= when]
        if not last or last[-1].done is None or when - last[-1].done >= SETTLING:
            continue
        change, invocation = last[-1], request.answered_by.invocation
        looks = case.looks(invocation, when)
        first = looks[0].served or when if looks else when
        if last[-1].done > case.last_look(invocation, when) - case.staleness:
            case.exempt("b: the stream or the key was changed after the last look")
        elif not _is_by(change, request) and change.done is not None and change.done <= first:
            case.exempt("b: somebody else's change ended just before the first look")
        elif change.by is not invocation and first - request.issued < FRESH:
            case.exempt("b: another delivery's change ended within the request's first seconds")
        elif case.world.kms.same(change.before.key, change.key or "", change.when):
            case.exempt("b: the key was set again, which leaves no trace between looks")
        else:
            yield f"{request} answered {when - last[-1].done:.1f} s after the change"


@invariant("b")
def attributes_are_true(case: Case) -> Iterator[str]:
    for request in _answered(case, "SUCCESS", "Create", "Update"):
        assert request.answered_by is not None
        put = request.answered_by
        data = json.loads(put.body)["Data"]
        stream = case.stream_of(request)
        assert stream is not None
        expected = {
            "StreamArn": stream.arn,
            "StreamName": stream.name,
            "StreamStatus": "ACTIVE",
            "EncryptionType": "KMS",
        }
        for name, value in expected.items():
            if data.get(name) != value:
                yield f"{request}: {name} is {data.get(name)}, not {value}"
        right = case.world.kms.same(data["KeyId"], request.properties["KeyId"], put.began)
        since = put.invocation.began - case.staleness
        if not right and not _others_did_something(case, stream, put.invocation, since, put.began):
            yield f"{request}: KeyId is {data['KeyId']}"
        own = [one for one in case.changes_by(request) if one.when < put.began]
        if data["Changed"] == "true" and not own:
            yield f"{request}: Changed is true, but nothing was"
        if data["Changed"] == "false" and any(one.by is put.invocation for one in own):
            yield f"{request}: Changed is false, but something was"


@invariant("b")
def success_of_delete_means_restored(case: Case) -> Iterator[str]:
    for request in _answered(case, "SUCCESS", "Delete"):
        if request.properties.get("OnDelete") != "Restore" or is_malformed(request.properties):
            continue
        stream = case.stream_of(request)
        assert stream is not None
        assert request.answered is not None
        state = stream.history.at(request.answered)
        if state.key is None or state.status == "DELETING":
            continue
        start = _own_change_from_plaintext(case, stream, request, request.answered)
        if start is None:
            continue
        assert isinstance(start.by, Invocation)
        starter = case.requests[start.by.request_id]
        if starter is not _adopting(case, stream, request):
            continue  # it had found the stream with a key: what it made of that is not undone
        excuse = next(_excuses_for_not_restoring(case, stream, request, start), None)
        if excuse:
            case.exempt(f"b: {excuse}")
        else:
            yield f"{request} answered SUCCESS, {stream.name} is {state}, encrypted by {starter}"


# c. FAILED: the reason names cause, stream and remedy, and is true.


@invariant("c")
def reasons_are_complete(case: Case) -> Iterator[str]:
    for request in _answered(case, "FAILED"):
        assert request.answer is not None
        if request.answer.invalid:
            continue
        told = read(request.answer.reason)
        stream = case.stream_of(request)
        if told is None:
            yield f"{request}: no cause with remedy: {request.answer.reason!r}"
        elif stream and not is_malformed(request.properties):
            if stream.name not in request.answer.reason:
                yield f"{request}: the stream is not named: {request.answer.reason!r}"
            if request.properties["KeyId"] not in request.answer.reason and told[0] not in (
                Cause.STREAM_NOT_FOUND,
                Cause.STREAM_DELETING,
            ):
                yield f"{request}: the key is not named: {request.answer.reason!r}"


@invariant("c")
def reasons_are_true(case: Case) -> Iterator[str]:
    for request in _answered(case, "FAILED"):
        assert request.answer is not None
        told = read(request.answer.reason)
        if told is None:
            continue
        lie = truth.lie(case, request, *told)
        if lie:
            yield f"{request}: {told[0].name}: {lie}: {request.answer.reason!r}"


# d. Encryption is never stopped unless this resource started it and nobody changed it since.


@invariant("d")
def only_own_encryption_is_stopped(case: Case) -> Iterator[str]:
    for stream, change in case.changes:
        if change.key is not None or not isinstance(change.by, Invocation):
            continue
        request = case.requests[change.by.request_id]
        if _own_change_from_plaintext(case, stream, request, change.when) is not None:
            continue
        looked = case.last_look(change.by, change.when) - case.staleness
        before = [one for one in stream.changes if one.when < change.when]
        if _others_did_something(case, stream, change.by, looked, change.when):
            case.exempt("d: the stream was changed between look and stop")
        elif (
            before
            and _started_by_stack(case, stream, request, change)
            and case.world.kms.same(before[-1].key, request.properties["KeyId"], change.when)
        ):
            case.exempt("d: others set the same key again, which leaves no trace")
        elif _started_on_outdated_description(case, stream, request, change):
            case.exempt("d: Kinesis still described the stream in plaintext when it was started")
        else:
            yield f"{request} ({change.by}) stopped {change.before} of {stream.name}"


@invariant("d")
def nothing_is_stopped_for_an_outdated_request(case: Case) -> Iterator[str]:
    yield from _outdated_changes(case, stops=True)


# e. No more StartStreamEncryption than necessary, and none for a bad key.


@invariant("e")
def every_start_is_necessary(case: Case) -> Iterator[str]:
    for stream, change in case.changes:
        if change.key is None or not isinstance(change.by, Invocation):
            continue
        if not case.world.kms.same(change.before.key, change.key, change.when):
            continue
        request = case.requests[change.by.request_id]
        looked = case.last_look(change.by, change.when) - case.staleness
        if _others_did_something(case, stream, change.by, looked, change.when):
            case.exempt("e: the stream or the key was changed between look and start")
        elif _alias_unreadable(case, change):
            case.exempt("e: the function could not look up which key an alias means")
        else:
            yield f"{request} ({change.by}) started {change.key} on {change.before}"


@invariant("e")
def nothing_is_started_for_an_outdated_request(case: Case) -> Iterator[str]:
    yield from _outdated_changes(case, stops=False)


@invariant("e")
def no_bad_key_is_tried(case: Case) -> Iterator[str]:
    for invocation in case.world.lambda_service.invocations:
        for call in invocation.calls:
            if call.operation != "StartStreamEncryption" or call.served is None:
                continue
            key = str(call.params["KeyId"])
            if key == AWS_OWNED_ALIAS or not _key_was_bad(case, key, call):
                continue
            looks = [
                one
                for one in invocation.calls
                if one.operation == "DescribeKey" and one.ended and one.ended <= call.began
            ]
            if any(one.shown or one.error == "NotFoundException" for one in looks) or not looks:
                yield f"{invocation} tried {key}"
            else:
                case.exempt("e: the function could not look at the key")


@invariant("e")
def nothing_is_called_for_a_malformed_request(case: Case) -> Iterator[str]:
    """Nothing but the removal of a rule, which an earlier delivery might have left."""
    for request in case.requests.values():
        if is_malformed(request.properties):
            for invocation in case.invocations.get(request.id, []):
                for call in invocation.calls:
                    if call.operation not in ("RemoveTargets", "DeleteRule"):
                        yield f"{request}: {invocation} called {call.action}"


# f. CloudFormation is in a stable state, no rule is left over.


@invariant("f")
def the_stack_comes_to_rest(case: Case) -> Iterator[str]:
    if not case.world.cloudformation.finished:
        yield "CloudFormation still waits"
    for stack in case.world.cloudformation.stacks:
        if not stack.status.endswith(("_COMPLETE", "_FAILED")):
            yield f"{stack.arn} is {stack.status}"


@invariant("f")
def no_rule_is_left_over(case: Case) -> Iterator[str]:
    for rule in case.world.events.rules.values():
        invocations = case.invocations[rule.request_id]
        removals = [
            call
            for one in invocations
            for call in one.calls
            if call.operation in ("RemoveTargets", "DeleteRule")
        ]
        last = invocations[-1]
        if any(call.error in REFUSALS[call.operation] for call in removals):
            case.exempt("f: EventBridge refused for good to remove the rule")
        elif last.how == "killed" and last.attempt == 3:
            case.exempt("f: Lambda killed every attempt")
        elif last.how == "timed out" and last.attempt == 3 and any(c.hung for c in last.calls):
            case.exempt("f: a call hung until the end of the last attempt")
        else:
            yield f"rule {rule.name} with {len(rule.targets)} targets of {rule.request_id}"


# g. The presigned URL is a credential.


@invariant("g")
def the_url_is_never_logged(case: Case) -> Iterator[str]:
    for invocation in case.world.lambda_service.invocations:
        if any(SIGNATURE in line for line in invocation.log):
            yield f"{invocation} logged it"


def _polls_came_late(case: Case, request: Request) -> bool:
    """Whether two polls or more were due in the last minutes, and not one of them came."""
    end = request.expires - LAST_SECONDS
    due = [when for when, id_ in case.world.events.fired if id_ == request.id and when < end]
    last = [when for when in due if when > end - LAST_POLLS]
    return len(last) >= 2 and not any(
        last[0] <= one.began <= end for one in case.invocations[request.id]
    )


def _answered(case: Case, status: str, *types: str) -> Iterator[Request]:
    for request in case.requests.values():
        answer = request.answer
        if answer and answer.status == status and (not types or request.type in types):
            yield request


def _is_by(change: Change, request: Request) -> bool:
    return isinstance(change.by, Invocation) and change.by.request_id == request.id


def _others_did_something(
    case: Case, stream: Stream, invocation: Invocation, begin: float, end: float
) -> bool:
    """Whether anybody but an invocation touched stream or aliases between two times."""
    touched = any(
        one.by is not invocation and (begin <= one.when <= end or begin <= (one.done or 0) <= end)
        for one in stream.changes
    )
    states = {state.created for state in stream.history.between(begin, end)}
    gone = any(state.status == "DELETING" for state in stream.history.between(begin, end))
    moved = any(len(alias.between(begin, end)) > 1 for alias in case.world.kms.aliases.values())
    return touched or gone or len(states) > 1 or moved


def _was_changed_twice(case: Case, stream: Stream, invocation: Invocation) -> bool:
    """Whether an invocation set a key that was set already, as late descriptions did not show."""
    return case.staleness > 0 and any(
        one.by is invocation and case.world.kms.same(one.before.key, one.key or "", one.when)
        for one in stream.changes
    )


def _own_change_from_plaintext(
    case: Case, stream: Stream, request: Request, when: float
) -> Change | None:
    """The start by which this stack ended plaintext, if nobody else changed the stream since."""
    created = stream.history.at(when).created
    for change in reversed([one for one in stream.changes if one.when < when]):
        if change.before.created != created or not isinstance(change.by, Invocation):
            return None
        if not _same_stack(case, change.by, request) or change.key is None:
            return None
        if change.before.key is None:
            return change
    return None


def _was_shown_plaintext(case: Case, invocation: Invocation, before: float) -> bool:
    """Whether the last look before a start showed a stream that is not encrypted."""
    looks = [look for look in case.looks(invocation, before) if look.shown]
    if not looks or looks[-1].shown is None:
        return True
    return bool(looks[-1].shown["StreamDescriptionSummary"]["EncryptionType"] == "NONE")


def _could_not_read_alias(invocation: Invocation) -> bool:
    """Whether an invocation looked in vain for the key that an alias means."""
    return any(call.operation == "DescribeKey" and not call.shown for call in invocation.calls)


def _excuses_for_not_restoring(
    case: Case, stream: Stream, delete: Request, start: Change
) -> Iterator[str]:
    """Say why a Delete could not know that it was this resource that ended plaintext."""
    assert isinstance(start.by, Invocation)
    assert delete.answered_by is not None
    assert delete.answered is not None
    starter = case.requests[start.by.request_id]
    answering = delete.answered_by.invocation
    key = stream.history.at(delete.answered).key
    if starter.answered_by is None:
        yield "CloudFormation never got the id that says what was found"
    elif not _asked_for_change(starter.answered_by):
        yield "the delivery that answered could not know who had changed the stream"
    if not case.world.kms.same(key, delete.properties["KeyId"], delete.answered):
        yield "a failed update left another key than the deleted resource has"
    if start.when >= case.last_look(answering, delete.answered) - case.staleness:
        yield "Kinesis still described the stream in plaintext when it was deleted"
    if not _was_shown_plaintext(case, start.by, start.when):
        yield "the stream was changed between look and start"
    if _could_not_read_alias(answering):
        yield "the function could not look up which key an alias means"
    if _moved_back(case, stream, starter, delete):
        yield "a rolled back replacement loses what was found"


def _adopting(case: Case, stream: Stream, delete: Request) -> Request | None:
    """The request by which the resource that is deleted has come to its stream."""
    moves = [
        one
        for one in case.requests.values()
        if one.issued < delete.issued
        and one.type != "Delete"
        and not one.is_rollback
        and one.event["StackId"] == delete.event["StackId"]
        and case.stream_of(one) is stream
        and not str(one.event.get("PhysicalResourceId", "")).startswith(stream.arn)
    ]
    return moves[-1] if moves else None


def _moved_back(case: Case, stream: Stream, starter: Request, delete: Request) -> bool:
    """Whether the resource came back to a stream by a rollback that knows the other one's id."""
    return any(
        one.is_rollback
        and one.type == "Update"
        and starter.issued < one.issued < delete.issued
        and case.stream_of(one) is stream
        and not str(one.event["PhysicalResourceId"]).startswith(stream.arn)
        for one in case.requests.values()
    )


def _asked_for_change(put: Put) -> bool:
    """Whether who answers, or whose wait it has gone on with, has asked for a change before."""
    invocation = put.invocation
    carried = invocation.event.get("CrHelperData", {}).get("Progress", {})
    return bool(carried.get("accepted") or carried.get("unanswered_since")) or any(
        call.operation == "StartStreamEncryption" and (call.lost or not call.error)
        for call in invocation.calls
        if call.ended is not None and call.ended <= put.began
    )


def _started_by_stack(case: Case, stream: Stream, request: Request, stop: Change) -> bool:
    """Whether this stack has ended plaintext on this incarnation at any time before."""
    return any(
        isinstance(one.by, Invocation)
        and _same_stack(case, one.by, request)
        and one.key is not None
        and one.before.key is None
        and one.before.created == stop.before.created
        for one in stream.changes
        if one.when < stop.when
    )


def _started_on_outdated_description(
    case: Case, stream: Stream, request: Request, stop: Change
) -> bool:
    """Whether this stack changed another's fresh encryption that Kinesis did not show yet."""
    for one in stream.changes:
        if one.when < stop.when and isinstance(one.by, Invocation) and one.before.key is not None:
            looked = case.last_look(one.by, one.when)
            states = stream.history.between(looked - case.staleness, looked)
            if _same_stack(case, one.by, request) and any(state.key is None for state in states):
                return True
    return False


def _same_stack(case: Case, invocation: Invocation, request: Request) -> bool:
    other = case.requests[invocation.request_id]
    return bool(other.event["StackId"] == request.event["StackId"])


def _outdated_changes(case: Case, *, stops: bool) -> Iterator[str]:
    letter = "d" if stops else "e"
    for stream, change in case.changes:
        if (change.key is None) is not stops or not isinstance(change.by, Invocation):
            continue
        request = case.requests[change.by.request_id]
        over = min(request.answered or change.when, request.closed or change.when)
        if over >= change.when:
            continue
        excuse = next(_excuses(case, request, change, change.by), None)
        if excuse:
            case.exempt(f"{letter}: {excuse}")
        else:
            yield (
                f"{request} ({change.by}) made {stream.name} {change.key or 'plaintext'}"
                f" {change.when - over:.1f} s after the request's end,"
                f" {change.when - request.issued:.1f} s after it was sent"
            )


def _excuses(case: Case, request: Request, change: Change, invocation: Invocation) -> Iterator[str]:
    """Say why a request that made a change could not be known to be over."""
    closed = request.closed or change.when
    asked = [
        one
        for one in invocation.calls
        if one.operation == "DescribeStackResource" and one.began < change.when
    ]
    shown = [one.served for one in asked if one.shown and one.served is not None]
    if closed >= change.when:
        yield "the stack did not show the request's end yet"
    if change.when - request.issued < FRESH:
        yield "another delivery was answered within the request's first seconds"
    if request.is_clean_up:
        yield "the stack never shows the deletion of what was replaced"
    if shown and shown[-1] <= closed and change.when - shown[-1] < STACK_LOOK_VALIDITY:
        yield "the request ended between look and change"
    if asked and not shown:
        yield "the function could not look at the stack"
    if _is_deleted_again(case, request, change.when):
        yield "the resource is being deleted again, by the same change"
    if request.overtaken and request.overtaken - request.issued < CLOCKS:
        yield "two requests came within the seconds by which CloudFormation's times may differ"


def _is_deleted_again(case: Case, request: Request, when: float) -> bool:
    """Whether a Delete of the same physical id is under way."""
    return request.type == "Delete" and any(
        one.type == "Delete"
        and one.issued <= when < (one.closed or when + 1)
        and one.event["PhysicalResourceId"] == request.event["PhysicalResourceId"]
        for one in case.requests.values()
        if one is not request
    )


def _alias_unreadable(case: Case, change: Change) -> bool:
    """Whether a look at an alias failed that would have told that the start is needless."""
    assert isinstance(change.by, Invocation)
    return any(
        call.operation == "DescribeKey" and not call.shown and call.error != "NotFoundException"
        for call in change.by.calls
    )


def _key_was_bad(case: Case, spelling: str, call: Call) -> bool:
    """Whether a key was unfit all the time in which a look at it could count."""
    kms = case.world.kms
    times = [call.began - KEY_CHECK_VALIDITY, call.began - KEY_CHECK_VALIDITY / 2, call.began]
    return not any((key := kms.resolve(spelling, when)) and key.is_fit for when in times)
