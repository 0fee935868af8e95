"""The world outside the handler: time, AWS clients, the answer's transport."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol

import botocore.session
import urllib3
from botocore.config import Config

from stream_encryption.answer import Put
from stream_encryption.waiting import Clock, SystemClock

# The wait does its own retries: it has the deadline, and throttling has to slow it down.
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})


class Timer(Protocol):
    """Something that happens later unless it is cancelled."""

    def start(self) -> None:
        """Begin to count."""

    def cancel(self) -> None:
        """Let it not happen."""


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def aws_client(service: str) -> Any:
    """Make a client of an AWS service, without retries of its own.

    By botocore alone: what boto3 adds is not needed and costs a fifth of a cold start.
    """
    return _session().create_client(service, config=_CONFIG)


def put(url: str, body: bytes, timeout: float) -> int:
    """Send a body by HTTP PUT, without a content type, as the presigned URL demands.

    Raises
    ------
    OSError
        When no status came back within ``timeout`` seconds.
    """
    try:
        response = urllib3.request(
            "PUT", url, body=body, headers={"content-type": ""}, timeout=timeout, retries=False
        )
    except urllib3.exceptions.HTTPError as error:
        raise OSError(type(error).__name__) from error
    return response.status


class Runtime(NamedTuple):
    """What the handler reaches outside itself; tests and the simulation bring their own."""

    clock: Clock = SystemClock()
    client: Callable[[str], Any] = aws_client
    put: Put = put
    timer: Callable[[float, Callable[[], None]], Timer] = threading.Timer
    uniform: Callable[[float, float], float] = random.uniform
    write: Callable[[str], object] = print
    environ: Mapping[str, str] = os.environ
