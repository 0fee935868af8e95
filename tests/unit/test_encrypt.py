"""Create and Update: from what the stream is found to be to what it has to be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from tests.unit.world import (
    ACCOUNT,
    BEGIN,
    CREATED,
    KEY,
    KEY_ID,
    OTHER_KEY,
    OTHER_STREAM,
    REGION,
    STACK,
    STREAM,
    World,
    event,
)

ALIAS = "alias/orders"
ALIAS_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}"
AWS_MANAGED = "alias/aws/kinesis"
BOTH = pytest.mark.parametrize("kind", ["Create", "Update"])


@BOTH
def test_plaintext_stream_is_encrypted_and_settled(world: World, kind: str) -> None:
    world.kinesis.shows("ACTIVE")
    world.changes(kind)
    world.kinesis.shows("UPDATING", times=2)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    answer = world.succeeds(event(kind, old={"KeyId": OTHER_KEY}))
    assert answer["PhysicalResourceId"] == STREAM
    assert answer["Data"] == {
        "StreamName": "orders",
        "StreamArn": STREAM,
        "EncryptionType": "KMS",
        "KeyId": KEY,
        "KeyArn": KEY,
    }
    active_seen = world.logged("settling")[0]["elapsed"]
    assert world.clock.elapsed == pytest.approx(active_seen + 5, abs=0.01)


class TestNothingToChange:
    @BOTH
    @pytest.mark.parametrize("spelling", [KEY, KEY_ID])
    def test_it_costs_one_look_and_no_time(self, world: World, kind: str, spelling: str) -> None:
        world.kinesis.shows("ACTIVE", KEY)
        world.succeeds(event(kind, KeyId=spelling))
        assert world.clock.elapsed == 0
        assert world.clients_made == ["kinesis"]

    @BOTH
    @pytest.mark.parametrize(("age", "seconds"), [(0, 0), (10, 0), (44, 0), (45, 5), (60, 5)])
    def test_only_a_request_that_may_have_been_delivered_before_settles(
        self, world: World, kind: str, age: float, seconds: float
    ) -> None:
        """A cold start is no such delivery; Lambda's next try comes after a minute."""
        world.kinesis.shows("ACTIVE", KEY, times=2 if seconds else 1)
        world.succeeds(event(kind, age=age))
        assert world.clock.elapsed == seconds

    @BOTH
    @pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
    def test_a_change_that_was_seen_to_end_settles(
        self, world: World, kind: str, status: str
    ) -> None:
        world.kinesis.shows(status, times=3)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event(kind))
        assert world.logged("settling")

    def test_a_second_delivery_changes_nothing_more(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.changes()
        world.kinesis.shows("ACTIVE", KEY, times=3)
        first, second = world.succeeds(event()), world.succeeds(event())
        assert first == second


class TestSameKey:
    """An alias may be the wanted key, and may be what Kinesis describes."""

    @pytest.mark.parametrize("spelling", [ALIAS, ALIAS_ARN], ids=["name", "arn"])
    def test_alias_of_the_key_in_use_costs_no_change(self, world: World, spelling: str) -> None:
        world.kinesis.shows("ACTIVE", KEY)
        world.kms.shows(asked=ALIAS_ARN)
        assert world.succeeds(event(KeyId=spelling))["Data"]["KeyArn"] == KEY

    def test_stream_that_uses_an_alias_of_the_wanted_key_costs_no_change(
        self, world: World
    ) -> None:
        world.kinesis.shows("ACTIVE", ALIAS)
        world.kms.shows(asked=ALIAS_ARN, times=2)
        data = world.succeeds(event())["Data"]
        assert (data["KeyId"], data["KeyArn"]) == (ALIAS, KEY)

    def test_alias_of_another_key_is_a_change(self, world: World) -> None:
        world.kinesis.shows("ACTIVE", OTHER_KEY)
        world.kms.shows(asked=ALIAS_ARN)
        world.changes(key=ALIAS)
        world.kinesis.shows("ACTIVE", ALIAS, times=2)
        world.kms.shows(asked=ALIAS_ARN)
        world.succeeds(event(KeyId=ALIAS))

    @pytest.mark.parametrize("found", [None, OTHER_KEY, KEY], ids=["plaintext", "other", "same?"])
    def test_alias_that_may_not_be_resolved_is_trusted_once_kinesis_has_accepted_it(
        self, world: World, found: str | None
    ) -> None:
        """Which key it means is unknown: neither the same nor a different one."""
        world.kms.keeps_failing("describe_key", "AccessDeniedException")
        world.kinesis.keeps_showing("ACTIVE", found)
        world.cloudformation.shows("CREATE_IN_PROGRESS")

        def accept(_: int) -> None:
            world.kinesis.shows_only("UPDATING", found)
            world.kinesis.keeps_showing("ACTIVE", KEY)

        started = world.kinesis.asks(world.clock, accept)
        answer = world.succeeds(event(KeyId=ALIAS, age=4))
        assert len(started) == 1
        assert answer["Data"]["KeyArn"] == KEY
        assert world.logged("which key the alias means is unknown; Kinesis has accepted it")

    def test_aws_managed_key_is_not_looked_at_before_the_change(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.kinesis.starts(AWS_MANAGED)
        world.kinesis.shows("ACTIVE", AWS_MANAGED, times=2)
        world.kms.fails("describe_key", "DisabledException")
        world.cloudformation.shows("CREATE_IN_PROGRESS")
        answer = world.succeeds(event(KeyId=AWS_MANAGED, age=4))
        assert answer["Data"]["KeyArn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:{AWS_MANAGED}"

    def test_key_that_is_not_told_is_another_key(self, world: World) -> None:
        summary = world.kinesis.summary("ACTIVE", OTHER_KEY)
        del summary["KeyId"]
        world.kinesis.gives("describe_stream_summary", {"StreamDescriptionSummary": summary})
        world.changes()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event())


class TestAfterTheStart:
    """Descriptions are eventually consistent, and others change streams too."""

    def test_description_that_lags_behind_is_given_a_grace(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.changes()
        world.kinesis.shows("ACTIVE", times=3)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event())

    @pytest.mark.parametrize(("seconds", "patient"), [(9.5, True), (10.5, False)])
    def test_grace_is_ten_seconds(self, world: World, seconds: float, patient: bool) -> None:
        world.kinesis.shows("ACTIVE")
        world.changes()
        world.kinesis.shows("ACTIVE", OTHER_KEY, times=2)
        world.kinesis.takes("DescribeStreamSummary", world.clock, 0, 0, seconds - 0.6)
        if patient:
            world.kinesis.shows("ACTIVE", KEY, times=2)
        answer = world.answer_to(event())
        assert answer["Status"] == ("SUCCESS" if patient else "FAILED")
        assert patient or f"{OTHER_KEY}), although Kinesis accepted" in answer["Reason"]

    def test_change_during_the_settling_is_seen(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.changes()
        world.kinesis.shows("ACTIVE", KEY)
        world.kinesis.shows("UPDATING", KEY, times=2)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event())
        assert len(world.logged("settling")) == 2

    def test_stream_made_anew_during_the_settling_is_seen(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.changes()
        world.kinesis.shows("ACTIVE", KEY)
        world.kinesis.shows("ACTIVE", KEY, created=CREATED + timedelta(hours=1), times=3)
        world.succeeds(event())
        assert len(world.logged("settling")) == 2

    @pytest.mark.parametrize(
        "error",
        [
            ReadTimeoutError(endpoint_url="https://kinesis"),
            ResponseParserError("no JSON"),
            ClientError({"ResponseMetadata": {"HTTPStatusCode": 502}}, "StartStreamEncryption"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_start_without_an_answer_is_not_repeated_before_it_must_have_shown(
        self, world: World, error: Exception
    ) -> None:
        world.kinesis.keeps_showing("ACTIVE")
        world.allows_changes()

        def answer(number: int) -> None:
            if number == 1:
                raise error
            world.kinesis.shows_only("ACTIVE", KEY, times=2)

        asked = world.kinesis.asks(world.clock, answer)
        world.succeeds(event())
        assert len(asked) == 2
        assert 10 <= asked[1] - asked[0] < 12

    def test_stream_that_vanishes_before_the_start_is_not_found(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.allows_a_change()
        world.kinesis.fails("start_stream_encryption", "ResourceNotFoundException")
        world.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
        assert "does not exist in region" in world.fails(event())


class TestPhysicalId:
    """The stream's ARN, whichever way the stream is named."""

    def test_name_and_arn_are_the_same_stream(self, world: World) -> None:
        world.kinesis.shows("ACTIVE", KEY)
        renamed = event("Update", StreamArn=None, StreamName="orders")
        assert world.succeeds(renamed)["PhysicalResourceId"] == STREAM

    @pytest.mark.parametrize("found", [None, KEY])
    def test_update_to_another_stream_is_a_replacement(
        self, world: World, found: str | None
    ) -> None:
        world.kinesis.shows("ACTIVE", found)
        if found is None:
            world.changes("Update")
            world.kinesis.shows("ACTIVE", KEY, times=2)
        moved = event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})
        assert world.succeeds(moved)["PhysicalResourceId"] == STREAM

    def test_failed_replacement_keeps_the_id(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.changes("Update")
        world.kinesis.shows("DELETING")
        moved = event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})
        assert world.answer_to(moved)["PhysicalResourceId"] == OTHER_STREAM

    def test_failed_create_has_the_streams_too(self, world: World) -> None:
        world.kinesis.shows("DELETING")
        assert world.answer_to(event())["PhysicalResourceId"] == STREAM

    def test_create_that_names_no_stream_has_an_id_of_its_own_each_time_the_same(
        self, world: World
    ) -> None:
        wrong = event(StreamArn=None)
        first, second = world.answer_to(wrong), world.answer_to(wrong)
        assert first["PhysicalResourceId"] == second["PhysicalResourceId"] != ""
        other = world.answer_to({**wrong, "RequestId": "another"})
        assert other["PhysicalResourceId"] != first["PhysicalResourceId"]


class TestKey:
    """A key unfit for streams is refused while the stream still works."""

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"KeyState": "Disabled"}, "Bring it to the state Enabled (enable it"),
            ({"KeyState": "PendingDeletion"}, "after cancelling its deletion"),
            ({"KeyState": "PendingReplicaDeletion"}, "or give another key."),
            ({"KeyState": "PendingImport"}, "importing its key material"),
            ({"KeyState": "Unavailable"}, "reconnect its key store"),
            ({"KeyState": "Creating"}, "Bring it to the state Enabled"),
            ({"KeyState": "Melting"}, "Bring it to the state Enabled"),
            ({"KeySpec": "RSA_2048"}, "Give a key with KeySpec SYMMETRIC_DEFAULT"),
            ({"KeyUsage": "GENERATE_VERIFY_MAC"}, "and KeyUsage ENCRYPT_DECRYPT."),
        ],
    )
    def test_it_is_refused_before_any_change(
        self, world: World, changes: dict[str, Any], told: str
    ) -> None:
        world.kinesis.shows("ACTIVE", OTHER_KEY)
        world.kms.shows(**changes)
        reason = world.fails(event())
        assert reason.startswith(f"KMS key {KEY}")
        assert all(value in reason for value in changes.values())
        assert f"ACTIVE, encryption KMS with key {OTHER_KEY}" in reason
        assert told in reason

    @pytest.mark.parametrize("code", ["NotFoundException", "InvalidArnException"])
    def test_one_that_does_not_exist_is_too(self, world: World, code: str) -> None:
        world.kinesis.shows("ACTIVE")
        world.kms.fails("describe_key", code)
        assert world.fails(event()).startswith(f"KMS key {KEY} does not exist")

    @pytest.mark.parametrize(
        "shown", [{"KeyState": "Updating"}, {"KeySpec": None, "KeyUsage": None}]
    )
    def test_one_that_is_being_moved_or_says_less_is_fit(
        self, world: World, shown: dict[str, str | None]
    ) -> None:
        metadata = {"KeyId": KEY_ID, "Arn": KEY, "KeyState": "Enabled", **shown}
        known = {name: value for name, value in metadata.items() if value}
        world.kinesis.shows("ACTIVE")
        world.kms.gives("describe_key", {"KeyMetadata": known}, KeyId=KEY)
        world.cloudformation.shows("CREATE_IN_PROGRESS")
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event(age=4))

    def test_one_in_use_may_be_unfit(self, world: World) -> None:
        world.kinesis.shows("ACTIVE", KEY)
        world.succeeds(event("Update", old={"KeyId": OTHER_KEY}))
        assert "kms" not in world.clients_made


