"""What all tests have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent


# Before xdist, which reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of the folder that it is in.

    What deploys to the local AWS mostly waits, and is timed: it runs in one process, so that no two
    of its emulators compete, while the other tests run beside it.
    """
    for item in items:
        if not item.path.is_relative_to(_TESTS):
            continue
        item.add_marker(item.path.relative_to(_TESTS).parts[0])
        if item.get_closest_marker("local_aws") or "local_aws" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("local_aws"))
