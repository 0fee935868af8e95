"""The environment of the handler: time, AWS clients, the transport of the response."""

from __future__ import annotations

import random
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from stream_encryption.waiting import Clock, SystemClock

# The handler retries itself: it knows the deadline, and throttling must slow it down.
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})


Put = Callable[[str, bytes, float], int]
"""Sends a body to a URL by HTTP PUT and returns the status; raises OSError on a timeout."""


@cache
def aws_client(service: str) -> Any:
    """Create a boto3 client of a service, once, without retries."""
    return boto3.client(service, config=_CONFIG)


def put(url: str, body: bytes, timeout: float) -> int:
    """Send a body by HTTP PUT, without a content type, as the presigned URL requires.

    Raises
    ------
    OSError
        If no status arrives within ``timeout`` seconds.
    """
    request = urllib.request.Request(  # noqa: S310 - the URL is CloudFormation's
        url, data=body, method="PUT", headers={"Content-Type": ""}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


class Runtime(NamedTuple):
    """Everything that the handler uses outside itself; tests and simulations replace it."""

    clock: Clock = SystemClock()
    client: Callable[[str], Any] = aws_client
    put: Put = put
    timer: Callable[[float, Callable[[], None]], Any] = threading.Timer
    lock: Callable[[], AbstractContextManager[object]] = threading.RLock
    uniform: Callable[[float, float], float] = random.uniform
    write: Callable[[str], object] = print
