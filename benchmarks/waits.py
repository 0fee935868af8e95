"""Lag and looks of a lone stream, for short and for long changes, in virtual time."""

from __future__ import annotations

from random import Random
from typing import Any

from benchmarks.figures import say, summary
from benchmarks.settings import Settings
from benchmarks.simulation.peers import PEERS, Peer
from benchmarks.simulation.service import LOOK, Answer, Kinesis, stream_arn
from stream_encryption.encryption.job import PROPAGATION_WAIT
from tests.simulation.scheduler import Scheduler

UPDATING = (0.5, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3000.0)
"""Seconds that a change takes."""

_SPREAD = 0.15
"""Relative deviation of the change from that time, so that no peer's rhythm happens to fit it."""

_TIMEOUT = 3600
"""ServiceTimeout in seconds: the longest that CloudFormation allows."""

_BEGIN = 1_800_000_000.0


def settling(peer: str) -> float:
    """Seconds that the peer waits on purpose, which are no lag."""
    return PROPAGATION_WAIT if peer == "ours" else 0.0


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Measure all peers at all UPDATING times."""
    say(f"waits: {settings.waits} simulated runs for each peer and UPDATING time")
    return [
        _row(name, peer, updating, settings.waits)
        for updating in UPDATING
        for name, peer in PEERS.items()
    ]


def _row(name: str, peer: Peer, updating: float, runs: int) -> dict[str, Any]:
    lags, looks, failed = [], [], 0
    for run in range(runs):
        # The same changes for every peer.
        took = updating * Random(run).uniform(1 - _SPREAD, 1 + _SPREAD)
        answer, active, made = _run(peer, took, seed=run)
        looks.append(made)
        if answer.succeeded:
            lags.append(answer.at - active - settling(name))
        else:
            failed += 1
    return {
        "peer": name,
        "updating": updating,
        "lag": summary(lags) if lags else None,
        "looks": summary(looks),
        "failed": failed,
    }


def _run(peer: Peer, updating: float, seed: int) -> tuple[Answer, float, int]:
    scheduler = Scheduler(_BEGIN)
    kinesis = Kinesis(scheduler, Random(seed))
    arn = stream_arn("orders")
    kinesis.create(arn, updating_for=updating)
    answers: list[Answer] = []
    scheduler.spawn(lambda: answers.append(peer(kinesis, arn, _TIMEOUT)))
    scheduler.run(_BEGIN + 8000)
    looks = sum(call.operation == LOOK for call in kinesis.calls)
    return answers[0], kinesis.streams[arn].active_at, looks
