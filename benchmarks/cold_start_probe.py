"""One cold start, in a process of its own: `python cold_start_probe.py WAY` prints what it took.

Little is imported before the clock runs: no more than Lambda's own runtime has imported by then.
Each way imports, and returns what makes its client: Lambda gives these two different CPU shares.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any


def floor() -> Any:
    """Do what no function that calls Kinesis from Python can do without."""
    import botocore.session

    return botocore.session.get_session().create_client


def boto3() -> Any:
    """Do what most functions do."""
    import boto3

    return boto3.client


def ours() -> Any:
    """Import the handler."""
    from stream_encryption.handler import on_event  # noqa: F401
    from stream_encryption.runtime import aws_client

    return aws_client


def ours_without_boto3() -> Any:
    """Do the same with a module in the place of boto3 that leaves all to botocore."""
    boto3: Any = ModuleType("boto3")
    boto3.client = floor()
    sys.modules["boto3"] = boto3
    return ours()


def crhelper() -> Any:
    """Do what crhelper's README shows: it makes three clients of its own."""
    import boto3
    from crhelper import CfnResource

    CfnResource(json_logging=False, log_level="DEBUG", boto_level="CRITICAL")
    return boto3.client


def peak_memory() -> float:
    """Megabytes; `ru_maxrss` would be the parent's where that is larger (Linux only)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


if __name__ == "__main__":
    ways = (floor, boto3, ours, ours_without_boto3, crhelper)
    way = {each.__name__: each for each in ways}[sys.argv[1]]
    began = time.process_time()
    make_client = way()
    imported = time.process_time()
    make_client("kinesis")
    ended = time.process_time()
    print(
        json.dumps(
            {
                "imports": imported - began,
                "client": ended - imported,
                "cpu": ended - began,
                "memory": peak_memory(),
            }
        )
    )
