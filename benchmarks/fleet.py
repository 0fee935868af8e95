"""Many streams of one account at once, within its quotas, simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

from botocore.exceptions import ClientError

from benchmarks.figures import Row, Target, judge, show, summary, table
from benchmarks.simulation.alternatives import ALTERNATIVES, THIS, Alternative, wait_after_active
from benchmarks.simulation.service import Completion, Services
from simulated_aws.kinesis import DESCRIBES_PER_SECOND, STARTS_PER_SECOND, Stream
from simulated_aws.scheduler import BEGIN

_SIZES = (1, 50, 500)
_UPDATING = (2.0, 6.0)
_SERVICE_TIMEOUT = 660
_ARRIVAL = (0.0, 0.9)
_UNRELATED_INTERVAL = 1.0
_SIMULATED_SECONDS = 8000.0
_MAX_OF_BOUND = 1.8

_FIRST_SEED = 1000
"""The parameters of the backoff were chosen on other seeds."""


def measure(*, quick: bool) -> list[Row]:
    """Simulate all alternatives at all sizes."""
    runs = 2 if quick else 10
    show(f"fleet: {runs} simulated runs of each alternative and size")
    return [
        _row(name, alternative, size, runs)
        for size in _SIZES
        for name, alternative in ALTERNATIVES.items()
    ]


def targets(rows: list[Row]) -> Iterator[Target]:
    """Evaluate the targets of this section."""
    (row,) = (row for row in rows if row["alternative"] == THIS and row["streams"] == 500)
    yield Target(
        "500 streams at once: no failure",
        f"{row['failed']} of {row['of']}",
        judge(row["failed"] == 0),
    )
    most = row["finish"]["max"] / bound(500)
    yield Target(
        f"500 streams at once: ≤ {_MAX_OF_BOUND:g} times the bound of the quotas, in each run",
        f"{most:.2f}",
        judge(most <= _MAX_OF_BOUND),
    )


def page(rows: list[Row]) -> str:
    """Format the section of the page."""
    found = {(row["alternative"], row["streams"]): row for row in rows}
    lines = table(
        (
            "streams at once",
            *(f"{size}: last response, failed" for size in _SIZES),
            "500: unrelated calls throttled",
        ),
        [
            (
                name,
                *(
                    f"{row['finish']['median']:.0f} s, {row['failed'] / row['of']:.0%}"
                    for row in (found[name, size] for size in _SIZES)
                ),
                f"{found[name, 500]['unrelated throttled']['median']:.0%}",
            )
            for name in ALTERNATIVES
        ],
    )
    return f"""
## Many streams at once

Simulated: the account allows {DESCRIBES_PER_SECOND:g} DescribeStreamSummary and
{STARTS_PER_SECOND:g} StartStreamEncryption calls per second (the second rate is assumed), UPDATING
takes {_UPDATING[0]:g} to {_UPDATING[1]:g} s, and all requests arrive within a second. An unrelated
caller describes its stream every second without retries. The quotas alone take {bound(500):.0f} s
for 500 streams.

{lines}

The failures of the alternatives are throttled Start calls, so they depend on the assumed rate.
Where this construct loses: Terraform finishes sooner and does not disturb the unrelated caller,
because it makes fewer describe calls; a single stream pays for that with the lag above.
"""


def bound(size: int) -> float:
    """Return the shortest time in seconds in which the quotas allow so many streams.

    Buckets are full at the beginning, changes take a medium time, and this construct makes at least
    three describe calls: before the change, at ACTIVE, and after the propagation wait.
    """
    starts = (size - STARTS_PER_SECOND) / STARTS_PER_SECOND
    describes = (3 * size - DESCRIBES_PER_SECOND) / DESCRIBES_PER_SECOND
    return max(starts, describes, 0.0) + sum(_UPDATING) / 2 + wait_after_active(THIS)


def _row(name: str, alternative: Alternative, size: int, runs: int) -> Row:
    finished, throttled, failed = [], [], 0
    for run in range(runs):
        completions, unrelated = _run(alternative, size, seed=_FIRST_SEED + run)
        finished.append(max(completion.time for completion in completions) - BEGIN)
        failed += sum(not completion.succeeded for completion in completions)
        throttled.append(unrelated)
    return {
        "alternative": name,
        "streams": size,
        "finish": summary(finished),
        "unrelated throttled": summary(throttled),
        "failed": failed,
        "of": size * runs,
    }


def _run(alternative: Alternative, size: int, seed: int) -> tuple[list[Completion], float]:
    """Return the completions, and the share of the unrelated calls that were throttled."""
    rng = Random(seed)
    services = Services(rng)
    scheduler = services.scheduler
    completions: list[Completion] = []

    def request(stream: Stream) -> Callable[[], object]:
        return lambda: scheduler.spawn(
            lambda: completions.append(alternative(services, stream, _SERVICE_TIMEOUT))
        )

    def describe_unrelated() -> None:
        while True:
            with suppress(ClientError):
                services.status(unrelated)
            scheduler.sleep(_UNRELATED_INTERVAL)

    for number in range(size):
        stream = services.create(f"orders-{number}", updating_for=rng.uniform(*_UPDATING))
        scheduler.after(rng.uniform(*_ARRIVAL), request(stream))
    unrelated = services.create("unrelated", updating_for=0.0)
    first = rng.uniform(0.0, _UNRELATED_INTERVAL)
    scheduler.after(first, lambda: scheduler.spawn(describe_unrelated))
    scheduler.run(BEGIN + _SIMULATED_SECONDS, stop=lambda: len(completions) == size)
    missing = size - len(completions)
    completions += [Completion(BEGIN + _SIMULATED_SECONDS, succeeded=False)] * missing
    calls = services.described[unrelated.name]
    return completions, services.throttled[unrelated.name] / calls if calls else 0.0
