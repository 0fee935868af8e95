"""The function as Lambda begins it: its settings, and its clients."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import stream_encryption

_LAMBDA = Path(stream_encryption.__file__).parents[1]


def begin(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Import the entry point in a process of its own, and run some code after it."""
    return subprocess.run(
        [sys.executable, "-c", f"from stream_encryption.guard import handler\n{code}"],
        env={"PATH": os.defpath, "PYTHONPATH": str(_LAMBDA), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_clients_are_made_while_lambda_gives_a_whole_vcpu() -> None:
    done = begin("print(handler._client.cache_info().currsize)", AWS_DEFAULT_REGION="eu-west-1")
    assert (done.stdout, done.stderr) == ("5\n", "")


def test_entry_can_be_imported_where_there_is_no_region() -> None:
    done = begin("print('imported')")
    assert (done.stdout, done.stderr) == ("imported\n", "")


def test_settings_are_read_from_the_environment() -> None:
    settings = (
        '{"queue": "q", "dead_letter_queue": "d", "table": "t", "stack": "s", "prefix": "prod-"}'
    )
    done = begin(
        "print(handler._guard()._settings.prefix)",
        AWS_DEFAULT_REGION="eu-west-1",
        GUARD=settings,
    )
    assert (done.stdout, done.stderr) == ("prod-\n", "")


def test_clients_retry_within_the_timeout() -> None:
    done = begin(
        "config = handler._client('sqs').meta.config\n"
        "print(config.retries['total_max_attempts'], config.retries['mode'],"
        " config.connect_timeout, config.read_timeout)",
        AWS_DEFAULT_REGION="eu-west-1",
    )
    assert done.stdout == "4 standard 2 5\n"


def test_remediation_does_not_retry_a_call_that_may_have_changed_a_stream() -> None:
    limits = (
        '{"check_queue": "c", "max_changes_per_stream": 3, "max_streams_per_hour": 10,'
        ' "known_good_for": 86400}'
    )
    settings = (
        '{"queue": "q", "dead_letter_queue": "d", "table": "t", "stack": "s",'
        f' "limits": {limits}}}'
    )
    done = begin(
        "client = handler._guard()._runtime.client('kinesis')\n"
        "print(client.meta.config.retries['total_max_attempts'])",
        AWS_DEFAULT_REGION="eu-west-1",
        GUARD=settings,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
