"""What the wheel holds and declares."""

from __future__ import annotations

import email
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[2]
LIBRARY = CHECKOUT / "constructs" / "kinesis_stream_encryption"
HANDLER = CHECKOUT / "lambda" / "stream_encryption"


@pytest.fixture
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_holds_library_and_handler_and_nothing_else(names: set[str]) -> None:
    expected = {f"kinesis_stream_encryption/{path.name}" for path in LIBRARY.glob("*.py")}
    expected |= {
        f"kinesis_stream_encryption/_lambda/stream_encryption/{path.name}"
        for path in HANDLER.glob("*.py")
    }
    expected.add("kinesis_stream_encryption/py.typed")
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_brings_its_licence(names: set[str]) -> None:
    assert any(PurePosixPath(name).name == "LICENSE" for name in names)


def test_shadows_no_package_of_others(names: set[str]) -> None:
    """Above all not ``constructs``, on which aws-cdk-lib stands."""
    tops = {PurePosixPath(name).parts[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"kinesis_stream_encryption"}


def test_declares_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Name"] == "cdk-kinesis-stream-encryption"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    needed = {each.name: each for each in map(Requirement, metadata.get_all("Requires-Dist", []))}
    assert set(needed) == {"aws-cdk-lib", "constructs", "crhelper"}
    assert str(needed["crhelper"].specifier) == "==2.0.12"


def test_constructs_holds_no_package_of_its_own() -> None:
    """An ``__init__.py`` there would shadow the ``constructs`` that aws-cdk-lib stands on."""
    assert not (CHECKOUT / "constructs" / "__init__.py").exists()