class TestStack:
    """A request that CloudFormation has given up changes nothing."""

    @BOTH
    @pytest.mark.parametrize(
        ("status", "age"),
        [
            ("CREATE_COMPLETE", 4),
            ("UPDATE_COMPLETE", 300),
            ("UPDATE_ROLLBACK_COMPLETE", 300),
            ("DELETE_IN_PROGRESS", 0),
            ("DELETE_COMPLETE", 0),
        ],
    )
    def test_it_is_not_carried_out(self, world: World, kind: str, status: str, age: float) -> None:
        """Not even when it is young: a Create can be cancelled while it runs."""
        world.kinesis.shows("ACTIVE")
        world.kms.shows()
        world.cloudformation.shows(status)
        reason = world.fails(event(kind, age=age, old={"KeyId": OTHER_KEY}))
        assert f"(it is {status})" in reason
        assert "no longer the resource's current one" in reason

    @BOTH
    def test_nor_is_that_of_a_resource_which_is_no_longer_shown(
        self, world: World, kind: str
    ) -> None:
        """As a cancelled Create whose Delete is done, or what an update has removed."""
        world.kinesis.shows("ACTIVE")
        world.kms.shows()
        gone = f"Resource Encryption does not exist for stack {STACK}"
        world.cloudformation.fails("describe_stack_resource", "ValidationError", gone)
        assert "(CloudFormation does not show it)" in world.fails(event(kind, age=4))

    @pytest.mark.parametrize("shown", ["UPDATE_COMPLETE", None])
    def test_what_has_only_just_been_sent_may_not_be_shown_yet(
        self, world: World, shown: str | None
    ) -> None:
        world.kinesis.shows("ACTIVE")
        world.kms.shows()
        if shown:
            world.cloudformation.shows(shown)
        else:
            world.cloudformation.fails(
                "describe_stack_resource", "ValidationError", "Resource x does not exist"
            )
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(event(age=2))

    @pytest.mark.parametrize(("seconds", "current"), [(4.5, True), (5.5, False)])
    def test_a_later_update_is_told_by_its_time(
        self, world: World, seconds: float, current: bool
    ) -> None:
        world.kinesis.shows("ACTIVE", OTHER_KEY)
        world.kms.shows()
        age = 30
        sent = BEGIN - timedelta(seconds=age)
        world.cloudformation.shows("UPDATE_IN_PROGRESS", sent + timedelta(seconds=seconds))
        if current:
            world.kinesis.starts()
            world.kinesis.shows("ACTIVE", KEY, times=2)
        answer = world.answer_to(event("Update", age=age, old={"KeyId": OTHER_KEY}))
        assert answer["Status"] == ("SUCCESS" if current else "FAILED")
        assert current or "(it is UPDATE_IN_PROGRESS anew since 2026-11-01 " in answer["Reason"]
