"""Settings of the guard, and its environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from stream_encryption.aws.arn import Place
from stream_encryption.waiting import Clock

VARIABLE = "GUARD"
"""Environment variable with the settings, as JSON."""


class Limits(NamedTuple):
    """Settings of the remediation function only.

    ``key`` is the ARN of the key to restore; ``known_good_for`` is in seconds.
    """

    key: str
    check_queue: str
    max_changes_per_stream: int
    max_streams_per_hour: int
    known_good_for: float


class Settings(NamedTuple):
    """Settings, as the construct writes them.

    Streams are selected by ``names``, by ``prefix``, or by key and value of a ``tag``. Without a
    ``key``, every KMS key is compliant. ``queue`` is the one that the function receives from;
    ``limits`` are set for the function that remediates, which has ``remediation_queue``.
    """

    queue: str
    dead_letter_queue: str
    table: str
    stack: str
    topic: str | None = None
    key: str | None = None
    names: list[str] | None = None
    prefix: str = ""
    tag: list[str] | None = None
    exempt_tag_key: str | None = None
    remediation_queue: str | None = None
    limits: Limits | None = None

    @classmethod
    def parse(cls, text: str) -> Settings:
        """Parse the variable."""
        given = json.loads(text)
        limits = given.pop("limits", None)
        return cls(**given, limits=limits and Limits(**limits))

    def selects(self, name: str) -> bool:
        """Whether a stream is guarded, as far as its name decides."""
        return name.startswith(self.prefix) and (self.names is None or name in self.names)

    def exempts(self, tags: dict[str, str]) -> bool:
        """Whether the tags of a stream exempt it."""
        selected = self.tag is None or tags.get(self.tag[0]) == self.tag[1]
        return not selected or self.exempt_tag_key in tags


class Environment(NamedTuple):
    """Settings, partition with Region and account, clock, and AWS clients."""

    settings: Settings
    place: Place
    clock: Clock
    client: Callable[[str], Any]
