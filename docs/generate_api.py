"""Write api.md from the docstrings of the construct library."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import kinesis_stream_encryption

PAGE = Path(__file__).with_name("api.md")

_SECTION = re.compile(r"^([A-Z]\w+)\n-{3,}$", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_API_HEAD = """\
# API reference

Generated from the docstrings by `make docs`. Import from `kinesis_stream_encryption`.
"""


def api() -> str:
    """Return the page of all public classes and their members."""
    parts = [_API_HEAD]
    for name in kinesis_stream_encryption.__all__:
        cls = getattr(kinesis_stream_encryption, name)
        parts += [f"## {name}"]
        if "__init__" in vars(cls):
            parts += [_signature(cls.__init__, name)]
        parts += [_docstring(cls)]
        for member, value in vars(cls).items():
            if member.startswith("_") or not (function := _function(value)).__doc__:
                continue
            if member in getattr(cls, "_fields", ()):  # documented by the class
                continue
            parentheses = "" if isinstance(value, property) else "()"
            parts += [f"### {name}.{member}{parentheses}"]
            parts += [_signature(function, member), _docstring(function)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _function(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    return inspect.unwrap(getattr(member, "__func__", member))


def _signature(function: Any, name: str) -> str:
    """Return the signature of a function, or the type of a property, as in the source."""
    node: Any = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    returned = f": {ast.unparse(node.returns)}"
    if any(ast.unparse(each) == "property" for each in node.decorator_list):
        return f"```python\n{name}{returned}\n```"
    node.args.args = [each for each in node.args.args if each.arg not in {"self", "cls"}]
    definition = f"def {name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}: ..."
    ruff = Path(sys.executable).with_name("ruff")
    formatted = subprocess.run(  # noqa: S603 - the formatter of this project's environment
        [ruff, "format", "--line-length", "88", "-"],
        input=definition,
        capture_output=True,
        text=True,
        check=True,
    )
    signature = formatted.stdout.removeprefix("def ").strip().removesuffix(": ...")
    return f"```python\n{signature.removesuffix(' -> None')}\n```"


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
        # Each entry is a name, followed by its indented description.
        entries = re.split(r"\n(?=\S)", body)
        return "\n".join(
            f"- `{name.strip()}`: {' '.join(description.split())}"
            for name, _, description in (entry.partition("\n") for entry in entries)
        )
    return re.sub(r"`([^`<]+?)\s*<([^>]+)>`_", r"[\1](\2)", body).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(api())
