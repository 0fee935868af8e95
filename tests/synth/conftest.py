"""A fresh app and stack for each test."""

from __future__ import annotations

import pytest
from aws_cdk import App, Stack

from tests.synth.cloud import HERE, stack_in


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def stack(app: App) -> Stack:
    """A stack whose account and region are known."""
    return stack_in(app, env=HERE)


@pytest.fixture
def anywhere(app: App) -> Stack:
    """A stack that can be deployed to any account and region."""
    return stack_in(app, "Anywhere")
