"""One cold start: `python cold_start_probe.py PROGRAM` prints its CPU times and memory.

Before the measurement, it imports no more than the Lambda runtime does. Each program returns the
function that creates its client, because Lambda provides more CPU during the imports.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def least() -> Any:
    """Import what every Python function that calls Kinesis needs."""
    import botocore.session

    return botocore.session.get_session().create_client


def this_construct() -> Any:
    """Import the handler."""
    from stream_encryption.handler import on_event  # noqa: F401
    from stream_encryption.runtime import aws_client

    return aws_client


def crhelper() -> Any:
    """Use crhelper as its README shows: it creates three clients."""
    import boto3
    from crhelper import CfnResource

    CfnResource(json_logging=False, log_level="DEBUG", boto_level="CRITICAL")
    return boto3.client


def peak_memory() -> float:
    """Return MB (Linux only); `ru_maxrss` would include the parent process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


if __name__ == "__main__":
    program = {each.__name__: each for each in (least, this_construct, crhelper)}[sys.argv[1]]
    began = time.process_time()
    create_client = program()
    imported = time.process_time()
    create_client("kinesis")
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
