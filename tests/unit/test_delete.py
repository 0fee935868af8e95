"""Delete: nothing is undone but what this resource did and nobody changed since."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.world import CREATED, KEY, MARKED, OTHER_KEY, STREAM, World, event


def delete(physical_id: str = MARKED, **properties: Any) -> dict[str, Any]:
    return event("Delete", physical_id=physical_id, **{"OnDelete": "Restore", **properties})


@pytest.mark.parametrize("physical_id", [MARKED, STREAM])
def test_retain_calls_nothing(world: World, physical_id: str) -> None:
    answer = world.succeeds(delete(physical_id, OnDelete="Retain"))
    assert answer["PhysicalResourceId"] == physical_id
    assert world.clients_made == []


@pytest.mark.parametrize("physical_id", [STREAM, "Encryption-0123456789abcdef"])
def test_what_was_not_started_here_is_not_stopped(world: World, physical_id: str) -> None:
    assert world.succeeds(delete(physical_id))["PhysicalResourceId"] == physical_id
    assert world.clients_made == []


def test_failed_create_with_malformed_properties_is_deleted_in_peace(world: World) -> None:
    world.succeeds(delete("Encryption-0123456789abcdef", KeyId=None, Colour="blue"))
    assert world.clients_made == []


def test_restore_stops_what_was_started_and_waits(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY)
    world.kinesis.stops()
    world.kinesis.shows("UPDATING", KEY, times=2)
    world.kinesis.shows("ACTIVE")
    answer = world.succeeds(delete())
    assert answer["Data"] == {}
    assert world.logged("stopped encryption")


@pytest.mark.parametrize("properties", [None, [], "text"])
def test_properties_that_are_no_map_ask_for_no_restoring(world: World, properties: object) -> None:
    world.succeeds({**delete(), "ResourceProperties": properties})
    assert world.clients_made == []


def test_stop_that_is_denied_is_told(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY)
    world.kinesis.fails("stop_stream_encryption", "AccessDeniedException", "an explicit deny")
    reason = world.fails(delete())
    assert reason.startswith("Access denied to kinesis:StopStreamEncryption for stream")


def test_restore_waits_out_a_transition(world: World) -> None:
    world.kinesis.shows("UPDATING", KEY)
    world.kinesis.shows("ACTIVE", KEY)
    world.kinesis.stops()
    world.kinesis.shows("ACTIVE")
    world.succeeds(delete())


def test_restore_of_a_plaintext_stream_does_nothing(world: World) -> None:
    world.kinesis.shows("ACTIVE")
    world.succeeds(delete())


def test_restore_of_a_deleting_stream_does_nothing(world: World) -> None:
    world.kinesis.shows("DELETING", KEY)
    world.succeeds(delete())


def test_restore_of_a_missing_stream_does_nothing(world: World) -> None:
    world.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
    world.succeeds(delete())


def test_key_changed_since_is_left(world: World) -> None:
    world.kinesis.shows("ACTIVE", OTHER_KEY)
    world.succeeds(delete())
    assert world.logged("left what somebody else has changed since")


def test_later_stream_of_the_same_name_is_left(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY, created=CREATED + timedelta(days=1))
    world.succeeds(delete())
    assert world.logged("left what somebody else has changed since")


def test_encryption_started_again_after_our_stop_is_left(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY)
    world.kinesis.stops()
    world.kinesis.keeps_showing("ACTIVE", KEY)
    world.succeeds(delete())
    assert world.clock.elapsed >= 10


def test_restore_that_takes_too_long_says_so(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY)
    world.kinesis.stops()
    world.kinesis.keeps_showing("UPDATING", KEY)
    reason = world.fails(delete(ServiceTimeout="30"))
    assert "was not seen back in plaintext within 15 s" in reason
    assert "UPDATING" in reason
