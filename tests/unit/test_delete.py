"""Delete changes nothing, whatever the event contains."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.stubs import KEY, OTHER_STREAM, STREAM, StubbedAws, event

MARKED = f"{STREAM}#was-unencrypted,created=1767225600"
IDS = [STREAM, OTHER_STREAM, MARKED, "app-Encryption-1A2B3C4D5E6F", "x" * 1024]


@pytest.mark.parametrize("physical_id", IDS)
@pytest.mark.parametrize("age", [0, 30, 3700])
def test_any_id_succeeds_at_once_without_a_call(
    aws: StubbedAws, physical_id: str, age: float
) -> None:
    """Also the one that CloudFormation generates for a canceled Create."""
    response = aws.succeeds(event("Delete", physical_id=physical_id, age=age))
    assert response["PhysicalResourceId"] == physical_id
    assert response["Data"] == {}
    assert aws.clients_made == []
    assert aws.clock.elapsed == 0


@pytest.mark.parametrize(
    "properties",
    [
        None,
        [],
        "text",
        {},
        {"OnDelete": "Restore", "StreamArn": STREAM, "KeyId": KEY},
        {"StreamArn": "nonsense", "KeyId": ["x"], "Color": "blue", "ServiceTimeout": "soon"},
    ],
    ids=str,
)
@pytest.mark.parametrize("physical_id", [STREAM, MARKED])
def test_any_properties_succeed_at_once_without_a_call(
    aws: StubbedAws, physical_id: str, properties: object
) -> None:
    sent = event("Delete", physical_id=physical_id)
    aws.succeeds({**sent, "ResourceProperties": properties})
    assert aws.clients_made == []


def test_response_to_delete_without_an_id_has_one(aws: StubbedAws) -> None:
    sent: dict[str, Any] = event("Delete")
    del sent["PhysicalResourceId"]
    assert aws.succeeds(sent)["PhysicalResourceId"] != ""
