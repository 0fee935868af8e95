"""docs/aws-evidence.md names what `make accept` asks, and what links to it finds its row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from acceptance import assumptions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "aws-evidence.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| <a id=")
]
IDS = [row[0].split('"')[1] for row in ROWS]


def test_each_row_has_source_consequence_and_verification() -> None:
    assert {len(row) for row in ROWS} == {6}
    assert all(row[index] for row in ROWS for index in (1, 2, 4, 5))
    assert all(row[3] or "nothing" in row[2] for row in ROWS)


def test_ids_are_unique_and_visible() -> None:
    assert len(set(IDS)) == len(IDS)
    assert [row[0].split(">")[-1].lower() for row in ROWS] == IDS


def test_each_question_verifies_an_assumption_and_each_verification_exists() -> None:
    named = {name for row in ROWS for name in re.findall(r"`([a-z-]+)`", row[5])}
    assert named == set(assumptions.ALL)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_links_to_a_row_find_it(page: Path) -> None:
    assert set(re.findall(r"aws-evidence\.md#([\w-]+)", page.read_text())) <= {*IDS}
