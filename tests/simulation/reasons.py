"""Reads a reason back: which entry of the catalogue of failures it is, and with which fields."""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

from stream_encryption.encryption.failure import FailureCode

_CUT = " ..."


def read(reason: str) -> tuple[FailureCode, dict[str, str]] | None:
    """Find the catalogue's entry of a reason; None when it is not one, or has no remedy.

    Words of AWS at the end of the cause may have been cut, which shows.
    """
    for cause in FailureCode:
        for end in ("", _CUT):
            matched = _pattern(cause, end).fullmatch(reason)
            if matched:
                return cause, matched.groupdict()
    return None


@cache
def _pattern(cause: FailureCode, end: str) -> re.Pattern[str]:
    """Pattern of an entry, whose cause ends as it should or otherwise after its last field."""
    known: set[str] = set()
    summary = [re.escape(f"{cause.name}: "), *_parts(cause.cause, known)]
    if end:
        fields = [index for index, part in enumerate(summary) if part.startswith("(?P<")]
        if not fields:
            return re.compile("(?!)")
        summary = [*summary[: fields[-1] + 1], re.escape(end)]
    return re.compile("".join([*summary, " ", *_parts(cause.remedy, known)]), re.DOTALL)


def _parts(text: str, known: set[str]) -> list[str]:
    parts = []
    for literal, name, _, _ in Formatter().parse(text):
        parts.append(re.escape(literal))
        if name in known:
            parts.append(f"(?P={name})")
        elif name:
            known.add(name)
            parts.append(f"(?P<{name}>.+?)")
    return parts
