"""The documentation matches the code: API reference, links, and the first example of README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aws_cdk import App

from docs.generate_api import PAGE, api
from tests.synth.templates import TYPE

PROJECT = Path(__file__).parents[2]
PAGES = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"),
    *(f"docs/{page.name}" for page in PAGE.parent.glob("*.md")),
]

_CODE_BLOCK = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_ANCHOR = re.compile(r'<a (?:id|name)="([^"]+)">')


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: those of its headings, as GitHub creates them, and others."""
    text = _CODE_BLOCK.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {*_ANCHOR.findall(text)} | {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    }


def test_api_reference_is_current() -> None:
    assert PAGE.read_text() == api(), "run make docs"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_to_files_and_headings_resolve(name: str) -> None:
    page = PROJECT / name
    for path, anchor in _LINK.findall(_CODE_BLOCK.sub("", page.read_text())):
        target = page.parent / path if path else page
        assert target.exists(), f"{name} links to {path}, which does not exist"
        if anchor:
            assert anchor in anchors(target), f"{name} links to {path}#{anchor}: no such heading"


def test_first_example_of_readme_synthesizes_without_annotations() -> None:
    example = re.findall(r"```python\n(.+?)```", (PROJECT / "README.md").read_text(), re.DOTALL)[0]
    values: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), values)
    app = values["app"]
    assert isinstance(app, App)
    (stack,) = app.synth().stacks
    assert [(each.level, each.entry.data) for each in stack.messages] == []
    types = [each["Type"] for each in stack.template["Resources"].values()]
    assert {TYPE, "AWS::KMS::Key", "AWS::Lambda::EventSourceMapping"} <= {*types}
