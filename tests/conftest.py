"""What all tests have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of the folder that it is in.

    One that uses the local AWS is marked so wherever it is: those run one after the other, as
    two of them at once would compete for the machine and some are timed.
    """
    for item in items:
        if not item.path.is_relative_to(_TESTS):
            continue
        item.add_marker(item.path.relative_to(_TESTS).parts[0])
        if "local_aws" in getattr(item, "fixturenames", ()):
            item.add_marker("local_aws")
