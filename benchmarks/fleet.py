"""Many streams of one account, all at once, against its quotas, in virtual time."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.figures import say, summary
from benchmarks.settings import Settings
from benchmarks.simulation.peers import PEERS, Peer
from benchmarks.simulation.service import LOOK, START, Answer, Call, Kinesis, Quota, stream_arn
from benchmarks.waits import settling
from tests.simulation.scheduler import Scheduler

LOOKS_A_SECOND = 20.0
STARTS_A_SECOND = 5.0
"""Assumed: the service's documentation gives no figure that was found."""

_UPDATING = (2.0, 6.0)
_ARRIVAL = (0.0, 0.9)
_WINDOW = 10.0
_BYSTANDER = stream_arn("somebody-elses")
_BYSTANDER_INTERVAL = 1.0
_BEGIN = 1_800_000_000.0
_LONGEST = 8000.0

_FIRST_SEED = 1000
"""The constants of the pace were chosen on other seeds."""

_LOOKS_NEEDED = {"ours": 3, "AwsCustomResource": 0}
"""Looks that a peer cannot do without: ours before the change, at ACTIVE, and once settled."""


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Measure all peers at all sizes."""
    say(f"fleet: {settings.fleets} simulated fleets for each peer and size")
    return [
        _row(name, peer, size, settings.fleets)
        for size in settings.fleet_sizes
        for name, peer in PEERS.items()
    ]


def bound(peer: str, size: int) -> float:
    """Seconds that the quotas and the service allow at best, for changes of medium length.

    Each bucket is full at the beginning. Calls take no time, and nobody ever waits in vain.
    """
    looks = _LOOKS_NEEDED.get(peer, 1) * size
    queue = max(
        (size - STARTS_A_SECOND) / STARTS_A_SECOND,
        (looks - LOOKS_A_SECOND) / LOOKS_A_SECOND,
        0.0,
    )
    waits = 0.0 if peer == "AwsCustomResource" else sum(_UPDATING) / 2
    return queue + waits + settling(peer)


def _row(name: str, peer: Peer, size: int, runs: int) -> dict[str, Any]:
    least = bound(name, size)
    finished, asked, asked_in_all, looks, throttled, starts = [], [], [], [], [], []
    bystander = []
    failures = Counter[str]()
    for run in range(runs):
        answers, kinesis = _run(peer, size, seed=_FIRST_SEED + run)
        finished.append(max(answer.at for answer in answers) - _BEGIN)
        failures.update(_kind(answer) for answer in answers if not answer.succeeded)
        theirs = [call.throttled for call in kinesis.calls if call.stream == _BYSTANDER]
        bystander.append(sum(theirs) / len(theirs))
        kinesis.calls = [call for call in kinesis.calls if call.stream != _BYSTANDER]
        made = [call for call in kinesis.calls if call.operation == LOOK]
        asked.append(_worst_window(made, since=_all_known(made)))
        asked_in_all.append(_worst_window(made, since=0.0))
        looks.append(len(made) / size)
        throttled.append(sum(call.throttled for call in kinesis.calls))
        starts.append(sum(call.operation == START for call in kinesis.calls) / size)
    return {
        "peer": name,
        "streams": size,
        "bound": least,
        "finish": summary(finished),
        "of the bound": summary([each / least for each in finished]) if least else None,
        "asked a second": summary(asked),
        "asked a second, first looks too": summary(asked_in_all),
        "looks a stream": summary(looks),
        "starts a stream": summary(starts),
        "throttled": summary(throttled),
        "bystander throttled": summary(bystander),
        "failed": sum(failures.values()),
        "of": size * runs,
        "failures": dict(failures),
    }


def _run(peer: Peer, size: int, seed: int) -> tuple[list[Answer], Kinesis]:
    scheduler, rng = Scheduler(_BEGIN), Random(seed)
    quotas = {
        LOOK: Quota(LOOKS_A_SECOND, LOOKS_A_SECOND),
        START: Quota(STARTS_A_SECOND, STARTS_A_SECOND),
    }
    kinesis = Kinesis(scheduler, rng, quotas)
    answers: list[Answer] = []

    def arrival(arn: str) -> Callable[[], object]:
        return lambda: scheduler.spawn(lambda: answers.append(peer(kinesis, arn)))

    for number in range(size):
        arn = stream_arn(f"orders-{number}")
        kinesis.create(arn, updating_for=rng.uniform(*_UPDATING))
        scheduler.after(rng.uniform(*_ARRIVAL), arrival(arn))

    def bystander() -> None:
        while True:
            with suppress(ClientError):
                kinesis.look(_BYSTANDER)
            scheduler.sleep(_BYSTANDER_INTERVAL)

    kinesis.create(_BYSTANDER, updating_for=0.0)
    scheduler.after(rng.uniform(0.0, _BYSTANDER_INTERVAL), lambda: scheduler.spawn(bystander))
    scheduler.run(_BEGIN + _LONGEST, stop=lambda: len(answers) == size)
    # One that never answered has waited in vain until the end.
    answers += [Answer(_BEGIN + _LONGEST, False, "no answer")] * (size - len(answers))
    return answers, kinesis


def _all_known(looks: Sequence[Call]) -> float:
    """When each stream has been looked at: before that no function can know of all others."""
    first: dict[str, float] = {}
    for call in looks:
        first.setdefault(call.stream, call.at)
    return max(first.values(), default=0.0)


def _worst_window(looks: Sequence[Call], *, since: float) -> float:
    """Looks asked for, throttled ones included, a second in the worst ten seconds."""
    times = [call.at for call in looks if call.at > since]
    counts = [bisect_left(times, at + _WINDOW) - begin for begin, at in enumerate(times)]
    return max(counts, default=0) / _WINDOW


def _kind(answer: Answer) -> str:
    return "throttled" if "Rate exceeded" in answer.reason else answer.reason[:80]
