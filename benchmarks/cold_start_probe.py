"""One cold start, in a process of its own: `python cold_start_probe.py WAY` prints what it took.

Little is imported before the clock runs: no more than Lambda's own runtime has imported by then.
"""

import json
import sys
import time
from pathlib import Path


def floor() -> None:
    """Do what no function that calls Kinesis from Python can do without."""
    import botocore.session

    botocore.session.get_session().create_client("kinesis")


def floor_with_key() -> None:
    """Do what no function that looks at the key before can do without."""
    import botocore.session

    session = botocore.session.get_session()
    session.create_client("kinesis")
    session.create_client("kms")


def boto3() -> None:
    """Do what most functions do."""
    import boto3

    boto3.client("kinesis")


def ours() -> None:
    """Import the handler and make the client of its first call."""
    from stream_encryption.handler import on_event  # noqa: F401
    from stream_encryption.runtime import aws_client

    aws_client("kinesis")


def ours_with_key() -> None:
    """Do the same, and make the client that looks at a customer's key."""
    ours()
    from stream_encryption.runtime import aws_client

    aws_client("kms")


def crhelper() -> None:
    """Do what crhelper's README shows, and make a Kinesis client."""
    import boto3
    from crhelper import CfnResource

    CfnResource(json_logging=False, log_level="DEBUG", boto_level="CRITICAL")
    boto3.client("kinesis")


def peak_memory() -> float:
    """Megabytes; `ru_maxrss` would be the parent's where that is larger (Linux only)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


if __name__ == "__main__":
    ways = (floor, floor_with_key, boto3, ours, ours_with_key, crhelper)
    way = {each.__name__: each for each in ways}[sys.argv[1]]
    wall, cpu = time.perf_counter(), time.process_time()
    way()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"cpu": cpu, "wall": wall, "memory": peak_memory()}))
