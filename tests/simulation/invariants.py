"""What must hold of every schedule, each as one small check.

Each has the letter that docs/testing.md tells of it by. Where an invariant cannot hold by the
nature of AWS, the check names the exemption, and each use of it is counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from stream_encryption.encryption.failure import FailureCode
from tests.simulation import truth
from tests.simulation.api import Call
from tests.simulation.cloudformation import FINISHED, Request
from tests.simulation.endpoint import SECRET, Put
from tests.simulation.kinesis import CHANGES_EXCEEDED, Change, Stream
from tests.simulation.kms import AWS_MANAGED_ALIAS
from tests.simulation.lambda_service import Invocation
from tests.simulation.reasons import read
from tests.simulation.schedule import is_malformed, stream_arn
from tests.simulation.world import World

SETTLING = 5.0
"""Seconds after ACTIVE in which records may still be written in plaintext."""
RETRIED = 45.0
"""Age on arrival, in seconds, from which an earlier delivery of a request is presumed."""
LOOK_VALIDITY = 8.0
"""Seconds from a look at key or stack to the end of a change that may still rely on it."""
SOON = 5.0
"""Seconds after a request was sent in which a status that ends one may be that of another."""
MINUTE = 60.0
"""The same for a request in progress, for a stack at rest, and for a request without a date."""
LAST_SECONDS = 10.0
"""Seconds before the end of a request in which a delivery may come too late."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts to answer, at most."""
PROTECTION = 15.0
"""Seconds that looks which only protect may cost an invocation in vain."""
QUOTA_PATIENCE, QUOTA_TRIES = 300.0, 12
"""Seconds and times that a quota is tried at most, pauses for other reasons included."""
SHORTEST_GAP, LONGEST_GAP = 0.5, 2.3
"""Bounds of the seconds between two looks at a stream that changes, jitter included."""
SLOWED = 120.0
"""Seconds for which throttling may make the pauses longer."""
HOPS = 4
OK = 200
RESTED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
UNDATED = "a, b, e: a URL without a date does not tell how old a request is"
UNREADABLE = "e: the function could not look at the stack"
NOT_SHOWN = "e: the stack did not show the request's end when it was looked at"
ENDED_SOON = "e: the request ended within five seconds of being sent"
ROLLED_BACK_SOON = "e: the request was rolled back within a minute of being sent"
ANOTHER_SOON = "e: another request was sent within a minute"
NOT_SHOWN_YET = "e: the stack shows the request's end only when its operation ends"
ROLLING_BACK = (
    "e: the stack says of the resource that it is being rolled back, which proves nothing"
)
REMOVED = "e: the resource was removed, and the stack has been updated since"


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

    @property
    def starts(self) -> Iterator[tuple[Stream, Change, Invocation]]:
        """The changes that the function made."""
        for stream, change in self.changes:
            if change.key is not None and isinstance(change.by, Invocation):
                yield stream, change, change.by

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
        if request.answer is not None or request.closed is None or request.cancelled:
            continue
        invocations = [
            one
            for one in case.invocations.get(request.id, [])
            if one.began < request.expires - LAST_SECONDS
        ]
        puts = [put for put in case.puts.get(request.id, []) if put.began < request.expires]
        hops = max((one.hops for one in invocations), default=0)
        last = [one for one in invocations if one.hops == hops]
        if not last or any(_handed_over(one) for one in last):
            case.exempt("a: Lambda did not deliver the request, or its next hop, in time")
        elif any(put.status == 403 for put in puts):
            case.exempt("a: the endpoint refused the answer for good")
        elif any(put.status != OK for put in puts):
            case.exempt("a: the endpoint could not be reached")
        elif all(one.how == "killed" for one in last):
            case.exempt("a: Lambda killed every attempt")
        elif _tells_no_time(case, request):
            case.exempt(UNDATED)
        else:
            yield f"{request} was not answered"


