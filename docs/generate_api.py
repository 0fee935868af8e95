"""Write api.md from the docstrings of the construct library."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import kinesis_stream_encryption

PAGE = Path(__file__).with_name("api.md")

_SECTION = re.compile(r"^([A-Z]\w+)\n-{3,}$", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_API_HEAD = """\
# API reference

Generated from the docstrings by `make docs`. Import from `kinesis_stream_encryption`.
"""


def api() -> str:
    """Return the page of all public classes, with what they offer."""
    parts = [_API_HEAD]
    for name in kinesis_stream_encryption.__all__:
        cls = getattr(kinesis_stream_encryption, name)
        parts += [f"## {name}", _docstring(cls)]
        for member, value in vars(cls).items():
            if member.startswith("_") or not (function := _function(value)).__doc__:
                continue
            if member in getattr(cls, "_fields", ()):  # told by the docstring of the class
                continue
            called = "" if isinstance(value, property) else "()"
            parts += [f"### {name}.{member}{called}", _docstring(function)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _function(member: object) -> object:
    if isinstance(member, property):
        return member.fget
    return inspect.unwrap(getattr(member, "__func__", member))  # type: ignore[arg-type]


def _docstring(documented: object) -> str:
    """Return a numpydoc docstring as Markdown."""
    text = _ROLE.sub(r"`\1`", inspect.cleandoc(getattr(documented, "__doc__", "") or ""))
    blocks, heading = [], ""
    for position, part in enumerate(_SECTION.split(text)):
        if position % 2:
            heading = part
            continue
        if heading:
            blocks.append(f"**{heading}**")
        blocks.append(_section(heading, part.strip()))
    return "\n\n".join(block for block in blocks if block)


def _section(heading: str, body: str) -> str:
    if heading == "Examples":
        return "```python\n" + re.sub(r"^(>>>|\.\.\.) ?", "", body, flags=re.MULTILINE) + "\n```"
    if heading in {"Parameters", "Returns", "Raises", "Attributes"}:
        # A name at the margin, what it means indented below it.
        entries = re.split(r"\n(?=\S)", body)
        return "\n".join(
            f"- `{name.strip()}`: {' '.join(meaning.split())}"
            for name, _, meaning in (entry.partition("\n") for entry in entries)
        )
    return re.sub(r"`([^`<]+?)\s*<([^>]+)>`_", r"[\1](\2)", body).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(api())
