"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A world in which every call has to be expected, and every expected call is made."""
    world = World()
    yield world
    world.assert_all_called()
