"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.stubs import StubbedAws


@pytest.fixture
def aws() -> Iterator[StubbedAws]:
    """Stubs that allow expected calls only, and require all of them."""
    aws = StubbedAws()
    yield aws
    aws.assert_all_called()
