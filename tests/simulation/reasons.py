"""Parses a failure reason back into its failure code and fields."""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

from stream_encryption.encryption.failure import FailureCode

_TRUNCATED = " ..."


def parse(reason: str) -> tuple[FailureCode, dict[str, str]] | None:
    """Return code and fields of a reason; None when no code matches, or the remedy is missing.

    A message of AWS at the end of the cause may be truncated, which is marked.
    """
    for code in FailureCode:
        for end in ("", _TRUNCATED):
            matched = _pattern(code, end).fullmatch(reason)
            if matched:
                return code, matched.groupdict()
    return None


@cache
def _pattern(code: FailureCode, end: str) -> re.Pattern[str]:
    """Pattern of a failure code, whose cause is complete or truncated after its last field."""
    summary = [re.escape(f"{code.name}: "), *_parts(code.cause)]
    if end:
        last = max(index for index, part in enumerate(summary) if part.startswith("(?P<"))
        summary = [*summary[: last + 1], re.escape(end)]
    return re.compile("".join([*summary, " ", *_parts(code.remedy)]), re.DOTALL)


def _parts(text: str) -> list[str]:
    parts = []
    for literal, name, _, _ in Formatter().parse(text):
        parts.append(re.escape(literal))
        if name:
            parts.append(f"(?P<{name}>.+?)")
    return parts
