"""What the guard is to guard, and the world outside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from stream_encryption.aws.arn import Place
from stream_encryption.waiting import Clock

VARIABLE = "GUARD"
"""Environment variable that carries the settings, as JSON."""


class Settings(NamedTuple):
    """The guard's settings, as the construct writes them.

    Streams are chosen by ``names``, by ``prefix``, or by key and value of a ``tag``. Without a
    ``key``, any KMS key will do.
    """

    queue: str
    dead_letters: str
    table: str
    stack: str
    topic: str | None = None
    key: str | None = None
    names: list[str] | None = None
    prefix: str = ""
    tag: list[str] | None = None
    exempt_tag: str | None = None

    @classmethod
    def parse(cls, text: str) -> Settings:
        """Read the variable."""
        return cls(**json.loads(text))

    def cover(self, name: str) -> bool:
        """Tell whether a stream is guarded, as far as its name decides."""
        return name.startswith(self.prefix) and (self.names is None or name in self.names)

    def exempt(self, tags: dict[str, str]) -> bool:
        """Tell whether a stream is not guarded because of its tags."""
        chosen = self.tag is None or tags.get(self.tag[0]) == self.tag[1]
        return not chosen or self.exempt_tag in tags


class Surroundings(NamedTuple):
    """Where the guard is, and what it reaches there."""

    settings: Settings
    place: Place
    clock: Clock
    client: Callable[[str], Any]
