"""A default memory size, reasoned from the measured cold start."""

from __future__ import annotations

from typing import Any

PER_VCPU = 1769
"""MB at which Lambda gives one vCPU, and less in proportion.

Source: AWS Lambda developer guide, "Configure Lambda function memory".
"""

PER_GB_SECOND = 0.0000133334
"""US dollars on arm64 in US East (N. Virginia), first tier; from memory, not looked up."""

SIZES = (128, 192, 256, 512, 1024, 1769)

_BILLED_WAIT = 3.0 + 5.0
"""Seconds of a change of 3 s and its settling, in which the function sleeps."""


def rows(cold_start: dict[str, Any]) -> list[dict[str, float]]:
    """For each size, what a cold start takes and one resource costs.

    Taken as if all CPU time ran at the share that the size gives, on a core as fast as this
    machine's: Lambda's own start-up is not in it, nor the faster phase before the handler.
    """
    cpu = cold_start["cpu"]["median"]
    found = []
    for size in SIZES:
        start = cpu / min(size / PER_VCPU, 1.0)
        seconds = start + _BILLED_WAIT
        found.append(
            {
                "size": size,
                "headroom": size / cold_start["memory"]["max"],
                "start": start,
                "dollars for 1,000": 1000 * seconds * size / 1024 * PER_GB_SECOND,
            }
        )
    return found
