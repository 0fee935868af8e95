"""How much is measured, in the full form and in the quick one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FIGURES = PROJECT / "build" / "bench"
REPORT = PROJECT / "docs" / "performance.md"
PLOT = PROJECT / "docs" / "performance" / "waiting.svg"


@dataclass(frozen=True)
class Settings:
    """Sizes of one run.

    Parameters
    ----------
    quick
        Whether it is the quick form.
    waits
        Simulated runs for each peer and UPDATING time.
    fleets
        Simulated fleets for each peer and size.
    fleet_sizes
        Streams that are encrypted at once.
    cold_starts
        Processes for each way to start.
    local_updating
        Seconds that a change takes on the local AWS.
    local_repeats, local_poll_repeats
        Streams for each peer and UPDATING time on the local AWS; the second for crhelper's
        polling, which takes more than a minute each.
    synths
        Synths for each peer and size.
    synth_sizes
        Streams in the stack.
    synth_peers
        What is synthesized.
    guard_samples
        Notifications of a warm and of a cold guard.
    """

    quick: bool
    waits: int
    fleets: int
    fleet_sizes: tuple[int, ...]
    cold_starts: int
    local_updating: tuple[float, ...]
    local_repeats: int
    local_poll_repeats: int
    synths: int
    synth_sizes: tuple[int, ...]
    synth_peers: tuple[str, ...]
    guard_samples: int


FULL = Settings(
    quick=False,
    waits=500,
    fleets=10,
    fleet_sizes=(1, 10, 50, 100, 500),
    cold_starts=100,
    local_updating=(0.5, 3.0, 30.0),
    local_repeats=10,
    local_poll_repeats=2,
    synths=7,
    synth_sizes=(1, 100, 480),
    synth_peers=(
        "ours",
        "crhelper, looks by hand",
        "Provider, 5 s (default)",
        "AwsCustomResource",
    ),
    guard_samples=20,
)

QUICK = Settings(
    quick=True,
    waits=60,
    fleets=2,
    fleet_sizes=(1, 50, 500),
    cold_starts=12,
    local_updating=(3.0,),
    local_repeats=1,
    local_poll_repeats=1,
    synths=1,
    synth_sizes=(1, 100),
    synth_peers=("ours", "crhelper, looks by hand"),
    guard_samples=2,
)
