"""Structured logs: one JSON line per call and decision."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream_encryption.waiting import Clock


class Log:
    """Writes JSON lines with a common context.

    They must never contain the presigned response URL.
    """

    def __init__(self, clock: Clock, write: Callable[[str], object]) -> None:
        self._clock = clock
        self._write = write
        self._context: dict[str, Any] = {}
        self._began = clock.now()

    def add(self, **context: Any) -> None:
        """Add fields to all later lines."""
        self._context.update(context)

    def info(self, message: str, **fields: Any) -> None:
        """Log what was described or decided."""
        self._line("INFO", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Log a problem that does not end the request."""
        self._line("WARNING", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Log the failure that ends the request."""
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
