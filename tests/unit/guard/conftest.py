"""Fixtures of the guard's unit tests."""

from __future__ import annotations

import pytest

from tests.unit.guard.stubs import GuardStubs


@pytest.fixture
def stubs() -> GuardStubs:
    return GuardStubs()