@invariant("a")
def no_invocation_ends_without_effect(case: Case) -> Iterator[str]:
    """One that returns has answered, or handed over."""
    for one in case.world.lambda_service.invocations:
        if one.how != "returned":
            continue
        puts = [put for put in case.puts.get(one.request_id, []) if put.invocation is one]
        told = any(put.status in (OK, 403) for put in puts)
        if not told and not _handed_over(one):
            yield f"{one} returned without an answer or a next hop"


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
            if last.status in (OK, 403) or invocation.how == "killed" or last.ended is None:
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
            if put.status == OK:
                done.add(put.invocation.number)


@invariant("a")
def answers_are_valid(case: Case) -> Iterator[str]:
    for request in case.requests.values():
        if request.answer and request.answer.invalid:
            yield f"{request}: {request.answer.invalid}"


# b. SUCCESS: at that moment ACTIVE, KMS, the wanted key, settled.


@invariant("b")
def success_means_encrypted_with_the_wanted_key(case: Case) -> Iterator[str]:
    for request, put in _answered(case, "SUCCESS", "Create", "Update"):
        stream = case.stream_of(request)
        if stream is None or is_malformed(request.properties):
            yield f"{request} is malformed and answered SUCCESS"
            continue
        assert request.answered is not None
        when, key = request.answered, request.properties["KeyId"]
        state = stream.history.at(when)
        if state.status == "ACTIVE" and case.world.kms.same(state.key, key, when):
            continue
        looked = case.last_look(put.invocation, put.began) - case.staleness
        looks_at_key = [one.began for one in put.invocation.calls if _is_key_look(one, put.began)]
        if _others_did_something(case, stream, put.invocation, looked, when) or _an_alias_moved(
            case, min(looks_at_key[-1:], default=when), when
        ):
            case.exempt("b: the stream or the key was changed after the last look")
        elif state.status == "ACTIVE" and _alias_unreadable(put.invocation, put.began):
            case.exempt("b: the function could not look up which key an alias means")
        else:
            yield f"{request} answered SUCCESS, stream is {state}, wanted {key}"


@invariant("b")
def success_means_settled(case: Case) -> Iterator[str]:
    for request, put in _answered(case, "SUCCESS", "Create", "Update"):
        stream = case.stream_of(request)
        assert stream is not None
        assert request.answered is not None
        when, invocation = request.answered, put.invocation
        done = [one for one in stream.changes if one.done is not None and one.done <= when]
        if not done or not _is_by(done[-1], request):
            continue
        change, since = done[-1], done[-1].done or when
        if when - since >= SETTLING:
            continue
        if since > case.last_look(invocation, when) - case.staleness:
            case.exempt("b: the stream or the key was changed after the last look")
        elif _is_parallel(change, invocation) and invocation.began - request.issued < RETRIED:
            case.exempt("b: a parallel delivery of a young request changed the stream")
        elif case.world.kms.same(change.before.key, change.key or "", change.when):
            case.exempt("b: the key was set again, which leaves no trace between two looks")
        elif case.world.schedule.signature == "opaque":
            case.exempt(UNDATED)
        else:
            yield f"{request} answered {when - since:.1f} s after the change"


@invariant("b")
def attributes_are_true(case: Case) -> Iterator[str]:
    for request, put in _answered(case, "SUCCESS", "Create", "Update"):
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
            right = case.world.kms.same(data[name], request.properties["KeyId"], put.began)
            if not right and not (
                _others_did_something(case, stream, put.invocation, since, put.began)
                or _alias_unreadable(put.invocation, put.began)
            ):
                yield f"{request}: {name} is {data[name]}"
        if request.answer and request.answer.physical_id != stream.arn:
            yield f"{request}: the physical id is {request.answer.physical_id}"


# c. FAILED: the reason names cause, stream and remedy, and is true.


