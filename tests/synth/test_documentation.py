"""The API reference matches the docstrings."""

from __future__ import annotations

from docs.generate_api import PAGE, api


def test_api_reference_is_current() -> None:
    assert PAGE.read_text() == api(), "run make docs"
