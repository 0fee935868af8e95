"""Write the catalogue of failures into behavior.md."""

from __future__ import annotations

import re
from pathlib import Path

from stream_encryption.encryption.failure import FailureCode

PAGE = Path(__file__).with_name("behavior.md")

_CATALOGUE = re.compile(r"(<!-- failures: [^\n]*-->\n).*(<!-- end of failures -->)", re.DOTALL)


def with_catalogue(page: str) -> str:
    """Return the page with today's table of failures in it."""
    rows = ["| Failure | Cause | Remedy |", "|---|---|---|"]
    rows += [
        f"| `{code.name}` | {_cell(code.summary)} | {_cell(code.remedy)} |" for code in FailureCode
    ]
    table = "\n".join(rows) + "\n"
    return _CATALOGUE.sub(lambda found: found[1] + table + found[2], page)


def _cell(text: str) -> str:
    """Show a format string's fields as placeholders."""
    return re.sub(r"\{(\w+)\}", r"*\1*", text).replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(with_catalogue(PAGE.read_text()))
