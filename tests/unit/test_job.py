"""Create and Update: from what the stream is found to be to what it has to be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from tests.unit.stubs import (
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
    StubbedAws,
    event,
    refused,
)

ALIAS = "alias/orders"
ALIAS_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}"
AWS_MANAGED = "alias/aws/kinesis"
BOTH = pytest.mark.parametrize("kind", ["Create", "Update"])


@BOTH
def test_plaintext_stream_is_encrypted_and_settled(aws: StubbedAws, kind: str) -> None:
    aws.kinesis.shows("ACTIVE")
    aws.changes(kind)
    aws.kinesis.shows("UPDATING", times=2)
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    answer = aws.succeeds(event(kind, old={"KeyId": OTHER_KEY}))
    assert answer["PhysicalResourceId"] == STREAM
    assert answer["Data"] == {
        "StreamName": "orders",
        "StreamArn": STREAM,
        "EncryptionType": "KMS",
        "KeyId": KEY,
        "KeyArn": KEY,
    }
    active_seen = aws.logged("settling")[0]["elapsed"]
    assert aws.clock.elapsed == pytest.approx(active_seen + 5, abs=0.01)


class TestNothingToChange:
    @BOTH
    @pytest.mark.parametrize("spelling", [KEY, KEY_ID])
    def test_it_costs_one_look_and_no_time(self, aws: StubbedAws, kind: str, spelling: str) -> None:
        aws.kinesis.shows("ACTIVE", KEY)
        aws.succeeds(event(kind, KeyId=spelling))
        assert aws.clock.elapsed == 0
        assert aws.clients_made == ["kinesis"]

    @BOTH
    @pytest.mark.parametrize(("age", "seconds"), [(0, 0), (10, 0), (44, 0), (45, 5), (60, 5)])
    def test_only_a_request_that_may_have_been_delivered_before_settles(
        self, aws: StubbedAws, kind: str, age: float, seconds: float
    ) -> None:
        """A cold start is no such delivery; Lambda's next try comes after a minute."""
        aws.kinesis.shows("ACTIVE", KEY, times=2 if seconds else 1)
        aws.succeeds(event(kind, age=age))
        assert aws.clock.elapsed == seconds

    @BOTH
    @pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
    def test_a_change_that_was_seen_to_end_settles(
        self, aws: StubbedAws, kind: str, status: str
    ) -> None:
        aws.kinesis.shows(status, times=3)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event(kind))
        assert aws.logged("settling")

    def test_a_second_delivery_changes_nothing_more(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY, times=3)
        first, second = aws.succeeds(event()), aws.succeeds(event())
        assert first == second