@invariant("c")
def reasons_are_complete(case: Case) -> Iterator[str]:
    for request, _ in _answered(case, "FAILED"):
        assert request.answer is not None
        if request.answer.invalid:
            continue
        reason = request.answer.reason
        told = read(reason)
        stream = case.stream_of(request)
        if told is None:
            yield f"{request}: no cause with remedy: {reason!r}"
        elif stream and not is_malformed(request.properties):
            if stream.name not in reason:
                yield f"{request}: the stream is not named: {reason!r}"
            keyless = told[0] in (FailureCode.STREAM_NOT_FOUND, FailureCode.STREAM_DELETING)
            if request.properties["KeyId"] not in reason and not keyless:
                yield f"{request}: the key is not named: {reason!r}"


@invariant("c")
def reasons_are_true(case: Case) -> Iterator[str]:
    for request, _ in _answered(case, "FAILED"):
        assert request.answer is not None
        told = read(request.answer.reason)
        lie = told and truth.lie(case, request, *told)
        if told and lie:
            yield f"{request}: {told[0].name}: {lie}: {request.answer.reason!r}"


# d. Nothing ends encryption, and a Delete does nothing at all.


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
        if request.answer and request.answer.status != "SUCCESS":
            yield f"{request}: {request.answer.reason}"
        for invocation in case.invocations.get(request.id, []):
            for call in invocation.calls:
                yield f"{request}: {invocation} called {call.action}"
            puts = [put for put in case.puts.get(request.id, []) if put.invocation is invocation]
            if puts and puts[0].began > invocation.began + 1:
                yield f"{request}: {invocation} answered after {puts[0].began} s"


# e. No more StartStreamEncryption than necessary, and none for a bad key; no more looks than that.


@invariant("e")
def every_start_is_necessary(case: Case) -> Iterator[str]:
    for stream, change, invocation in case.starts:
        if not case.world.kms.same(change.before.key, change.key or "", change.when):
            continue
        request = case.requests[invocation.request_id]
        looked = case.last_look(invocation, change.when) - case.staleness
        if _others_did_something(case, stream, invocation, looked, change.when):
            case.exempt("e: the stream or the key was changed between look and start")
        elif _alias_unreadable(invocation, change.when):
            case.exempt("e: the function could not look up which key an alias means")
        else:
            yield f"{request} ({invocation}) started {change.key} on {change.before}"


@invariant("e")
def nobody_is_fought(case: Case) -> Iterator[str]:
    """Who has been told that its change was accepted asks for no other one."""
    for invocation in case.world.lambda_service.invocations:
        accepted = [
            call
            for call in invocation.calls
            if call.operation == "StartStreamEncryption" and call.shown is not None
        ]
        if len(accepted) > 1:
            yield f"{invocation} started {len(accepted)} times"


@invariant("e")
def nothing_is_started_for_an_outdated_request(case: Case) -> Iterator[str]:
    for stream, change, invocation in case.starts:
        request = case.requests[invocation.request_id]
        over = min(request.answered or change.when, request.closed or change.when)
        if over >= change.when:
            continue
        excuse = next(_excuses(case, request, change, invocation), None)
        if excuse:
            case.exempt(excuse)
        else:
            yield (
                f"{request} ({invocation}) made {stream.name} {change.key}"
                f" {change.when - over:.1f} s after the request's end,"
                f" {change.when - request.issued:.1f} s after it was sent"
            )


@invariant("e")
def no_bad_key_is_tried(case: Case) -> Iterator[str]:
    for invocation in case.world.lambda_service.invocations:
        for call in invocation.calls:
            if call.operation != "StartStreamEncryption" or call.served is None:
                continue
            key = str(call.params["KeyId"])
            if key == AWS_MANAGED_ALIAS or not _key_was_bad(case, key, call):
                continue
            looks = [
                one
                for one in invocation.calls
                if one.operation == "DescribeKey" and one.ended and one.ended <= call.began
            ]
            # A look in vain at an alias may have taken the time of the one at the key.
            others = [one for one in looks if one.params["KeyId"] != key and not _in_vain(one)]
            looks = [one for one in looks if one not in others]
            if not looks or not _in_vain(looks[-1]):
                yield f"{invocation} tried {key}"
            else:
                case.exempt("e: the function could not look at the key")


