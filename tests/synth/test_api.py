"""The public API and its documentation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, is_typeddict

import pytest
from constructs import Construct

import kinesis_stream_encryption

PUBLIC = [getattr(kinesis_stream_encryption, name) for name in kinesis_stream_encryption.__all__]


def members() -> Iterator[tuple[str, Any]]:
    for cls in PUBLIC:
        yield cls.__name__, cls
        for name, member in vars(cls).items():
            if not name.startswith("_") and (callable(member) or isinstance(member, property)):
                yield f"{cls.__name__}.{name}", member


def parameters(member: Any) -> list[str]:
    """Names of the parameters."""
    if isinstance(member, property):
        return []
    if is_typeddict(member):
        return list(member.__annotations__)
    return [
        name
        for name in inspect.signature(member).parameters
        if name not in ("self", "args", "kwargs")
    ]


def sections(docstring: str) -> dict[str, str]:
    """Sections of a numpydoc docstring by heading. The summary has an empty heading."""
    parts = re.split(r"^(\w[\w ]*)\n-+\n", docstring, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


@pytest.mark.parametrize(
    ("name", "member"), [pytest.param(*each, id=each[0]) for each in members()]
)
def test_is_documented(name: str, member: Any) -> None:
    docstring = inspect.getdoc(member)
    assert docstring, f"{name} has no docstring"
    found = sections(docstring)
    assert found[""].strip().splitlines()[0].endswith(".")
    for parameter in parameters(member):
        assert re.search(rf"(^|, ){parameter}(,|$)", found["Parameters"], re.MULTILINE), parameter


@pytest.mark.parametrize(
    "cls", [cls for cls in PUBLIC if issubclass(cls, Construct) or is_typeddict(cls)]
)
def test_every_optional_property_documents_its_default(cls: type) -> None:
    entries = re.split(r"\n(?=\w)", sections(inspect.getdoc(cls) or "")["Parameters"])
    for entry in entries:
        name = entry.splitlines()[0]
        if name not in ("scope", "id", "stream", "streams"):
            assert "Default:" in entry, f"{cls.__name__}: {name}"


def test_public_names() -> None:
    assert kinesis_stream_encryption.__all__ == [
        "FunctionOptions",
        "GuardedStreams",
        "KinesisStreamEncryption",
        "KinesisStreamEncryptionProvider",
        "StreamEncryptionGuard",
    ]
