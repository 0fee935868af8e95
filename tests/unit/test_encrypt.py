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
    UNDATED_URL,
    World,
    event,
    refused,
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


class TestEventualConsistencyOfKms:
    """For 15 seconds, KMS may not show that a key exists or is enabled."""

    UNUSABLE = pytest.mark.parametrize(
        "state", ["Missing", "Disabled", "PendingDeletion", "PendingImport", "Creating"]
    )

    def shows(self, world: World, state: str) -> None:
        if state == "Missing":
            world.kms.fails("describe_key", "NotFoundException")
        else:
            world.kms.shows(KeyState=state)

    @UNUSABLE
    @pytest.mark.parametrize("times", [1, 2, 8])
    def test_key_that_becomes_usable_is_applied(self, world: World, state: str, times: int) -> None:
        world.kinesis.keeps_showing("ACTIVE")
        for _ in range(times):
            self.shows(world, state)
        world.allows_a_change()
        world.kinesis.asks(world.clock, lambda _: world.kinesis.shows_only("ACTIVE", KEY, times=2))
        world.succeeds(event())

    @UNUSABLE
    def test_key_that_stays_unusable_is_refused_after_15_seconds(
        self, world: World, state: str
    ) -> None:
        world.kinesis.shows("ACTIVE")
        world.kms.keeps(lambda: self.shows(world, state))
        described = world.kms.times_of("DescribeKey", world.clock)
        reason = world.fails(event())
        assert ("does not exist" if state == "Missing" else state) in reason
        assert 15 <= world.clock.elapsed < 18
        assert 8 <= len(described) <= 20

    @UNUSABLE
    def test_deadline_before_that_tells_what_is_wrong_with_the_key(
        self, world: World, state: str
    ) -> None:
        world.kinesis.shows("ACTIVE")
        world.kms.keeps(lambda: self.shows(world, state))
        reason = world.fails(event(ServiceTimeout="10"))
        assert reason.startswith(f"KMS key {KEY} ")
        assert ("does not exist" if state == "Missing" else state) in reason
        assert world.clock.elapsed == pytest.approx(5, abs=0.1)

    def test_alias_that_kms_does_not_show_yet_is_resolved(self, world: World) -> None:
        world.kinesis.keeps_showing("ACTIVE", KEY)
        world.kms.fails("describe_key", "NotFoundException", times=4)
        world.kms.shows(asked=ALIAS)
        world.kms.shows(asked=ALIAS_ARN)
        world.cloudformation.shows("CREATE_IN_PROGRESS")
        assert world.succeeds(event(KeyId=ALIAS))["Data"]["KeyArn"] == KEY

    @pytest.mark.parametrize(
        "code", ["KMSNotFoundException", "KMSDisabledException", "KMSInvalidStateException"]
    )
    @pytest.mark.parametrize("key", [KEY, AWS_MANAGED])
    def test_kinesis_may_not_see_the_key_yet_either(
        self, world: World, code: str, key: str
    ) -> None:
        world.kinesis.keeps_showing("ACTIVE")
        world.cloudformation.keeps(lambda: world.cloudformation.shows("CREATE_IN_PROGRESS"))
        if key == KEY:
            world.kms.keeps(world.kms.shows)

        def answer(_: int) -> None:
            if world.clock.elapsed < 14:
                raise refused(code)
            world.kinesis.shows_only("ACTIVE", key, times=2)

        world.kinesis.asks(world.clock, answer)
        world.succeeds(event(KeyId=key))


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


class TestStreamDeletedOutsideCloudFormation:
    """An Update fails, and so does its rollback: the reason says how to leave that state."""

    @pytest.mark.parametrize("sent", ["update", "rollback"])
    @pytest.mark.parametrize("found", ["missing", "deleting", "gone"])
    def test_remedy(self, world: World, sent: str, found: str) -> None:
        name = "o" * 128
        stream = STREAM.replace("orders", name)
        if found == "deleting":
            world.kinesis.shows("DELETING", stream=stream)
        elif found == "missing":
            world.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
        else:
            world.kinesis.shows("ACTIVE", stream=stream)
            world.allows_a_change("Update")
            world.kinesis.starts(stream=stream)
            world.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
        keys = [KEY, OTHER_KEY] if sent == "update" else [OTHER_KEY, KEY]
        key, old = (KEY, OTHER_KEY) if found == "gone" else keys
        reason = world.fails(event("Update", StreamArn=stream, KeyId=key, old={"KeyId": old}))
        assert stream in reason
        assert "UPDATE_ROLLBACK_FAILED, re-create the stream" in reason
        assert "`aws cloudformation continue-update-rollback --stack-name" in reason
        assert "`--resources-to-skip" in reason
        assert reason.endswith("then remove the resource or give it another stream.")
        assert len(reason) <= 1024


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
        world.kms.keeps(lambda: world.kms.shows(**changes))
        reason = world.fails(event())
        assert reason.startswith(f"KMS key {KEY}")
        assert all(value in reason for value in changes.values())
        assert f"ACTIVE, encryption KMS with key {OTHER_KEY}" in reason
        assert told in reason

    @pytest.mark.parametrize("changes", [{"KeySpec": "RSA_2048"}, {"KeyUsage": "SIGN_VERIFY"}])
    def test_what_never_changes_is_refused_at_once(
        self, world: World, changes: dict[str, Any]
    ) -> None:
        world.kinesis.shows("ACTIVE")
        world.kms.shows(**changes)
        world.fails(event())
        assert world.clock.elapsed == 0

    @pytest.mark.parametrize("code", ["NotFoundException", "InvalidArnException"])
    def test_one_that_does_not_exist_is_too(self, world: World, code: str) -> None:
        world.kinesis.shows("ACTIVE")
        world.kms.keeps_failing("describe_key", code)
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


