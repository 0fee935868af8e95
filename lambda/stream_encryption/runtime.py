"""The world outside the handler: time, AWS clients, the answer's transport."""

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

# The wait does its own retries: it has the deadline, and throttling has to slow it down.
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})


Put = Callable[[str, bytes, float], int]
"""Sends a body to a URL by HTTP PUT; gives the status, or raises OSError when none came in time."""


@cache
def aws_client(service: str) -> Any:
    """Make a boto3 client of a service, once, without retries of its own."""
    return boto3.client(service, config=_CONFIG)


def put(url: str, body: bytes, timeout: float) -> int:
    """Send a body by HTTP PUT, without a content type, as the presigned URL demands.

    Raises
    ------
    OSError
        When no status came back within ``timeout`` seconds.
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
    """What the handler reaches outside itself; tests and the simulation bring their own."""

    clock: Clock = SystemClock()
    client: Callable[[str], Any] = aws_client
    put: Put = put
    timer: Callable[[float, Callable[[], None]], Any] = threading.Timer
    lock: Callable[[], AbstractContextManager[object]] = threading.RLock
    uniform: Callable[[float, float], float] = random.uniform
    write: Callable[[str], object] = print
