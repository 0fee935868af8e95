"""Structured logs: one JSON line per look and decision."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream_encryption.waiting import Clock


class Log:
    """Writes JSON lines that all carry the same context.

    The answer's presigned URL must never be in one.
    """

    def __init__(self, clock: Clock, write: Callable[[str], object]) -> None:
        self._clock = clock
        self._write = write
        self._context: dict[str, Any] = {}
        self._began = clock.now()

    def add(self, **context: Any) -> None:
        """Add fields to the lines that follow."""
        self._context.update(context)

    def info(self, message: str, **fields: Any) -> None:
        """Write what was seen or decided."""
        self._line("INFO", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Write what went wrong but does not end the request."""
        self._line("WARNING", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Write what ends the request."""
        self._line("ERROR", message, fields)

    def _line(self, level: str, message: str, fields: dict[str, Any]) -> None:
        line = {
            "level": level,
            "message": message,
            **self._context,
            "elapsed": round(self._clock.now() - self._began, 3),
            **fields,
        }
        self._write(json.dumps(line, default=_plain))


def _plain(value: object) -> str:
    return value.name if isinstance(value, Enum) else str(value)
