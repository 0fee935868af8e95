"""Preflight checks of key and stack fail open."""

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

from tests.unit.stubs import KEY, OTHER_KEY, StubbedAws, StubbedService, event, refused

HANGS = pytest.mark.parametrize(
    ("seconds", "error"), [(5, ReadTimeoutError), (2, ConnectTimeoutError)]
)


def accepts_a_change(aws: StubbedAws) -> list[float]:
    """Describe an unencrypted stream until encryption is started; record the time."""
    aws.allows_changes()
    aws.kinesis.keeps_showing("ACTIVE")

    def accept(_: int) -> None:
        aws.kinesis.shows_only("UPDATING", times=8)
        aws.kinesis.keeps_showing("ACTIVE", KEY)

    return aws.kinesis.on_start(aws.clock, accept)


class TestUnreachable:
    """In a VPC without the endpoint, a call hangs: one attempt, then the change continues."""

    @HANGS
    @pytest.mark.parametrize("what", ["key", "stack"])
    def test_change_continues(
        self, aws: StubbedAws, what: str, seconds: float, error: type[HTTPClientError]
    ) -> None:
        started = accepts_a_change(aws)
        service, operation = side(aws, what)
        attempts = service.hangs(operation, aws.clock, seconds, error)
        aws.succeeds(event(ServiceTimeout="150", age=4))
        assert (len(attempts), len(started)) == (1, 1)
        assert aws.clock.elapsed <= 45
        assert aws.logged(f"the {what} could not be described")

    def test_change_to_an_alias_continues_although_both_hang(self, aws: StubbedAws) -> None:
        started = accepts_a_change(aws)
        attempts = [
            service.hangs(operation, aws.clock)
            for service, operation in (side(aws, "key"), side(aws, "stack"))
        ]
        aws.succeeds(event(KeyId="alias/orders", ServiceTimeout="150", age=4))
        assert [len(each) for each in attempts] == [1, 1]
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
@pytest.mark.parametrize("what", ["key", "stack"])
def test_failing_check_ends_after_a_few_seconds(
    aws: StubbedAws, what: str, error: Exception
) -> None:
    started = accepts_a_change(aws)
    service, operation = side(aws, what)
    service.raises(operation, error)
    aws.succeeds(event(age=4))
    assert started[0] <= 7.5
    action = {"key": "kms:DescribeKey", "stack": "cloudformation:DescribeStackResource"}[what]
    lines = aws.logged(f"the {what} could not be described")
    assert {line["error"].partition(": ")[0] for line in lines} == {action}


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
    started = accepts_a_change(aws)
    for service, operation in (side(aws, "key"), side(aws, "stack")):
        service.raises(operation, error)
    aws.succeeds(event(KeyId="alias/orders", age=4))
    assert started[0] <= 15


def side(aws: StubbedAws, what: str) -> tuple[StubbedService, str]:
    if what == "key":
        return aws.kms, "describe_key"
    return aws.cloudformation, "describe_stack_resource"


@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("KMSInternalException", 500)]
)
def test_transient_error_does_not_skip_the_check(aws: StubbedAws, code: str, status: int) -> None:
    aws.kinesis.keeps_showing("ACTIVE")
    aws.kms.fails("describe_key", code, status=status)
    aws.kms.keeps(lambda: aws.kms.shows(KeyState="Disabled"))
    assert "(state: Disabled)" in aws.fails(event())


@pytest.mark.parametrize("reason", ["with an explicit deny in a permissions boundary", "no"])
def test_denied_check_is_not_repeated_while_a_start_is_denied(aws: StubbedAws, reason: str) -> None:
    aws.kinesis.keeps_showing("ACTIVE", OTHER_KEY)
    aws.cloudformation.keeps(lambda: aws.cloudformation.shows("CREATE_IN_PROGRESS"))
    calls: list[float] = []

    def deny_check(**_: str) -> None:
        calls.append(aws.clock.elapsed)
        aws.clock.sleep(0.2)
        raise refused("AccessDeniedException", reason)

    def deny_start(_: int) -> None:
        raise refused("AccessDeniedException", "because no identity-based policy allows it")

    aws.kms.client.describe_key = deny_check
    aws.kinesis.on_start(aws.clock, deny_start)
    failure = aws.fails(event(KeyId="alias/orders"))
    assert failure.startswith("ACCESS_DENIED: Access denied to kinesis:Start")
    assert aws.clock.elapsed > 60
    assert 0.2 * len(calls) <= 5.2


class TestFreshness:
    """Descriptions of key, stack, and stream are recent when the change starts."""

    def test_key_is_described_again_after_a_long_description_of_the_stack(
        self, aws: StubbedAws
    ) -> None:
        """A rollback may have deleted it in the meantime."""
        aws.kinesis.shows("ACTIVE", times=2)
        aws.kms.shows()
        aws.cloudformation.takes("DescribeStackResource", aws.clock, 6)
        aws.cloudformation.shows("CREATE_IN_PROGRESS")
        aws.kms.keeps(lambda: aws.kms.shows(KeyState="PendingDeletion"))
        assert "(state: PendingDeletion)" in aws.fails(event())

    def test_order_of_calls(self, aws: StubbedAws) -> None:
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

    @pytest.mark.parametrize(("seconds", "calls"), [(1.5, 1), (2.5, 2)])
    def test_stream_is_described_again_after_slow_checks(
        self, aws: StubbedAws, seconds: float, calls: int
    ) -> None:
        aws.kinesis.shows("ACTIVE", times=calls)
        aws.kms.takes("DescribeKey", aws.clock, seconds)
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())

    @pytest.mark.parametrize(("seconds", "calls"), [(4.5, 1), (5.5, 2)])
    def test_key_and_stack_are_checked_again_after_five_seconds(
        self, aws: StubbedAws, seconds: float, calls: int
    ) -> None:
        aws.kms.takes("DescribeKey", aws.clock, 3)
        aws.kinesis.takes("DescribeStreamSummary", aws.clock, 0, seconds)
        aws.kinesis.shows("ACTIVE", times=2)
        for _ in range(calls):
            aws.allows_a_change()
        aws.kinesis.starts()
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())

    def test_key_that_became_unusable_during_a_wait_is_rejected(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.allows_a_change()
        aws.kinesis.fails("start_stream_encryption", "ResourceInUseException")
        aws.kinesis.shows("UPDATING", times=12)
        aws.kinesis.shows("ACTIVE")
        aws.kms.keeps(lambda: aws.kms.shows(KeyState="Disabled"))
        assert "Disabled" in aws.fails(event())

    def test_no_change_starts_after_the_deadline(self, aws: StubbedAws) -> None:
        aws.kinesis.takes("DescribeStreamSummary", aws.clock, 600)
        aws.kinesis.shows("ACTIVE")
        reason = aws.fails(event())
        assert "within 600 s; last state: ACTIVE, encryption NONE." in reason