@invariant("e")
def a_cancelled_create_never_applies_its_deleted_key(case: Case) -> Iterator[str]:
    """A key that was created with it goes with the rollback: that has the fewest excuses."""
    new = {operation.new_key for operation in case.world.schedule.operations}
    for stream, change, invocation in case.starts:
        request = case.requests[invocation.request_id]
        cancelled = request.type == "Create" and request.cancelled
        key = case.world.kms.resolve(request.properties["KeyId"], change.when)
        # What is asked for after the deletion is judged by no_bad_key_is_tried.
        if not cancelled or key is None or key.key_id not in new or not key.is_fit:
            continue
        if change.when <= (request.closed or change.when):
            continue
        excuse = next(_excuses(case, request, change, invocation), None)
        if excuse not in (UNREADABLE, NOT_SHOWN, ENDED_SOON, UNDATED):
            yield f"{request} ({invocation}) made {stream.name} {change.key}: {excuse}"


@invariant("e")
def nothing_is_called_for_a_malformed_request(case: Case) -> Iterator[str]:
    for request in case.requests.values():
        if is_malformed(request.properties):
            for invocation in case.invocations.get(request.id, []):
                for call in invocation.calls:
                    yield f"{request}: {invocation} called {call.action}"


@invariant("e")
def a_spent_quota_is_not_tried_for_ever(case: Case) -> Iterator[str]:
    for invocation in case.world.lambda_service.invocations:
        starts = [one for one in invocation.calls if one.operation == "StartStreamEncryption"]
        # One that gets no answer may have been accepted: what is refused after it begins anew.
        for unanswered, series in groupby(starts, lambda one: one.unanswered):
            refused = [one.began for one in series if _names_quota(one)]
            if unanswered or not refused:
                continue
            if refused[-1] - refused[0] > QUOTA_PATIENCE:
                yield f"{invocation} tried for {refused[-1] - refused[0]:.0f} s"
            if len(refused) > QUOTA_TRIES:
                yield f"{invocation} tried {len(refused)} times"


@invariant("e")
def looks_that_protect_cost_little(case: Case) -> Iterator[str]:
    for invocation in case.world.lambda_service.invocations:
        vain = [
            call
            for call in invocation.calls
            if call.operation in ("DescribeKey", "DescribeStackResource", "DescribeStacks")
            and call.shown is None
            and call.error not in ("NotFoundException", "ValidationError")
            and call.ended is not None
            and not call.hung
        ]
        cost = sum((call.ended or call.began) - call.began for call in vain)
        if cost > PROTECTION:
            yield f"{invocation} spent {cost:.0f} s on {len(vain)} looks in vain"


@invariant("e")
def looks_keep_their_pace(case: Case) -> Iterator[str]:
    """While a stream changes and nothing goes wrong: not too often, and often enough."""
    for invocation in case.world.lambda_service.invocations:
        slowed = [one.ended or 0.0 for one in invocation.calls if _slows(one)]
        gaps = [
            after.began - (before.ended or after.began)
            for before, after in pairwise(invocation.calls)
            if _shows_change(before)
            and after.operation == before.operation
            and not any(before.began - SLOWED < one <= after.began for one in slowed)
        ]
        # One may be short: the last look falls on the deadline.
        short = [gap for gap in gaps if gap < SHORTEST_GAP][1:]
        for gap in (*short, *(gap for gap in gaps if gap > LONGEST_GAP)):
            yield f"{invocation} looked again after {gap:.2f} s"


# f. CloudFormation comes to rest, and the stream has the key that the stack says.


