"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.stubs import StubbedAws


@pytest.fixture
def aws() -> Iterator[StubbedAws]:
    """Stubs in which every call has to be expected, and every expected call is made."""
    aws = StubbedAws()
    yield aws
    aws.assert_all_called()
