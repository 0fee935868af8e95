"""Create and Update: what is done depends on what the stream is found to be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.world import (
    ACCOUNT,
    KEY,
    KEY_ID,
    MARKED,
    OTHER_KEY,
    OTHER_STREAM,
    REGION,
    STREAM,
    World,
    event,
)

BOTH = pytest.mark.parametrize("kind", ["Create", "Update"])
ALIAS = "alias/orders"


@BOTH
def test_plaintext_stream_is_encrypted_and_settled(world: World, kind: str) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("UPDATING", times=2)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    answer = world.succeeds(event(kind, old={"KeyId": OTHER_KEY}))
    assert answer["Data"] == {
        "StreamName": "orders",
        "StreamArn": STREAM,
        "StreamStatus": "ACTIVE",
        "EncryptionType": "KMS",
        "KeyId": KEY,
        "KeyArn": KEY,
        "Changed": "true",
    }
    assert world.logged("started encryption")
    active_seen = world.logged("settling")[0]["elapsed"]
    assert world.clock.elapsed == pytest.approx(active_seen + 5, abs=0.01)


@BOTH
@pytest.mark.parametrize("spelling", [KEY, KEY_ID])
def test_stream_as_wanted_costs_no_change_and_no_wait(
    world: World, kind: str, spelling: str
) -> None:
    if kind == "Create":
        world.kms.shows(asked=spelling)
    world.kinesis.shows("ACTIVE", KEY)
    answer = world.succeeds(event(kind, KeyId=spelling))
    assert answer["Data"]["Changed"] == "false"
    assert world.clock.elapsed == 0


@pytest.mark.parametrize(
    "spelling", [ALIAS, f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}"], ids=["name", "arn"]
)
def test_alias_of_the_key_in_use_costs_no_change(world: World, spelling: str) -> None:
    world.kms.shows(asked=spelling)
    world.kinesis.shows("ACTIVE", KEY)
    answer = world.succeeds(event(KeyId=spelling))
    assert (answer["Data"]["KeyArn"], answer["Data"]["Changed"]) == (KEY, "false")


def test_stream_that_uses_an_alias_of_the_wanted_key_costs_no_change(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE", ALIAS)
    world.kms.shows(asked=f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}")
    answer = world.succeeds(event())
    assert answer["Data"]["KeyId"] == ALIAS
    assert answer["Data"]["KeyArn"] == KEY


def test_two_aliases_of_one_key_are_the_same_key(world: World) -> None:
    world.kms.shows(asked="alias/ours")
    world.kinesis.shows("ACTIVE", ALIAS)
    world.kms.shows(asked=f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}")
    answer = world.succeeds(event(KeyId="alias/ours"))
    assert (answer["Data"]["KeyArn"], answer["Data"]["Changed"]) == (KEY, "false")


def test_alias_is_looked_up_once(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE", ALIAS)
    world.kms.shows(OTHER_KEY, asked=f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", ALIAS, times=3)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event())


def test_alias_that_may_not_be_looked_up_is_taken_for_another_key(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE", ALIAS)
    world.kms.fails("describe_key", "AccessDeniedException")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event())
    assert world.logged("the alias could not be looked up")


def test_alias_of_another_key_is_a_change(world: World) -> None:
    world.kms.shows(asked=ALIAS)
    world.kinesis.shows("ACTIVE", OTHER_KEY)
    world.kinesis.starts(ALIAS)
    world.kinesis.shows("ACTIVE", ALIAS, times=2)
    assert world.succeeds(event(KeyId=ALIAS))["Data"]["Changed"] == "true"


def test_key_of_kinesis_itself_needs_no_look_before_the_change(world: World) -> None:
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts("alias/aws/kinesis")
    world.kinesis.shows("ACTIVE", "alias/aws/kinesis", times=2)
    world.kms.fails("describe_key", "AccessDeniedException")
    answer = world.succeeds(event(KeyId="alias/aws/kinesis"))
    assert answer["Data"]["KeyArn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/kinesis"


def test_key_behind_an_alias_is_told_only_when_there_is_time_to_find_it_out(world: World) -> None:
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts("alias/aws/kinesis")
    world.kinesis.shows("ACTIVE", "alias/aws/kinesis", times=2)
    for _ in range(50):
        world.kms.fails("describe_key", "ThrottlingException")
    world.kms.open_ended = True
    answer = world.succeeds(event(KeyId="alias/aws/kinesis"))
    assert answer["Data"]["KeyArn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/kinesis"


@BOTH
@pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
def test_stream_in_transition_is_waited_out_and_looked_at_again(
    world: World, kind: str, status: str
) -> None:
    if kind == "Create":
        world.kms.shows()
    world.kinesis.shows(status, times=3)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    answer = world.succeeds(event(kind))
    assert answer["Data"]["Changed"] == "false"
    assert world.logged("settling"), "the change of another delivery has only just ended"


@BOTH
@pytest.mark.parametrize("age", [3, 30])
def test_stream_as_wanted_is_settled_when_an_earlier_delivery_may_have_changed_it(
    world: World, kind: str, age: int
) -> None:
    if kind == "Create":
        world.kms.shows()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event(kind, age=age))
    assert world.clock.elapsed == 5


@BOTH
def test_stream_as_wanted_needs_no_settling_when_the_request_is_young(
    world: World, kind: str
) -> None:
    if kind == "Create":
        world.kms.shows()
    world.kinesis.shows("ACTIVE", KEY)
    world.succeeds(event(kind, age=2))
    assert world.clock.elapsed == 0


@BOTH
def test_missing_stream_is_named_with_region_and_account(world: World, kind: str) -> None:
    if kind == "Create":
        world.kms.shows()
    world.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
    reason = world.fails(event(kind))
    assert reason.startswith(f"Stream {STREAM} does not exist in region {REGION}")
    assert ACCOUNT in reason


@BOTH
def test_stream_being_deleted_fails(world: World, kind: str) -> None:
    if kind == "Create":
        world.kms.shows()
    world.kinesis.shows("DELETING")
    assert "is being deleted" in world.fails(event(kind))


def test_stream_deleted_during_the_wait_fails(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("UPDATING")
    world.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
    assert "was deleted while it was being encrypted" in world.fails(event())


def test_start_refused_as_in_use_is_waited_out_and_looked_at_again(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.fails("start_stream_encryption", "ResourceInUseException")
    world.kinesis.shows("UPDATING")
    world.kinesis.shows("ACTIVE", KEY, times=2)
    answer = world.succeeds(event())
    assert answer["Data"]["Changed"] == "false"
    assert answer["PhysicalResourceId"] == STREAM, "somebody else encrypted it"
    assert not world.logged("started encryption")


def test_start_without_an_answer_is_not_repeated_blindly(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.fails("start_stream_encryption", "InternalFailure", status=500)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    answer = world.succeeds(event())
    assert world.logged("settling"), "the change may have been this one"
    assert answer["PhysicalResourceId"] == MARKED
    assert answer["Data"]["Changed"] == "true"


def test_description_that_lags_behind_is_given_a_grace(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", times=3)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event())


def test_another_key_after_our_change_is_somebody_elses(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.keeps_showing("ACTIVE", OTHER_KEY)
    reason = world.fails(event())
    assert "somebody else changed it" in reason
    assert OTHER_KEY in reason
    assert 10 <= world.clock.elapsed < 15


@pytest.mark.parametrize(("seconds", "patient"), [(9.5, True), (10.5, False)])
def test_change_that_does_not_show_is_doubted_for_ten_seconds(
    world: World, seconds: float, patient: bool
) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", times=2)
    world.kinesis.takes("DescribeStreamSummary", world.clock, 0, 0, seconds - 0.6)
    if patient:
        world.kinesis.shows("ACTIVE", KEY, times=2)
    answer = world.answer_to(event())
    assert answer["Status"] == ("SUCCESS" if patient else "FAILED")


def test_change_during_the_settling_is_seen(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", KEY)
    world.kinesis.shows("UPDATING", KEY, times=2)
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event())
    assert len(world.logged("settling")) == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"KeyState": "Disabled"}, "Enable it (kms:EnableKey) or give another key."),
        (
            {"KeyState": "PendingDeletion"},
            "Cancel its deletion and enable it (kms:CancelKeyDeletion, kms:EnableKey) or give"
            " another key.",
        ),
        (
            {"KeyState": "PendingReplicaDeletion"},
            "Give another key: this one is going to be deleted.",
        ),
        ({"KeyState": "PendingImport"}, "Import its key material or give another key."),
        ({"KeyState": "Unavailable"}, "Reconnect its custom key store or give another key."),
        ({"KeyState": "Creating"}, "Wait until it is created, then deploy again."),
        (
            {"KeySpec": "RSA_2048"},
            "Give a key with KeySpec SYMMETRIC_DEFAULT and KeyUsage ENCRYPT_DECRYPT.",
        ),
        (
            {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
            "Give a key with KeySpec SYMMETRIC_DEFAULT and KeyUsage ENCRYPT_DECRYPT.",
        ),
        (
            {"KeyUsage": "SIGN_VERIFY"},
            "Give a key with KeySpec SYMMETRIC_DEFAULT and KeyUsage ENCRYPT_DECRYPT.",
        ),
    ],
)
def test_key_unfit_for_streams_is_refused_before_any_change(
    world: World, changes: dict[str, Any], told: str
) -> None:
    world.kms.shows(**changes)
    world.kinesis.shows("ACTIVE", OTHER_KEY)
    reason = world.fails(event())
    assert reason.startswith(f"KMS key {KEY}")
    assert all(value in reason for value in changes.values())
    assert f"ACTIVE, encryption KMS with key {OTHER_KEY}" in reason
    assert reason.endswith(f" {told}")


def test_key_that_does_not_say_what_it_is_for_is_taken_for_fit(world: World) -> None:
    metadata = {"KeyId": KEY_ID, "Arn": KEY, "KeyState": "Enabled"}
    world.kms.gives("describe_key", {"KeyMetadata": metadata}, KeyId=KEY)
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event())


def test_state_of_a_key_that_nobody_knows_is_refused(world: World) -> None:
    world.kms.shows(KeyState="Melting")
    world.kinesis.shows("ACTIVE")
    assert world.fails(event()).endswith(" Give a key whose state is Enabled.")


def test_key_whose_primary_is_being_moved_is_fit(world: World) -> None:
    world.kms.shows(KeyState="Updating")
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event())


@pytest.mark.parametrize("code", ["NotFoundException", "InvalidArnException"])
def test_missing_key_is_refused_before_any_change(world: World, code: str) -> None:
    world.kms.fails("describe_key", code)
    world.kinesis.shows("ACTIVE")
    assert world.fails(event()).startswith(f"KMS key {KEY} does not exist")


def test_key_that_may_not_be_looked_at_is_tried_and_logged(world: World) -> None:
    denial = "no resource-based policy allows it, and here comes an explicit deny"
    world.kms.fails("describe_key", "AccessDeniedException", denial)
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.succeeds(event())
    assert world.logged("the key could not be looked at")


def test_key_in_use_may_be_unfit_as_long_as_nothing_changes(world: World) -> None:
    world.kms.shows(KeyState="Disabled")
    world.kinesis.shows("ACTIVE", KEY)
    world.succeeds(event())


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("KMSDisabledException", "Enable the key (kms:EnableKey) or give another one."),
        ("KMSInvalidStateException", "Give a key whose state is Enabled."),
        ("KMSNotFoundException", "Check key id, alias, region and account."),
        ("KMSOptInRequired", "Subscribe the account to AWS KMS."),
    ],
)
def test_key_that_kinesis_refuses_is_reported_at_once(world: World, code: str, told: str) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.fails("start_stream_encryption", code, "no")
    reason = world.fails(event())
    assert KEY in reason
    assert f"({code}: no)" in reason
    assert reason.endswith(f" {told}")
    assert world.clock.elapsed == 0


class TestPhysicalId:
    """The id tells Delete what this resource found."""

    def test_plaintext_leaves_a_mark(self, world: World) -> None:
        self._changes(world, None)
        assert world.succeeds(event())["PhysicalResourceId"] == MARKED

    def test_key_given_by_others_after_an_unanswered_start_takes_the_mark_away(
        self, world: World
    ) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE")
        world.kinesis.fails("start_stream_encryption", "InternalFailure", status=500)
        world.kinesis.shows("UPDATING", times=18)
        world.kinesis.shows("ACTIVE", OTHER_KEY, times=2)
        world.cloudformation.fails("describe_stack_resource", "AccessDenied")
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        assert world.succeeds(event())["PhysicalResourceId"] == STREAM

    def test_key_spelt_otherwise_after_an_unanswered_start_is_somebody_elses(
        self, world: World
    ) -> None:
        world.kms.shows(asked=ALIAS)
        world.kinesis.shows("ACTIVE")
        world.kinesis.fails("start_stream_encryption", "InternalFailure", status=500)
        world.kinesis.shows("ACTIVE", KEY, times=2)
        answer = world.succeeds(event(KeyId=ALIAS))
        assert answer["PhysicalResourceId"] == STREAM
        assert answer["Data"]["Changed"] == "false"

    def test_encryption_with_a_key_that_is_not_told_is_no_plaintext(self, world: World) -> None:
        world.kms.shows()
        summary = world.kinesis.summary("ACTIVE", OTHER_KEY)
        del summary["KeyId"]
        world.kinesis.gives("describe_stream_summary", {"StreamDescriptionSummary": summary})
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        assert world.succeeds(event())["PhysicalResourceId"] == STREAM

    @pytest.mark.parametrize("code", ["ResourceInUseException", "ThrottlingException"])
    def test_refused_start_leaves_none_even_when_the_request_fails(
        self, world: World, code: str
    ) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE")
        world.kinesis.fails("start_stream_encryption", code)
        world.kinesis.keeps_showing("UPDATING")
        assert world.answer_to(event())["PhysicalResourceId"] == STREAM

    def test_another_key_leaves_none(self, world: World) -> None:
        self._changes(world, OTHER_KEY)
        assert world.succeeds(event())["PhysicalResourceId"] == STREAM

    @pytest.mark.parametrize("found", [None, OTHER_KEY])
    @pytest.mark.parametrize("held", [STREAM, MARKED])
    def test_update_of_the_same_stream_keeps_the_id(
        self, world: World, held: str, found: str | None
    ) -> None:
        self._changes(world, found)
        updated = event("Update", physical_id=held, old={"KeyId": OTHER_KEY})
        assert world.succeeds(updated)["PhysicalResourceId"] == held

    def test_update_to_another_stream_by_name_looks_at_the_key_first(self, world: World) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE")
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)
        world.succeeds(
            event("Update", StreamArn=None, StreamName="orders", old={"StreamName": "returns"})
        )

    def test_update_to_another_stream_is_a_replacement(self, world: World) -> None:
        self._changes(world, None)
        moved = event(
            "Update",
            physical_id=OTHER_STREAM,
            old={"StreamArn": OTHER_STREAM, "KeyId": OTHER_KEY},
        )
        assert world.succeeds(moved)["PhysicalResourceId"] == MARKED

    def test_failed_replacement_that_changed_nothing_keeps_the_id(self, world: World) -> None:
        world.kms.shows()
        world.kinesis.shows("DELETING")
        moved = event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})
        assert world.answer_to(moved)["PhysicalResourceId"] == OTHER_STREAM

    def test_failed_replacement_that_changed_its_stream_has_a_new_id(self, world: World) -> None:
        world.kinesis.shows("ACTIVE")
        world.kms.shows()
        world.kinesis.starts()
        world.kinesis.shows("DELETING")
        moved = event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})
        assert world.answer_to(moved)["PhysicalResourceId"] == MARKED

    def test_replacement_by_a_stream_as_wanted_has_a_new_id(self, world: World) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE", KEY)
        moved = event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})
        assert world.succeeds(moved)["PhysicalResourceId"] == STREAM

    def test_name_and_arn_are_the_same_stream(self, world: World) -> None:
        world.kinesis.shows("ACTIVE", KEY)
        renamed = event("Update", StreamArn=None, StreamName="orders")
        assert world.succeeds(renamed)["PhysicalResourceId"] == STREAM

    def test_failure_after_an_accepted_change_keeps_the_mark(self, world: World) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE")
        world.kinesis.starts()
        world.kinesis.shows("DELETING")
        assert world.answer_to(event())["PhysicalResourceId"] == MARKED

    @pytest.mark.parametrize("kind", ["Create", "Update"])
    def test_malformed_request_has_a_stable_id(self, world: World, kind: str) -> None:
        wrong = event(kind, KeyId=None)
        first, second = world.answer_to(wrong), world.answer_to(wrong)
        assert first["PhysicalResourceId"] == second["PhysicalResourceId"] != ""
        if kind == "Update":
            assert first["PhysicalResourceId"] == STREAM

    @staticmethod
    def _changes(world: World, key: str | None) -> None:
        world.kms.shows()
        world.kinesis.shows("ACTIVE", key)
        world.kinesis.starts()
        world.kinesis.shows("ACTIVE", KEY, times=2)


def test_clients_are_made_only_when_they_are_needed(world: World) -> None:
    world.kinesis.shows("ACTIVE", KEY)
    world.succeeds(event("Update"))
    assert world.clients_made == ["kinesis"]


def test_second_delivery_changes_nothing_more(world: World) -> None:
    world.kms.shows()
    world.kinesis.shows("ACTIVE")
    world.kinesis.starts()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    world.kms.shows()
    world.kinesis.shows("ACTIVE", KEY, times=2)
    first, second = world.succeeds(event()), world.succeeds(event())
    assert first["Data"]["Changed"] == "true"
    assert second["Data"]["Changed"] == "false"
