"""Looking at what runs: conditions that come true, and processes with their children."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], *, seconds: float = 60) -> T:
    """What `look` returns, once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
        time.sleep(0.1)
    return found


def parents() -> dict[int, int]:
    """Each living process and its parent; a zombie is not living."""
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
    """Processes that `pid` has started itself."""
    return {child for child, parent in parents().items() if parent == pid}


def family(pid: int) -> set[int]:
    """`pid` and everything that descends from it."""
    parent_of = parents()
    found, added = set[int](), {pid}
    while added:
        found |= added
        added = {child for child, parent in parent_of.items() if parent in added} - found
    return found
