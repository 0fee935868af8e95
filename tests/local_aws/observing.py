"""Polling of conditions, and the processes of the machine with their children."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, seconds: float = 60) -> T:
    """Poll `condition` until it returns a true value, and return that value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"the condition was not met within {seconds:g} s"
        time.sleep(0.1)
    return value


def parents() -> dict[int, int]:
    """Return the parent of each running process, without zombies."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[int(status.parent.name)] = int(parent)
    return found


def children(pid: int) -> set[int]:
    """Return the direct children of a process."""
    return {child for child, parent in parents().items() if parent == pid}


def process_tree(pid: int) -> set[int]:
    """Return a process and all its descendants."""
    parent_of = parents()
    found, added = set[int](), {pid}
    while added:
        found |= added
        added = {child for child, parent in parent_of.items() if parent in added} - found
    return found