@invariant("f")
def the_stack_comes_to_rest(case: Case) -> Iterator[str]:
    if not case.world.cloudformation.finished:
        yield "CloudFormation still waits"
    for stack in case.world.cloudformation.stacks:
        if not stack.status.endswith(("_COMPLETE", "_FAILED")):
            yield f"{stack.arn} is {stack.status}"


@invariant("f")
def the_stream_has_the_key_of_the_stack(case: Case) -> Iterator[str]:
    stacks = case.world.cloudformation.stacks
    if not stacks or stacks[-1].status not in RESTED:
        return
    stack, resource = stacks[-1], stacks[-1].resource
    stream = case.world.kinesis.streams[stream_arn(resource.properties)]
    last = [change for change in stream.changes if change.done is not None][-1:]
    if not last or not isinstance(last[0].by, Invocation):
        return
    starter = case.requests[last[0].by.request_id]
    if (starter.closed or 0.0) < last[0].when:
        return  # see nothing_is_started_for_an_outdated_request
    state, now = stream.history.value, case.world.scheduler.now
    same = case.world.kms.same(state.key, resource.properties["KeyId"], now)
    if same or state.created != last[0].before.created:
        return
    told = [
        put
        for request, put in _answered(case, "SUCCESS", "Create", "Update")
        if request.event["LogicalResourceId"] == resource.logical_id
    ][-1]
    looked = case.last_look(told.invocation, told.began) - case.staleness
    if last[0].done is not None and last[0].done >= looked:
        return  # see success_means_encrypted_with_the_wanted_key
    if any(len(one.between(starter.issued, now)) > 1 for one in case.world.kms.aliases.values()):
        return
    if starter.event["LogicalResourceId"] != resource.logical_id:
        case.exempt("f: what a renamed construct changed stays when it is rolled back")
    else:
        yield f"{stream.name} is {state} by {starter}, {stack.status}: {resource.properties}"


@invariant("f")
def chains_of_invocations_are_short(case: Case) -> Iterator[str]:
    # Other code that leaves aside what it is told begins to count anew.
    chains = 1 + case.world.faults.counts["lambda: other code behind a hand-over"]
    for invocation in case.world.lambda_service.invocations:
        if invocation.hops > HOPS * chains:
            yield f"{invocation} is hop {invocation.hops}"


# g. The presigned URL is a credential.


@invariant("g")
def the_url_is_never_logged(case: Case) -> Iterator[str]:
    for invocation in case.world.lambda_service.invocations:
        if any(SECRET in line for line in invocation.log):
            yield f"{invocation} logged it"


def _answered(case: Case, status: str, *types: str) -> Iterator[tuple[Request, Put]]:
    for request in case.requests.values():
        answer = request.answer
        if answer and answer.status == status and (not types or request.type in types):
            assert request.answered_by is not None
            yield request, request.answered_by


def _handed_over(invocation: Invocation) -> bool:
    """Whether Lambda has taken an invocation's hand-over."""
    return any(call.operation == "Invoke" and call.result for call in invocation.calls)


def _tells_no_time(case: Case, request: Request) -> bool:
    """Whether the function could not know when a request had been sent."""
    undated = case.world.schedule.signature == "opaque"
    forgotten = case.world.faults.counts["lambda: other code behind a hand-over"] > 0
    return undated and (
        forgotten
        or all(
            one.began > request.issued + 2 or one.how == "killed"
            for one in case.invocations[request.id]
            if not one.hops
        )
    )


def _is_by(change: Change, request: Request) -> bool:
    return isinstance(change.by, Invocation) and change.by.request_id == request.id


def _is_parallel(change: Change, invocation: Invocation) -> bool:
    """Whether a change was made by another delivery that has not handed over to this one."""
    return (
        isinstance(change.by, Invocation)
        and change.by is not invocation
        and change.by.hops >= invocation.hops
    )


