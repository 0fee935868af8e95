"""Many streams of one account, all at once, against its quotas, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.figures import say, summary
from benchmarks.settings import Settings
from benchmarks.simulation.peers import PEERS, Peer
from benchmarks.simulation.service import LOOK, START, Answer, Kinesis, Quota, stream_arn
from benchmarks.waits import settling
from tests.simulation.scheduler import Scheduler

LOOKS_A_SECOND = 20.0
STARTS_A_SECOND = 5.0
"""Assumed: the service's documentation gives no figure that was found."""

UPDATING = (2.0, 6.0)
TIMEOUT = 660
"""ServiceTimeout in seconds that the construct gives by default."""

_ARRIVAL = (0.0, 0.9)
_BYSTANDER = stream_arn("somebody-elses")
_BYSTANDER_INTERVAL = 1.0
_BEGIN = 1_800_000_000.0
_LONGEST = 8000.0

_FIRST_SEED = 1000
"""The rule of the backoff was chosen on other seeds."""

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
    waits = 0.0 if peer == "AwsCustomResource" else sum(UPDATING) / 2
    return queue + waits + settling(peer)


def _row(name: str, peer: Peer, size: int, runs: int) -> dict[str, Any]:
    least = bound(name, size)
    finished, looks, throttled, bystander = [], [], [], []
    failed = 0
    for run in range(runs):
        answers, kinesis = _run(peer, size, seed=_FIRST_SEED + run)
        finished.append(max(answer.at for answer in answers) - _BEGIN)
        failed += sum(not answer.succeeded for answer in answers)
        ours = [call for call in kinesis.calls if call.stream != _BYSTANDER]
        looks.append(sum(call.operation == LOOK for call in ours) / size)
        throttled.append(sum(call.throttled for call in ours))
        theirs = [call.throttled for call in kinesis.calls if call.stream == _BYSTANDER]
        bystander.append(sum(theirs) / len(theirs) if theirs else 0.0)
    return {
        "peer": name,
        "streams": size,
        "finish": summary(finished),
        "of the bound": summary([each / least for each in finished]) if least else None,
        "looks a stream": summary(looks),
        "throttled": summary(throttled),
        "bystander throttled": summary(bystander),
        "failed": failed,
        "of": size * runs,
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
        return lambda: scheduler.spawn(lambda: answers.append(peer(kinesis, arn, TIMEOUT)))

    def bystander() -> None:
        while True:
            with suppress(ClientError):
                kinesis.look(_BYSTANDER)
            scheduler.sleep(_BYSTANDER_INTERVAL)

    for number in range(size):
        arn = stream_arn(f"orders-{number}")
        kinesis.create(arn, updating_for=rng.uniform(*UPDATING))
        scheduler.after(rng.uniform(*_ARRIVAL), arrival(arn))
    kinesis.create(_BYSTANDER, updating_for=0.0)
    scheduler.after(rng.uniform(0.0, _BYSTANDER_INTERVAL), lambda: scheduler.spawn(bystander))
    scheduler.run(_BEGIN + _LONGEST, stop=lambda: len(answers) == size)
    # One that never answered has waited in vain until the end.
    answers += [Answer(_BEGIN + _LONGEST, False, "no answer")] * (size - len(answers))
    return answers, kinesis
