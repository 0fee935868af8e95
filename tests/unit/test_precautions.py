"""Looks that only protect, at the key and at the stack, never decide over the change."""

from __future__ import annotations

from functools import partial

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from tests.unit.world import KEY, Service, World, event, refused

HANGS = pytest.mark.parametrize(
    ("seconds", "error"), [(5, ReadTimeoutError), (2, ConnectTimeoutError)]
)


def takes_a_change(world: World) -> list[float]:
    """Show a plaintext stream until a change is asked for; note when it is."""
    world.allows_changes()
    world.kinesis.keeps_showing("ACTIVE")

    def accept(_: int) -> None:
        world.kinesis.shows_only("UPDATING", times=8)
        world.kinesis.keeps_showing("ACTIVE", KEY)

    return world.kinesis.asks(world.clock, accept)


class TestUnreachable:
    """In a VPC without the endpoint a call hangs: one short try in all, and the change goes on."""

    @HANGS
    @pytest.mark.parametrize("looks_at", ["key", "stack"])
    def test_change_goes_on(
        self, world: World, looks_at: str, seconds: float, error: type[HTTPClientError]
    ) -> None:
        started = takes_a_change(world)
        service, operation = side(world, looks_at)
        tries = service.hangs(operation, world.clock, seconds, error)
        world.succeeds(event(ServiceTimeout="150", age=4))
        assert (len(tries), len(started)) == (1, 1)
        assert world.clock.elapsed <= 45
        assert world.logged(f"the {looks_at} could not be looked at")

    def test_change_to_an_alias_goes_on_though_both_hang(self, world: World) -> None:
        started = takes_a_change(world)
        tries = [
            service.hangs(operation, world.clock)
            for service, operation in (side(world, "key"), side(world, "stack"))
        ]
        world.succeeds(event(KeyId="alias/orders", ServiceTimeout="150", age=4))
        assert [len(each) for each in tries] == [1, 1]
        assert len(started) == 1
        assert world.clock.elapsed <= 45


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://nowhere"),
        ResponseParserError("no XML"),
        KeyError("StackResourceDetail"),
        refused("AccessDeniedException", "no identity-based policy allows it"),
        refused("AccessDeniedException", "with an explicit deny in a service control policy"),
        refused("ThrottlingException", "slow down"),
        refused("SomethingNew", "what is this"),
    ],
    ids=str,
)
@pytest.mark.parametrize("looks_at", ["key", "stack"])
def test_look_that_cannot_be_made_is_given_up_after_a_few_seconds(
    world: World, looks_at: str, error: Exception
) -> None:
    started = takes_a_change(world)
    service, operation = side(world, looks_at)
    service.raises(operation, error)
    world.succeeds(event(age=4))
    assert started[0] <= 7.5
    assert world.logged(f"the {looks_at} could not be looked at")


@pytest.mark.parametrize(
    "error",
    [
        refused("AccessDeniedException", "no identity-based policy allows it"),
        refused("ThrottlingException", "slow down"),
        ResponseParserError("no XML"),
        ReadTimeoutError(endpoint_url="https://nowhere"),
    ],
    ids=str,
)
def test_checks_that_cannot_run_cost_15_seconds_in_total(world: World, error: Exception) -> None:
    started = takes_a_change(world)
    for service, operation in (side(world, "key"), side(world, "stack")):
        service.raises(operation, error)
    world.succeeds(event(KeyId="alias/orders", age=4))
    assert started[0] <= 15


def side(world: World, looks_at: str) -> tuple[Service, str]:
    if looks_at == "key":
        return world.kms, "describe_key"
    return world.cloudformation, "describe_stack_resource"


def test_passing_trouble_costs_no_protection(world: World) -> None:
    world.kinesis.keeps_showing("ACTIVE")
    world.kms.fails("describe_key", "ThrottlingException")
    world.kms.keeps(lambda: world.kms.shows(KeyState="Disabled"))
    assert "its state is Disabled" in world.fails(event())


class TestFreshness:
    """What is known of key, stack and stream when the change is asked for is young."""

    def test_looks_come_in_this_order(self, world: World) -> None:
        called: list[str] = []
        for service, operation in [
            (world.kinesis, "DescribeStreamSummary"),
            (world.kms, "DescribeKey"),
            (world.cloudformation, "DescribeStackResource"),
            (world.kinesis, "StartStreamEncryption"),
        ]:
            service.before(operation, partial(called.append, operation))
        world.kinesis.shows("ACTIVE")
        world.changes()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event(age=4))
        assert called[:4] == [
            "DescribeStreamSummary",
            "DescribeKey",
            "DescribeStackResource",
            "StartStreamEncryption",
        ]

    @pytest.mark.parametrize(("seconds", "looks"), [(1.5, 1), (2.5, 2)])
    def test_stream_is_looked_at_again_when_the_others_took_long(
        self, world: World, seconds: float, looks: int
    ) -> None:
        world.kinesis.shows("ACTIVE", times=looks)
        world.kms.takes("DescribeKey", world.clock, seconds)
        world.changes()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event())

    @pytest.mark.parametrize(("seconds", "looks"), [(4.5, 1), (5.5, 2)])
    def test_key_and_stack_are_looked_at_again_after_five_seconds(
        self, world: World, seconds: float, looks: int
    ) -> None:
        world.kms.takes("DescribeKey", world.clock, 3)
        world.kinesis.takes("DescribeStreamSummary", world.clock, 0, seconds)
        world.kinesis.shows("ACTIVE", times=2)
        for _ in range(looks):
            world.allows_a_change()
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event())

    def test_key_that_became_unfit_during_a_wait_is_refused(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.allows_a_change()
        world.kinesis.fails("start_stream_encryption", "ResourceInUseException")
        world.kinesis.shows("UPDATING", times=12)
        world.kinesis.shows("ACTIVE")
        world.kms.keeps(lambda: world.kms.shows(KeyState="Disabled"))
        assert "Disabled" in world.fails(event())

    def test_at_the_deadline_it_is_too_late_for_a_change(self, world: World) -> None:
        world.kinesis.takes("DescribeStreamSummary", world.clock, 600)
        world.kinesis.shows("ACTIVE")
        reason = world.fails(event())
        assert "within 600 s; last seen: ACTIVE, encryption NONE." in reason
