"""The pictures of docs/ are drawn from their sources."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local_aws.folders import NODE, PROJECT

DOCS = PROJECT / "docs"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    subprocess.run([NODE, DOCS / "generate_pictures.cjs", folder], check=True)
    return folder


@pytest.mark.parametrize("source", sorted(DOCS.glob("*.dot")), ids=lambda source: source.stem)
def test_picture_is_current(source: Path, drawn: Path) -> None:
    name = f"{source.stem}.svg"
    assert (DOCS / name).read_text() == (drawn / name).read_text(), "run make docs"
