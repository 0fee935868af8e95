"""Write the catalog of failures into behavior.md."""

from __future__ import annotations

import re
from pathlib import Path

from stream_encryption.encryption.failure import FailureCode

PAGE = Path(__file__).with_name("behavior.md")

_CATALOG = re.compile(r"(<!-- failures: [^\n]*-->\n).*(<!-- end of failures -->)", re.DOTALL)


def with_catalog(page: str) -> str:
    """Return the page with the current table of failures."""
    rows = ["| Code | Cause | Remedy |", "|---|---|---|"]
    rows += [
        f"| `{code.name}` | {_cell(code.cause)} | {_cell(code.remedy)} |" for code in FailureCode
    ]
    table = "\n".join(rows) + "\n"
    return _CATALOG.sub(lambda found: found[1] + table + found[2], page)


def _cell(text: str) -> str:
    """Replace the fields of a format string by placeholders."""
    return re.sub(r"\{(\w+)\}", r"*\1*", text).replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(with_catalog(PAGE.read_text()))
