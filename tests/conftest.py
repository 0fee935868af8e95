"""What all tests have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of the folder that it is in.

    Those that check rights on the local AWS are one group, for one worker: what they look at is
    deployed once, and the other workers need no local AWS of that kind.
    """
    for item in items:
        if not item.path.is_relative_to(_TESTS):
            continue
        item.add_marker(item.path.relative_to(_TESTS).parts[0])
        if "local_aws_iam" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("iam"))
