"""`make docs`: write the generated parts of the documentation."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from stream_encryption.failure import Cause

BEHAVIOUR = Path(__file__).with_name("behaviour.md")
_GENERATED = re.compile(r"(<!-- failures: [^\n]*-->\n).*(<!-- end of failures -->)", re.DOTALL)


def catalogue() -> str:
    """Return the table of all failures."""
    rows = ["| Failure | Cause | Remedy |", "|---|---|---|"]
    rows += [
        f"| `{cause.name}` | {_cell(cause.summary)} | {_cell(cause.remedy)} |" for cause in Cause
    ]
    return "\n".join(rows) + "\n"


def with_catalogue(page: str) -> str:
    """Return the page with today's table of failures in it."""
    return _GENERATED.sub(lambda found: found[1] + catalogue() + found[2], page)


def _cell(text: str) -> str:
    """Show a format string's fields as placeholders."""
    return re.sub(r"\{(\w+)\}", r"*\1*", text).replace("|", r"\|")


if __name__ == "__main__":
    BEHAVIOUR.write_text(with_catalogue(BEHAVIOUR.read_text()))
    sys.exit(0)
