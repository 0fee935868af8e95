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

from tests.unit.stubs import KEY, Service, StubbedAws, event, refused

HANGS = pytest.mark.parametrize(
    ("seconds", "error"), [(5, ReadTimeoutError), (2, ConnectTimeoutError)]
)


def takes_a_change(aws: StubbedAws) -> list[float]:
    """Show a plaintext stream until a change is asked for; note when it is."""
    aws.allows_changes()
    aws.kinesis.keeps_showing("ACTIVE")

    def accept(_: int) -> None:
        aws.kinesis.shows_only("UPDATING", times=8)
        aws.kinesis.keeps_showing("ACTIVE", KEY)

    return aws.kinesis.asks(aws.clock, accept)


class TestUnreachable:
    """In a VPC without the endpoint a call hangs: one short try in all, and the change goes on."""

    @HANGS
    @pytest.mark.parametrize("looks_at", ["key", "stack"])
    def test_change_goes_on(
        self, aws: StubbedAws, looks_at: str, seconds: float, error: type[HTTPClientError]
    ) -> None:
        started = takes_a_change(aws)
        service, operation = side(aws, looks_at)
        tries = service.hangs(operation, aws.clock, seconds, error)
        aws.succeeds(event(ServiceTimeout="150", age=4))
        assert (len(tries), len(started)) == (1, 1)
        assert aws.clock.elapsed <= 45
        assert aws.logged(f"the {looks_at} could not be looked at")

    def test_change_to_an_alias_goes_on_though_both_hang(self, aws: StubbedAws) -> None:
        started = takes_a_change(aws)
        tries = [
            service.hangs(operation, aws.clock)
            for service, operation in (side(aws, "key"), side(aws, "stack"))
        ]
        aws.succeeds(event(KeyId="alias/orders", ServiceTimeout="150", age=4))
        assert [len(each) for each in tries] == [1, 1]
        assert len(started) == 1
        assert aws.clock.elapsed <= 45


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
    aws: StubbedAws, looks_at: str, error: Exception
) -> None:
    started = takes_a_change(aws)
    service, operation = side(aws, looks_at)
    service.raises(operation, error)
    aws.succeeds(event(age=4))
    assert started[0] <= 7.5
    assert aws.logged(f"the {looks_at} could not be looked at")


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
def test_checks_that_cannot_run_cost_15_seconds_in_total(aws: StubbedAws, error: Exception) -> None:
    started = takes_a_change(aws)
    for service, operation in (side(aws, "key"), side(aws, "stack")):
        service.raises(operation, error)
    aws.succeeds(event(KeyId="alias/orders", age=4))
    assert started[0] <= 15


def side(aws: StubbedAws, looks_at: str) -> tuple[Service, str]:
    if looks_at == "key":
        return aws.kms, "describe_key"
    return aws.cloudformation, "describe_stack_resource"


def test_passing_trouble_costs_no_protection(aws: StubbedAws) -> None:
    aws.kinesis.keeps_showing("ACTIVE")
    aws.kms.fails("describe_key", "ThrottlingException")
    aws.kms.keeps(lambda: aws.kms.shows(KeyState="Disabled"))
    assert "its state is Disabled" in aws.fails(event())


class TestFreshness:
    """What is known of key, stack and stream when the change is asked for is young."""

    def test_looks_come_in_this_order(self, aws: StubbedAws) -> None:
        called: list[str] = []
        for service, operation in [
            (aws.kinesis, "DescribeStreamSummary"),
            (aws.kms, "DescribeKey"),
            (aws.cloudformation, "DescribeStackResource"),
            (aws.kinesis, "StartStreamEncryption"),
        ]:
            service.before(operation, partial(called.append, operation))
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event(age=4))
        assert called[:4] == [
            "DescribeStreamSummary",
            "DescribeKey",
            "DescribeStackResource",
            "StartStreamEncryption",
        ]

    @pytest.mark.parametrize(("seconds", "looks"), [(1.5, 1), (2.5, 2)])
    def test_stream_is_looked_at_again_when_the_others_took_long(
        self, aws: StubbedAws, seconds: float, looks: int
    ) -> None:
        aws.kinesis.shows("ACTIVE", times=looks)
        aws.kms.takes("DescribeKey", aws.clock, seconds)
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())

    @pytest.mark.parametrize(("seconds", "looks"), [(4.5, 1), (5.5, 2)])
    def test_key_and_stack_are_looked_at_again_after_five_seconds(
        self, aws: StubbedAws, seconds: float, looks: int
    ) -> None:
        aws.kms.takes("DescribeKey", aws.clock, 3)
        aws.kinesis.takes("DescribeStreamSummary", aws.clock, 0, seconds)
        aws.kinesis.shows("ACTIVE", times=2)
        for _ in range(looks):
            aws.allows_a_change()
        aws.kinesis.starts()
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())

    def test_key_that_became_unfit_during_a_wait_is_refused(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.allows_a_change()
        aws.kinesis.fails("start_stream_encryption", "ResourceInUseException")
        aws.kinesis.shows("UPDATING", times=12)
        aws.kinesis.shows("ACTIVE")
        aws.kms.keeps(lambda: aws.kms.shows(KeyState="Disabled"))
        assert "Disabled" in aws.fails(event())

    def test_at_the_deadline_it_is_too_late_for_a_change(self, aws: StubbedAws) -> None:
        aws.kinesis.takes("DescribeStreamSummary", aws.clock, 600)
        aws.kinesis.shows("ACTIVE")
        reason = aws.fails(event())
        assert "within 600 s; last seen: ACTIVE, encryption NONE." in reason
