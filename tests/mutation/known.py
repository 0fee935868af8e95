"""Survivors that are known: files that list mutants."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

from tests.mutation.mutants import Key

HARMLESS = Path(__file__).with_name("harmless.toml")
"""What no test notices, in groups, each with the reason why that does no harm."""


def read(file: Path) -> set[Key]:
    """Read which mutants a file lists, in whichever group.

    Raises
    ------
    ValueError
        When one is listed twice.
    """
    listed = [
        Key(*mutant)
        for group in tomllib.loads(file.read_text()).get("group", [])
        for mutant in group["mutants"]
    ]
    if len(listed) != len(set(listed)):
        raise ValueError(f"{file} lists a mutant twice")
    return set(listed)


def write(file: Path, keys: Iterable[Key]) -> None:
    """Write a file with one group, for the reason to be added."""
    # A list of texts and numbers is written in TOML as in JSON.
    lines = [f"    {json.dumps(key if key.nth else key[:-1])},\n" for key in keys]
    file.write_text(f'[[group]]\nreason = ""\nmutants = [\n{"".join(lines)}]\n')
