"""The function as Lambda begins it: its settings, and its clients."""

from __future__ import annotations

import json

from tests.unit.guard.stubs import LIMITS
from tests.unit.stubs import printed_by

REGION = {"AWS_DEFAULT_REGION": "eu-west-1"}
SETTINGS = {"queue": "q", "dead_letter_queue": "d", "table": "t", "stack": "s", "prefix": "prod-"}


def begin(code: str, **variables: str) -> str:
    """Import the entry point in a process of its own, and run some code after it."""
    return printed_by(f"from stream_encryption.guard import handler\n{code}", **variables)


def test_clients_are_made_while_lambda_gives_a_whole_vcpu() -> None:
    assert begin("print(handler._client.cache_info().currsize)", **REGION) == "5\n"


def test_entry_can_be_imported_where_there_is_no_region() -> None:
    assert begin("print('imported')") == "imported\n"


def test_settings_are_read_from_the_environment() -> None:
    settings = json.dumps(SETTINGS)
    assert begin("print(handler._guard()._settings.prefix)", GUARD=settings, **REGION) == "prod-\n"


def test_clients_retry_within_the_timeout() -> None:
    printed = begin(
        "config = handler._client('sqs').meta.config\n"
        "print(config.retries['total_max_attempts'], config.retries['mode'],"
        " config.connect_timeout, config.read_timeout)",
        **REGION,
    )
    assert printed == "4 standard 2 5\n"


def test_remediation_does_not_retry_a_call_that_may_have_changed_a_stream() -> None:
    printed = begin(
        "client = handler._guard()._runtime.client('kinesis')\n"
        "print(client.meta.config.retries['total_max_attempts'])",
        GUARD=json.dumps(SETTINGS | {"limits": LIMITS}),
        **REGION,
    )
    assert printed == "1\n"
