"""Content and metadata of sdist and wheel."""

from __future__ import annotations

import email
import os
import tarfile
import zipfile
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from readme_renderer import markdown

from tests.package.conftest import CHECKOUT, Distributions, build, copy

LIBRARY = "constructs/kinesis_stream_encryption/"
HANDLER = "lambda/stream_encryption/"
INSTALLED = {
    LIBRARY: "kinesis_stream_encryption/",
    HANDLER: "kinesis_stream_encryption/_lambda/stream_encryption/",
}


@pytest.fixture
def files(wheel: Path) -> dict[str, bytes]:
    """Content of the files in the wheel, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def metadata(files: dict[str, bytes]) -> Message:
    (found,) = (content for name, content in files.items() if name.endswith("/METADATA"))
    return email.message_from_bytes(found)


def test_builds_in_different_environments_have_the_same_bytes(
    distributions: Distributions, tracked: list[str], tmp_path: Path
) -> None:
    umask = os.umask(0o077)
    try:
        source = copy(tracked, tmp_path / "elsewhere")
        again = build(source, tmp_path / "again", TZ="Asia/Kolkata", PYTHONHASHSEED="1")
    finally:
        os.umask(umask)
    for first, second in zip(distributions, again, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes(), first.name


def test_sdist_contains_the_tracked_files(distributions: Distributions, tracked: list[str]) -> None:
    with tarfile.open(distributions.sdist) as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        found = {member.name.partition("/")[2]: file.read() for member, file in members if file}
    assert set(found) - set(tracked) == {"PKG-INFO"}
    for name in tracked:
        assert found[name] == (CHECKOUT / name).read_bytes(), name


def test_wheel_contains_library_and_handler_only(
    files: dict[str, bytes], tracked: list[str]
) -> None:
    """In particular not ``constructs``, which aws-cdk-lib imports."""
    expected = {
        installed + name.removeprefix(folder): name
        for folder, installed in INSTALLED.items()
        for name in tracked
        if name.startswith(folder)
    }
    assert {name for name in files if ".dist-info/" not in name} == set(expected)
    for installed, name in expected.items():
        assert files[installed] == (CHECKOUT / name).read_bytes(), name


def test_wheel_contains_the_license(files: dict[str, bytes]) -> None:
    assert any(PurePosixPath(name).name == "LICENSE" for name in files)


def test_wheel_declares_its_requirements(metadata: Message, project: dict[str, object]) -> None:
    assert metadata["Name"] == "cdk-kinesis-stream-encryption"
    assert metadata["Version"] == project["version"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    needed = {each.name: each for each in map(Requirement, metadata.get_all("Requires-Dist", []))}
    assert set(needed) == {"aws-cdk-lib", "constructs", "crhelper"}
    assert str(needed["crhelper"].specifier) == "==2.0.12"


def test_constructs_folder_is_not_a_package() -> None:
    """An ``__init__.py`` there would shadow the ``constructs`` that aws-cdk-lib imports."""
    assert not (CHECKOUT / "constructs" / "__init__.py").exists()


class Page(HTMLParser):
    """Visible text and link targets of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text = ""
        rendered = markdown.render(text)
        assert rendered is not None
        self.feed(rendered)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def described(metadata: Message) -> Page:
    """The long description as a package index shows it."""
    return Page(str(metadata.get_payload()))


def test_long_description_is_the_readme(described: Page) -> None:
    readme = Page((CHECKOUT / "README.md").read_text())
    words = readme.text.split()
    assert described.text.split()[: len(words)] == words


def test_long_description_has_no_relative_links(described: Page) -> None:
    assert described.links, "a page without links proves nothing"
    assert [link for link in described.links if not link.startswith(("https://", "#"))] == []


@pytest.mark.release
def test_changelog_lists_the_version(project: dict[str, object]) -> None:
    headings = [
        line.split()[1]
        for line in (CHECKOUT / "CHANGELOG.md").read_text().splitlines()
        if line.startswith("## [")
    ]
    assert f"[{project['version']}]" in headings[:2]