def _slows(call: Call) -> bool:
    """Whether a call failed so that the ones that follow should come later."""
    return call.operation == "DescribeStreamSummary" and (call.unanswered or call.throttled)


def _names_quota(call: Call) -> bool:
    """Whether a call was refused in the words of a spent quota."""
    return call.message.startswith(CHANGES_EXCEEDED.partition("{")[0])


def _in_vain(look: Call) -> bool:
    """Whether a look at a key showed nothing of it."""
    return not look.shown and look.error != "NotFoundException"


def _shows_change(call: Call) -> bool:
    """Whether a call is a look that showed a stream which changes."""
    summary = (call.shown or {}).get("StreamDescriptionSummary", {})
    return summary.get("StreamStatus") in ("CREATING", "UPDATING")


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
    return touched or gone or len(states) > 1 or _an_alias_moved(case, begin, end)


def _an_alias_moved(case: Case, begin: float, end: float) -> bool:
    begin -= case.world.kms.lag
    return any(len(alias.between(begin, end)) > 1 for alias in case.world.kms.aliases.values())


def _is_key_look(call: Call, before: float) -> bool:
    return call.operation == "DescribeKey" and call.began < before


def _excuses(case: Case, request: Request, change: Change, invocation: Invocation) -> Iterator[str]:
    """Say why a request that made a change could not be proved to be over."""
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
    if change.when - (done.ended or done.began) >= LOOK_VALIDITY:
        return
    traits = case.world.schedule.cloudformation
    if last.served is not None and last.served - traits.lag <= closed:
        yield NOT_SHOWN
    if case.world.schedule.signature == "opaque":
        # It counts from the arrival of this delivery, or of the one that handed over to it.
        forgets = case.world.faults.counts["lambda: other code behind a hand-over"] > 0
        deliveries = case.invocations[request.id]
        arrivals = [one.began for one in deliveries if forgets or not one.hops]
        arrived = max(one for one in arrivals if one <= invocation.began)
        if closed - arrived <= MINUTE or last.began - arrived <= MINUTE:
            yield UNDATED
    elif removed and stack and stack.shown:
        status = stack.shown["Stacks"][0]["StackStatus"]
        yield from _excuses_of_stack(request, status, age=last.began - request.issued)
    elif last.shown:
        detail = last.shown["StackResourceDetail"]
        newer_by = detail["LastUpdatedTimestamp"].timestamp() - request.issued
        yield from _excuses_of_status(request, detail["ResourceStatus"], newer_by)


def _excuses_of_stack(request: Request, status: str, age: float) -> Iterator[str]:
    undone = status.startswith(("ROLLBACK_", "UPDATE_ROLLBACK_", "DELETE_"))
    if undone and status.endswith(FINISHED) and age <= MINUTE:
        yield ROLLED_BACK_SOON
    if status.startswith(("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")):
        yield REMOVED


def _excuses_of_status(request: Request, status: str, newer_by: float) -> Iterator[str]:
    if status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
        if newer_by <= MINUTE:
            yield ANOTHER_SOON
    elif status == "UPDATE_ROLLBACK_IN_PROGRESS":
        yield ROLLING_BACK
    elif newer_by <= SOON:
        ended = (request.closed or request.expires) - request.issued
        yield ENDED_SOON if ended <= SOON else NOT_SHOWN_YET


def _alias_unreadable(invocation: Invocation, before: float) -> bool:
    """Whether a look at an alias failed that would have told that the start is needless."""
    return any(
        call.operation == "DescribeKey"
        and call.began < before
        and not call.shown
        and call.error != "NotFoundException"
        for call in invocation.calls
    )


def _key_was_bad(case: Case, spelling: str, call: Call) -> bool:
    """Whether a key was unfit all the time in which a look at it could count."""
    kms = case.world.kms
    times = kms.moments(call.began - LOOK_VALIDITY - kms.lag, call.began)
    return not any((key := kms.resolve(spelling, when)) and key.is_fit for when in times)
