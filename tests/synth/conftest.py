"""A new app, stack, and stream for each test."""

from __future__ import annotations

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.templates import HERE, encrypt, stream_in


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def stack(app: App) -> Stack:
    """A stack with a fixed account and Region."""
    return Stack(app, "Stack", env=HERE)


@pytest.fixture
def env_agnostic_stack(app: App) -> Stack:
    """A stack whose account and Region are known only at deployment."""
    return Stack(app, "Anywhere")


@pytest.fixture
def stream(stack: Stack) -> kinesis.IStream:
    return stream_in(stack)


@pytest.fixture
def encryption(stack: Stack, stream: kinesis.IStream) -> KinesisStreamEncryption:
    """The encryption of the stream with a key of the app."""
    return encrypt(stack, stream=stream, encryption_key=kms.Key(stack, "Key"))


@pytest.fixture
def role(stack: Stack) -> iam.Role:
    """A role for a producer or consumer."""
    return iam.Role(stack, "App", assumed_by=iam.AccountRootPrincipal())