class TestSameKey:
    """An alias may be the wanted key, and may be what Kinesis describes."""

    @pytest.mark.parametrize("spelling", [ALIAS, ALIAS_ARN], ids=["name", "arn"])
    def test_alias_of_the_key_in_use_costs_no_change(self, aws: StubbedAws, spelling: str) -> None:
        aws.kinesis.shows("ACTIVE", KEY)
        aws.kms.shows(asked=ALIAS_ARN)
        assert aws.succeeds(event(KeyId=spelling))["Data"]["KeyArn"] == KEY

    def test_stream_that_uses_an_alias_of_the_wanted_key_costs_no_change(
        self, aws: StubbedAws
    ) -> None:
        aws.kinesis.shows("ACTIVE", ALIAS)
        aws.kms.shows(asked=ALIAS_ARN, times=2)
        data = aws.succeeds(event())["Data"]
        assert (data["KeyId"], data["KeyArn"]) == (ALIAS, KEY)

    def test_alias_of_another_key_is_a_change(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE", OTHER_KEY)
        aws.kms.shows(asked=ALIAS_ARN)
        aws.changes(key=ALIAS)
        aws.kinesis.shows("ACTIVE", ALIAS, times=2)
        aws.kms.shows(asked=ALIAS_ARN)
        aws.succeeds(event(KeyId=ALIAS))

    @pytest.mark.parametrize("found", [None, OTHER_KEY, KEY], ids=["plaintext", "other", "same?"])
    def test_alias_that_may_not_be_resolved_is_trusted_once_kinesis_has_accepted_it(
        self, aws: StubbedAws, found: str | None
    ) -> None:
        """Which key it means is unknown: neither the same nor a different one."""
        aws.kms.keeps_failing("describe_key", "AccessDeniedException")
        aws.kinesis.keeps_showing("ACTIVE", found)
        aws.cloudformation.shows("CREATE_IN_PROGRESS")

        def accept(_: int) -> None:
            aws.kinesis.shows_only("UPDATING", found)
            aws.kinesis.keeps_showing("ACTIVE", KEY)

        started = aws.kinesis.asks(aws.clock, accept)
        answer = aws.succeeds(event(KeyId=ALIAS, age=4))
        assert len(started) == 1
        assert answer["Data"]["KeyArn"] == KEY
        assert aws.logged("which key the alias means is unknown; Kinesis has accepted it")

    def test_aws_managed_key_is_not_looked_at_before_the_change(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kinesis.starts(AWS_MANAGED)
        aws.kinesis.shows("ACTIVE", AWS_MANAGED, times=2)
        aws.kms.fails("describe_key", "DisabledException")
        aws.cloudformation.shows("CREATE_IN_PROGRESS")
        answer = aws.succeeds(event(KeyId=AWS_MANAGED, age=4))
        assert answer["Data"]["KeyArn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:{AWS_MANAGED}"

    def test_key_that_is_not_told_is_another_key(self, aws: StubbedAws) -> None:
        summary = aws.kinesis.summary("ACTIVE", OTHER_KEY)
        del summary["KeyId"]
        aws.kinesis.gives("describe_stream_summary", {"StreamDescriptionSummary": summary})
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())


class TestEventualConsistencyOfKms:
    """For 15 seconds, KMS may not show that a key exists or is enabled."""

    UNUSABLE = pytest.mark.parametrize(
        "state", ["Missing", "Disabled", "PendingDeletion", "PendingImport", "Creating"]
    )

    def shows(self, aws: StubbedAws, state: str) -> None:
        if state == "Missing":
            aws.kms.fails("describe_key", "NotFoundException")
        else:
            aws.kms.shows(KeyState=state)

    @UNUSABLE
    @pytest.mark.parametrize("times", [1, 2, 8])
    def test_key_that_becomes_usable_is_applied(
        self, aws: StubbedAws, state: str, times: int
    ) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        for _ in range(times):
            self.shows(aws, state)
        aws.allows_a_change()
        aws.kinesis.asks(aws.clock, lambda _: aws.kinesis.shows_only("ACTIVE", KEY, times=2))
        aws.succeeds(event())

    @UNUSABLE
    def test_key_that_stays_unusable_is_refused_after_15_seconds(
        self, aws: StubbedAws, state: str
    ) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kms.keeps(lambda: self.shows(aws, state))
        described = aws.kms.times_of("DescribeKey", aws.clock)
        reason = aws.fails(event())
        assert ("does not exist" if state == "Missing" else state) in reason
        assert 15 <= aws.clock.elapsed < 18
        assert 8 <= len(described) <= 20

    @UNUSABLE
    def test_deadline_before_that_tells_what_is_wrong_with_the_key(
        self, aws: StubbedAws, state: str
    ) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kms.keeps(lambda: self.shows(aws, state))
        reason = aws.fails(event(ServiceTimeout="10"))
        assert reason.startswith(f"KMS key {KEY} ")
        assert ("does not exist" if state == "Missing" else state) in reason
        assert aws.clock.elapsed == pytest.approx(5, abs=0.1)

    def test_alias_that_kms_does_not_show_yet_is_resolved(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE", KEY)
        aws.kms.fails("describe_key", "NotFoundException", times=4)
        aws.kms.shows(asked=ALIAS)
        aws.kms.shows(asked=ALIAS_ARN)
        aws.cloudformation.shows("CREATE_IN_PROGRESS")
        assert aws.succeeds(event(KeyId=ALIAS))["Data"]["KeyArn"] == KEY

    @pytest.mark.parametrize(
        "code", ["KMSNotFoundException", "KMSDisabledException", "KMSInvalidStateException"]
    )
    @pytest.mark.parametrize("key", [KEY, AWS_MANAGED])
    def test_kinesis_may_not_see_the_key_yet_either(
        self, aws: StubbedAws, code: str, key: str
    ) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.cloudformation.keeps(lambda: aws.cloudformation.shows("CREATE_IN_PROGRESS"))
        if key == KEY:
            aws.kms.keeps(aws.kms.shows)

        def answer(_: int) -> None:
            if aws.clock.elapsed < 14:
                raise refused(code)
            aws.kinesis.shows_only("ACTIVE", key, times=2)

        aws.kinesis.asks(aws.clock, answer)
        aws.succeeds(event(KeyId=key))


class TestAfterTheStart:
    """Descriptions are eventually consistent, and others change streams too."""

    def test_description_that_lags_behind_is_given_a_grace(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", times=3)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())

    @pytest.mark.parametrize(("seconds", "patient"), [(9.5, True), (10.5, False)])
    def test_grace_is_ten_seconds(self, aws: StubbedAws, seconds: float, patient: bool) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", OTHER_KEY, times=2)
        aws.kinesis.takes("DescribeStreamSummary", aws.clock, 0, 0, seconds - 0.6)
        if patient:
            aws.kinesis.shows("ACTIVE", KEY, times=2)
        answer = aws.answer_to(event())
        assert answer["Status"] == ("SUCCESS" if patient else "FAILED")
        assert patient or f"{OTHER_KEY}), although Kinesis accepted" in answer["Reason"]

    def test_change_during_the_settling_is_seen(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY)
        aws.kinesis.shows("UPDATING", KEY, times=2)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())
        assert len(aws.logged("settling")) == 2

    def test_stream_made_anew_during_the_settling_is_seen(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY)
        aws.kinesis.shows("ACTIVE", KEY, created=CREATED + timedelta(hours=1), times=3)
        aws.succeeds(event())
        assert len(aws.logged("settling")) == 2

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
        self, aws: StubbedAws, error: Exception
    ) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()

        def answer(number: int) -> None:
            if number == 1:
                raise error
            aws.kinesis.shows_only("ACTIVE", KEY, times=2)

        asked = aws.kinesis.asks(aws.clock, answer)
        aws.succeeds(event())
        assert len(asked) == 2
        assert 10 <= asked[1] - asked[0] < 12

    def test_stream_that_vanishes_before_the_start_is_not_found(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.allows_a_change()
        aws.kinesis.fails("start_stream_encryption", "ResourceNotFoundException")
        aws.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
        assert "does not exist in region" in aws.fails(event())


class TestStreamDeletedOutsideCloudFormation:
    """An Update fails, and so does its rollback: the reason says how to leave that state."""

    @pytest.mark.parametrize("sent", ["update", "rollback"])
    @pytest.mark.parametrize("found", ["missing", "deleting", "gone"])
    def test_remedy(self, aws: StubbedAws, sent: str, found: str) -> None:
        name = "o" * 128
        stream = STREAM.replace("orders", name)
        if found == "deleting":
            aws.kinesis.shows("DELETING", stream=stream)
        elif found == "missing":
            aws.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
        else:
            aws.kinesis.shows("ACTIVE", stream=stream)
            aws.allows_a_change("Update")
            aws.kinesis.starts(stream=stream)
            aws.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
        keys = [KEY, OTHER_KEY] if sent == "update" else [OTHER_KEY, KEY]
        key, old = (KEY, OTHER_KEY) if found == "gone" else keys
        reason = aws.fails(event("Update", StreamArn=stream, KeyId=key, old={"KeyId": old}))
        assert stream in reason
        assert "UPDATE_ROLLBACK_FAILED, re-create the stream" in reason
        assert "`aws cloudformation continue-update-rollback --stack-name" in reason
        assert "`--resources-to-skip" in reason
        assert reason.endswith("then remove the resource or give it another stream.")
        assert len(reason) <= 1024


class TestPhysicalId:
    """The stream's ARN, whichever way the stream is named."""

    def test_name_and_arn_are_the_same_stream(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE", KEY)
        renamed = event("Update", StreamArn=None, StreamName="orders")
        assert aws.succeeds(renamed)["PhysicalResourceId"] == STREAM

    @pytest.mark.parametrize("found", [None, KEY])
    def test_update_to_another_stream_is_a_replacement(
        self, aws: StubbedAws, found: str | None
    ) -> None:
        aws.kinesis.shows("ACTIVE", found)
        if found is None:
            aws.changes("Update")
            aws.kinesis.shows("ACTIVE", KEY, times=2)
        moved = event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})
        assert aws.succeeds(moved)["PhysicalResourceId"] == STREAM

    def test_failed_replacement_keeps_the_id(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes("Update")
        aws.kinesis.shows("DELETING")
        moved = event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})
        assert aws.answer_to(moved)["PhysicalResourceId"] == OTHER_STREAM

    def test_failed_create_has_the_streams_too(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("DELETING")
        assert aws.answer_to(event())["PhysicalResourceId"] == STREAM

    def test_create_that_names_no_stream_has_an_id_of_its_own_each_time_the_same(
        self, aws: StubbedAws
    ) -> None:
        wrong = event(StreamArn=None)
        first, second = aws.answer_to(wrong), aws.answer_to(wrong)
        assert first["PhysicalResourceId"] == second["PhysicalResourceId"] != ""
        other = aws.answer_to({**wrong, "RequestId": "another"})
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
        self, aws: StubbedAws, changes: dict[str, Any], told: str
    ) -> None:
        aws.kinesis.shows("ACTIVE", OTHER_KEY)
        aws.kms.keeps(lambda: aws.kms.shows(**changes))
        reason = aws.fails(event())
        assert reason.startswith(f"KMS key {KEY}")
        assert all(value in reason for value in changes.values())
        assert f"ACTIVE, encryption KMS with key {OTHER_KEY}" in reason
        assert told in reason

    @pytest.mark.parametrize("changes", [{"KeySpec": "RSA_2048"}, {"KeyUsage": "SIGN_VERIFY"}])
    def test_what_never_changes_is_refused_at_once(
        self, aws: StubbedAws, changes: dict[str, Any]
    ) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kms.shows(**changes)
        aws.fails(event())
        assert aws.clock.elapsed == 0

    @pytest.mark.parametrize("code", ["NotFoundException", "InvalidArnException"])
    def test_one_that_does_not_exist_is_too(self, aws: StubbedAws, code: str) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kms.keeps_failing("describe_key", code)
        assert aws.fails(event()).startswith(f"KMS key {KEY} does not exist")

    @pytest.mark.parametrize(
        "shown", [{"KeyState": "Updating"}, {"KeySpec": None, "KeyUsage": None}]
    )
    def test_one_that_is_being_moved_or_says_less_is_fit(
        self, aws: StubbedAws, shown: dict[str, str | None]
    ) -> None:
        metadata = {"KeyId": KEY_ID, "Arn": KEY, "KeyState": "Enabled", **shown}
        known = {name: value for name, value in metadata.items() if value}
        aws.kinesis.shows("ACTIVE")
        aws.kms.gives("describe_key", {"KeyMetadata": known}, KeyId=KEY)
        aws.cloudformation.shows("CREATE_IN_PROGRESS")
        aws.kinesis.starts()
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event(age=4))

    def test_one_in_use_may_be_unfit(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE", KEY)
        aws.succeeds(event("Update", old={"KeyId": OTHER_KEY}))
        assert "kms" not in aws.clients_made


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

    def is_stale(self, aws: StubbedAws, sent: dict[str, Any]) -> bool:
        """Handle a request that would change the stream, and tell whether it was stale."""
        aws.kinesis.shows("ACTIVE", OTHER_KEY)
        aws.kms.shows()
        starts: list[int] = []

        def accept(number: int) -> None:
            starts.append(number)
            aws.kinesis.shows_only("ACTIVE", KEY, times=2)

        aws.kinesis.asks(aws.clock, accept)
        answer = aws.answer_to(sent)
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
        self, aws: StubbedAws, kind: str, status: str, seconds: float
    ) -> None:
        """An older one may be what was before the request, and all that is shown yet."""
        aws.cloudformation.shows(status, BEGIN + timedelta(seconds=seconds - self.AGE))
        assert self.is_stale(aws, self.sent(kind)) == (seconds > 5)

    @BOTH
    @pytest.mark.parametrize("status", IN_PROGRESS)
    @pytest.mark.parametrize("seconds", [-1000, 0, 59.5, 60.5])
    def test_status_of_a_request_in_progress(
        self, aws: StubbedAws, kind: str, status: str, seconds: float
    ) -> None:
        """Of another one only if that was sent much later."""
        aws.cloudformation.shows(status, BEGIN + timedelta(seconds=seconds - self.AGE))
        assert self.is_stale(aws, self.sent(kind)) == (seconds > 60)

    @pytest.mark.parametrize("status", PROVE_NOTHING)
    def test_status_that_proves_nothing(self, aws: StubbedAws, status: str) -> None:
        aws.cloudformation.shows(status)
        assert not self.is_stale(aws, self.sent("Update"))

    @BOTH
    @pytest.mark.parametrize("age", [0, 59, 61])
    @pytest.mark.parametrize("stack", [*REMOVING, *REMOVED, *NOT_REMOVED])
    def test_resource_that_does_not_exist(
        self, aws: StubbedAws, kind: str, stack: str, age: float
    ) -> None:
        """The stack's status may be that of the operation before for a minute at most."""
        aws.cloudformation.shows_no_resource(stack)
        stale = stack in REMOVING or (stack in REMOVED and age > 60)
        assert self.is_stale(aws, self.sent(kind, age)) == stale

    @pytest.mark.parametrize("seconds", [59.5, 60.5])
    @pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "UPDATE_IN_PROGRESS"])
    def test_request_without_a_date_counts_from_its_arrival(
        self, aws: StubbedAws, status: str, seconds: float
    ) -> None:
        aws.kms.takes("DescribeKey", aws.clock, 90)
        aws.kinesis.shows("ACTIVE", OTHER_KEY)
        aws.cloudformation.shows(status, BEGIN + timedelta(seconds=seconds))
        sent = self.sent("Update") | {"ResponseURL": UNDATED_URL}
        assert self.is_stale(aws, sent) == (seconds > 60)
        aws.kinesis.forget()

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
        self, aws: StubbedAws, operation: str, error: Exception
    ) -> None:
        aws.cloudformation.shows_no_resource("ROLLBACK_IN_PROGRESS")
        aws.cloudformation.raises(operation, error)
        aws.cloudformation.open_ended = True
        if operation == "describe_stacks":
            missing = f"Resource Encryption does not exist for stack {STACK}"
            aws.cloudformation.forget()
            aws.cloudformation.keeps_failing("describe_stack_resource", "ValidationError", missing)
        aws.kinesis.keeps_showing("ACTIVE", OTHER_KEY)
        assert not self.is_stale(aws, self.sent("Create"))
        assert aws.clock.elapsed < 20
        logged = aws.logged("the stack could not be looked at")
        assert logged or "does not exist" in str(error)