ENDED = [
    "CREATE_FAILED",
    "CREATE_COMPLETE",
    "UPDATE_FAILED",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS",
    "DELETE_FAILED",
    "DELETE_COMPLETE",
    "DELETE_SKIPPED",
]
IN_PROGRESS = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"]
PROVE_NOTHING = ["ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "SOMETHING_NEW"]
REMOVING = ["ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"]
REMOVED = ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_COMPLETE"]
NOT_REMOVED = [
    "REVIEW_IN_PROGRESS",
    "CREATE_IN_PROGRESS",
    "CREATE_FAILED",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "SOMETHING_NEW",
]


class TestStaleRequest:
    """A request is stale only if CloudFormation shows what proves it."""

    AGE = 300

    def is_stale(self, world: World, sent: dict[str, Any]) -> bool:
        """Handle a request that would change the stream, and tell whether it was stale."""
        world.kinesis.shows("ACTIVE", OTHER_KEY)
        world.kms.shows()
        starts: list[int] = []

        def accept(number: int) -> None:
            starts.append(number)
            world.kinesis.shows_only("ACTIVE", KEY, times=2)

        world.kinesis.asks(world.clock, accept)
        answer = world.answer_to(sent)
        stale = bool(answer["Status"] == "FAILED")
        assert stale != bool(starts)
        assert not stale or " is stale (the resource " in answer["Reason"]
        return stale

    def sent(self, kind: str, age: float = AGE) -> dict[str, Any]:
        return event(kind, age=age, old={"KeyId": OTHER_KEY})

    @BOTH
    @pytest.mark.parametrize("status", ENDED)
    @pytest.mark.parametrize("seconds", [-1000, 0, 4.5, 5.5, 200])
    def test_status_that_ends_a_request(
        self, world: World, kind: str, status: str, seconds: float
    ) -> None:
        """An older one may be what was before the request, and all that is shown yet."""
        world.cloudformation.shows(status, BEGIN + timedelta(seconds=seconds - self.AGE))
        assert self.is_stale(world, self.sent(kind)) == (seconds > 5)

    @BOTH
    @pytest.mark.parametrize("status", IN_PROGRESS)
    @pytest.mark.parametrize("seconds", [-1000, 0, 59.5, 60.5])
    def test_status_of_a_request_in_progress(
        self, world: World, kind: str, status: str, seconds: float
    ) -> None:
        """Of another one only if that was sent much later."""
        world.cloudformation.shows(status, BEGIN + timedelta(seconds=seconds - self.AGE))
        assert self.is_stale(world, self.sent(kind)) == (seconds > 60)

    @pytest.mark.parametrize("status", PROVE_NOTHING)
    def test_status_that_proves_nothing(self, world: World, status: str) -> None:
        world.cloudformation.shows(status)
        assert not self.is_stale(world, self.sent("Update"))

    @BOTH
    @pytest.mark.parametrize("age", [0, 59, 61])
    @pytest.mark.parametrize("stack", [*REMOVING, *REMOVED, *NOT_REMOVED])
    def test_resource_that_does_not_exist(
        self, world: World, kind: str, stack: str, age: float
    ) -> None:
        """The stack's status may be that of the operation before for a minute at most."""
        world.cloudformation.shows_no_resource(stack)
        stale = stack in REMOVING or (stack in REMOVED and age > 60)
        assert self.is_stale(world, self.sent(kind, age)) == stale

    @pytest.mark.parametrize("seconds", [59.5, 60.5])
    @pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "UPDATE_IN_PROGRESS"])
    def test_request_without_a_date_counts_from_its_arrival(
        self, world: World, status: str, seconds: float
    ) -> None:
        world.kms.takes("DescribeKey", world.clock, 90)
        world.kinesis.shows("ACTIVE", OTHER_KEY)
        world.cloudformation.shows(status, BEGIN + timedelta(seconds=seconds))
        sent = self.sent("Update") | {"ResponseURL": UNDATED_URL}
        assert self.is_stale(world, sent) == (seconds > 60)
        world.kinesis.forget()

    @pytest.mark.parametrize(
        "error",
        [
            refused("AccessDenied", "no identity-based policy allows it"),
            refused("ValidationError", "Stack with id app does not exist"),
            refused("ResourceNotFoundException", "what is this"),
            ReadTimeoutError(endpoint_url="https://cloudformation"),
            KeyError("Stacks"),
            IndexError("Stacks"),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("operation", ["describe_stack_resource", "describe_stacks"])
    def test_stack_that_cannot_be_described_proves_nothing(
        self, world: World, operation: str, error: Exception
    ) -> None:
        world.cloudformation.shows_no_resource("ROLLBACK_IN_PROGRESS")
        world.cloudformation.raises(operation, error)
        world.cloudformation.open_ended = True
        if operation == "describe_stacks":
            missing = f"Resource Encryption does not exist for stack {STACK}"
            world.cloudformation.forget()
            world.cloudformation.keeps_failing(
                "describe_stack_resource", "ValidationError", missing
            )
        world.kinesis.keeps_showing("ACTIVE", OTHER_KEY)
        assert not self.is_stale(world, self.sent("Create"))
        assert world.clock.elapsed < 20
        logged = world.logged("the stack could not be looked at")
        assert logged or "does not exist" in str(error)
