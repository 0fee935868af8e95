"""Create and Update: from the described state to the desired key."""

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

PROPAGATION_WAIT = "waiting until all new records are encrypted"
ALIAS = "alias/orders"
ALIAS_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}"
AWS_MANAGED = "alias/aws/kinesis"
BOTH = pytest.mark.parametrize("kind", ["Create", "Update"])


@BOTH
def test_unencrypted_stream_is_encrypted_and_propagation_awaited(
    aws: StubbedAws, kind: str
) -> None:
    aws.kinesis.shows("ACTIVE")
    aws.changes(kind)
    aws.kinesis.shows("UPDATING", times=2)
    aws.kinesis.shows("ACTIVE", KEY, times=2)
    response = aws.succeeds(event(kind, old={"KeyId": OTHER_KEY}))
    assert response["PhysicalResourceId"] == STREAM
    assert response["Data"] == {
        "StreamName": "orders",
        "StreamArn": STREAM,
        "EncryptionType": "KMS",
        "KeyId": KEY,
        "KeyArn": KEY,
    }
    active_since = aws.logged(PROPAGATION_WAIT)[0]["elapsed"]
    assert aws.clock.elapsed == pytest.approx(active_since + 5, abs=0.01)


class TestNothingToChange:
    @BOTH
    @pytest.mark.parametrize("key_id", [KEY, KEY_ID])
    def test_one_describe_call_and_no_wait(self, aws: StubbedAws, kind: str, key_id: str) -> None:
        aws.kinesis.shows("ACTIVE", KEY)
        aws.succeeds(event(kind, KeyId=key_id, old={"KeyId": OTHER_KEY}))
        assert aws.clock.elapsed == 0
        assert aws.clients_made == ["kinesis"]

    @BOTH
    @pytest.mark.parametrize(("age", "seconds"), [(0, 0), (10, 0), (44, 0), (45, 5), (60, 5)])
    def test_propagation_wait_only_if_an_earlier_delivery_is_possible(
        self, aws: StubbedAws, kind: str, age: float, seconds: float
    ) -> None:
        """A cold start is not an earlier delivery; Lambda retries after a minute."""
        aws.kinesis.shows("ACTIVE", KEY, times=2 if seconds else 1)
        aws.succeeds(event(kind, age=age))
        assert aws.clock.elapsed == seconds

    def test_second_delivery_changes_nothing(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY, times=3)
        first, second = aws.succeeds(event()), aws.succeeds(event())
        assert first == second


class TestSameKey:
    """The desired key and the described key may be aliases."""

    @pytest.mark.parametrize("key_id", [ALIAS, ALIAS_ARN], ids=["name", "arn"])
    def test_alias_of_the_key_in_use_costs_no_change(self, aws: StubbedAws, key_id: str) -> None:
        aws.kinesis.shows("ACTIVE", KEY)
        aws.kms.shows(asked=ALIAS_ARN)
        assert aws.succeeds(event(KeyId=key_id))["Data"]["KeyArn"] == KEY

    def test_stream_that_uses_an_alias_of_the_desired_key_costs_no_change(
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

    @pytest.mark.parametrize("found", [None, OTHER_KEY, KEY], ids=["unencrypted", "other", "same"])
    def test_unresolvable_alias_is_compliant_after_kinesis_has_accepted_it(
        self, aws: StubbedAws, found: str | None
    ) -> None:
        """The key is unknown: neither the same nor a different one."""
        aws.kms.keeps_failing("describe_key", "AccessDeniedException")
        aws.kinesis.keeps_showing("ACTIVE", found)
        aws.cloudformation.shows("CREATE_IN_PROGRESS")

        def accept(_: int) -> None:
            aws.kinesis.shows_only("UPDATING", found)
            aws.kinesis.keeps_showing("ACTIVE", KEY)

        started = aws.kinesis.on_start(aws.clock, accept)
        response = aws.succeeds(event(KeyId=ALIAS, age=4))
        assert len(started) == 1
        assert response["Data"]["KeyArn"] == KEY
        assert aws.logged("the alias could not be resolved; Kinesis has accepted it")

    def test_aws_managed_key_is_not_checked_before_the_change(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kinesis.starts(AWS_MANAGED)
        aws.kinesis.shows("ACTIVE", AWS_MANAGED, times=2)
        aws.kms.fails("describe_key", "DisabledException")
        aws.cloudformation.shows("CREATE_IN_PROGRESS")
        response = aws.succeeds(event(KeyId=AWS_MANAGED, age=4))
        assert response["Data"]["KeyArn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:{AWS_MANAGED}"

    def test_missing_key_in_the_description_is_another_key(self, aws: StubbedAws) -> None:
        summary = aws.kinesis.summary("ACTIVE", OTHER_KEY)
        del summary["KeyId"]
        aws.kinesis.gives("describe_stream_summary", {"StreamDescriptionSummary": summary})
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())


class TestEventualConsistencyOfKms:
    """For 15 seconds, KMS may not show that a key exists or is enabled."""

    UNUSABLE = pytest.mark.parametrize(
        "state", ["Missing", "Disabled", "PendingDeletion", "PendingImport"]
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
        aws.kinesis.on_start(aws.clock, lambda _: aws.kinesis.shows_only("ACTIVE", KEY, times=2))
        aws.succeeds(event())

    @UNUSABLE
    def test_key_that_stays_unusable_is_rejected_after_15_seconds(
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
    def test_earlier_deadline_reports_the_defect_of_the_key(
        self, aws: StubbedAws, state: str
    ) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kms.keeps(lambda: self.shows(aws, state))
        reason = aws.fails(event(ServiceTimeout="10"))
        code = "KEY_NOT_FOUND" if state == "Missing" else "KEY_UNUSABLE"
        assert reason.startswith(f"{code}: KMS key {KEY} ")
        assert ("does not exist" if state == "Missing" else state) in reason
        assert aws.clock.elapsed == pytest.approx(5, abs=0.1)

    @pytest.mark.parametrize("times", [1, 2, 4, 8])
    def test_new_alias_of_the_key_in_use_costs_no_change(self, aws: StubbedAws, times: int) -> None:
        aws.kinesis.keeps_showing("ACTIVE", KEY)
        aws.kms.fails("describe_key", "NotFoundException", times=times)
        aws.kms.shows(asked=ALIAS)
        aws.kms.shows(asked=ALIAS_ARN, times=2 if times < 5 else 1)
        aws.cloudformation.shows("CREATE_IN_PROGRESS")
        assert aws.succeeds(event(KeyId=ALIAS))["Data"]["KeyArn"] == KEY

    @pytest.mark.parametrize(
        "code", ["KMSNotFoundException", "KMSDisabledException", "KMSInvalidStateException"]
    )
    @pytest.mark.parametrize("key", [KEY, AWS_MANAGED])
    def test_kinesis_may_not_recognize_the_key_yet(
        self, aws: StubbedAws, code: str, key: str
    ) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.cloudformation.keeps(lambda: aws.cloudformation.shows("CREATE_IN_PROGRESS"))
        if key == KEY:
            aws.kms.keeps(aws.kms.shows)

        def respond(_: int) -> None:
            if aws.clock.elapsed < 14:
                raise refused(code)
            aws.kinesis.shows_only("ACTIVE", key, times=2)

        aws.kinesis.on_start(aws.clock, respond)
        aws.succeeds(event(KeyId=key))


class TestKeyInCreation:
    """A new multi-Region replica key is in the state Creating for up to ten minutes."""

    def test_it_is_applied_when_it_is_enabled(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.cloudformation.keeps(lambda: aws.cloudformation.shows("CREATE_IN_PROGRESS"))

        def describe() -> None:
            aws.kms.shows(KeyState="Creating" if aws.clock.elapsed < 400 else "Enabled")

        aws.kms.keeps(describe)
        starts = aws.kinesis.on_start(
            aws.clock, lambda _: aws.kinesis.shows_only("ACTIVE", KEY, times=2)
        )
        aws.succeeds(event())
        assert len(starts) == 1
        assert 400 <= starts[0] < 403

    def test_deadline_reports_its_state(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.kms.keeps(lambda: aws.kms.shows(KeyState="Creating"))
        reason = aws.fails(event())
        assert reason.startswith(f"KEY_UNUSABLE: KMS key {KEY} is not usable (state: Creating).")
        assert aws.clock.elapsed == pytest.approx(600, abs=1)

    def test_another_state_afterwards_is_retried_for_15_seconds(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")

        def describe() -> None:
            aws.kms.shows(KeyState="Creating" if aws.clock.elapsed < 100 else "Disabled")

        aws.kms.keeps(describe)
        assert "(state: Disabled)" in aws.fails(event())
        assert 115 <= aws.clock.elapsed < 120


class TestAfterTheStart:
    """Descriptions are eventually consistent, and other callers change streams too."""

    def test_delayed_description_has_a_consistency_window(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", times=3)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())

    @pytest.mark.parametrize(("seconds", "patient"), [(9.5, True), (10.5, False)])
    def test_consistency_window_is_ten_seconds(
        self, aws: StubbedAws, seconds: float, patient: bool
    ) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", OTHER_KEY, times=2)
        aws.kinesis.takes("DescribeStreamSummary", aws.clock, 0, 0, seconds - 0.6)
        if patient:
            aws.kinesis.shows("ACTIVE", KEY, times=2)
        response = aws.response_to(event())
        assert response["Status"] == ("SUCCESS" if patient else "FAILED")
        assert patient or f"{OTHER_KEY}), although Kinesis accepted" in response["Reason"]

    def test_consistency_window_ends_with_a_description_not_with_the_check_of_its_key(
        self, aws: StubbedAws
    ) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes(key=ALIAS)
        aws.kms.takes("DescribeKey", aws.clock, 0, 0, 5, 5)
        aws.kms.keeps(lambda: aws.kms.shows(asked=ALIAS_ARN))
        aws.kinesis.shows("ACTIVE", OTHER_KEY, times=3)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event(KeyId=ALIAS))

    def test_unresolved_alias_is_not_confirmed_by_a_delayed_description(
        self, aws: StubbedAws
    ) -> None:
        aws.kinesis.keeps_showing("ACTIVE", OTHER_KEY)
        aws.kms.keeps_failing("describe_key", "AccessDeniedException")
        aws.cloudformation.keeps(lambda: aws.cloudformation.shows("CREATE_IN_PROGRESS"))

        def accept(_: int) -> None:
            aws.kinesis.shows_only("ACTIVE", OTHER_KEY, times=3)
            aws.kinesis.shows("ACTIVE", ALIAS, times=2)

        aws.kinesis.on_start(aws.clock, accept)
        assert aws.succeeds(event(KeyId=ALIAS))["Data"]["KeyId"] == ALIAS

    def test_change_during_the_propagation_wait_is_detected(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY)
        aws.kinesis.shows("UPDATING", KEY, times=2)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())
        assert len(aws.logged(PROPAGATION_WAIT)) == 2

    def test_stream_re_created_during_the_propagation_wait_is_detected(
        self, aws: StubbedAws
    ) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.changes()
        aws.kinesis.shows("ACTIVE", KEY)
        aws.kinesis.shows("ACTIVE", KEY, created=CREATED + timedelta(hours=1), times=3)
        aws.succeeds(event())
        assert len(aws.logged(PROPAGATION_WAIT)) == 2

    @pytest.mark.parametrize(
        "error",
        [
            ReadTimeoutError(endpoint_url="https://kinesis"),
            ResponseParserError("no JSON"),
            ClientError({"ResponseMetadata": {"HTTPStatusCode": 502}}, "StartStreamEncryption"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_start_without_a_response_is_not_repeated_within_the_consistency_window(
        self, aws: StubbedAws, error: Exception
    ) -> None:
        starts = aws.rejects_starts([error])
        aws.succeeds(event())
        assert len(starts) == 2
        assert 10 <= starts[1] - starts[0] < 12

    def test_stream_deleted_before_the_start_is_not_found(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.allows_a_change()
        aws.kinesis.fails("start_stream_encryption", "ResourceNotFoundException")
        aws.kinesis.fails("describe_stream_summary", "ResourceNotFoundException")
        assert "does not exist in Region" in aws.fails(event())


class TestStreamDeletedOutsideCloudFormation:
    """An Update fails, and so does its rollback: the reason explains how to leave that state."""

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
        assert "in UPDATE_ROLLBACK_FAILED, re-create the stream" in reason
        assert "`aws cloudformation continue-update-rollback --stack-name" in reason
        assert "`--resources-to-skip" in reason
        assert reason.endswith("then remove the resource or specify another stream.")
        assert len(reason) <= 1024


class TestPhysicalId:
    """The stream ARN, however the stream is specified."""

    def test_name_and_arn_are_the_same_stream(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE", KEY)
        renamed = event("Update", StreamArn=None, StreamName="orders")
        assert aws.succeeds(renamed)["PhysicalResourceId"] == STREAM

    def test_update_to_a_compliant_stream_is_a_replacement(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE", KEY)
        moved = event("Update", physical_id=OTHER_STREAM, old={"StreamArn": OTHER_STREAM})
        assert aws.succeeds(moved)["PhysicalResourceId"] == STREAM

    def test_failed_create_has_the_stream_arn_too(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("DELETING")
        assert aws.response_to(event())["PhysicalResourceId"] == STREAM

    def test_create_without_a_stream_has_a_stable_id(self, aws: StubbedAws) -> None:
        wrong = event(StreamArn=None)
        first, second = aws.response_to(wrong), aws.response_to(wrong)
        assert first["PhysicalResourceId"] == second["PhysicalResourceId"] != ""
        other = aws.response_to({**wrong, "RequestId": "another"})
        assert other["PhysicalResourceId"] != first["PhysicalResourceId"]


class TestKey:
    """An unsuitable key is rejected while the stream still works."""

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"KeyState": "Disabled"}, "Enable the key, or specify another one."),
            ({"KeyState": "PendingDeletion"}, "Cancel the deletion of the key and enable it, or"),
            (
                {"KeyState": "PendingReplicaDeletion"},
                "Cancel the deletion of the key and enable it, or",
            ),
            ({"KeyState": "PendingImport"}, "Import the key material, or specify another one."),
            ({"KeyState": "Unavailable"}, "Reconnect the custom key store of the key, or"),
            ({"KeyState": "Creating"}, "Deploy again when the key is Enabled, or specify"),
            ({"KeyState": "Melting"}, "Bring the key to the state Enabled, or specify"),
            ({"KeySpec": "RSA_2048"}, "Specify a key with KeySpec SYMMETRIC_DEFAULT"),
            ({"KeyUsage": "GENERATE_VERIFY_MAC"}, "and KeyUsage ENCRYPT_DECRYPT."),
        ],
    )
    def test_it_is_rejected_before_any_change(
        self, aws: StubbedAws, changes: dict[str, Any], text: str
    ) -> None:
        aws.kinesis.shows("ACTIVE", OTHER_KEY)
        aws.kms.keeps(lambda: aws.kms.shows(**changes))
        reason = aws.fails(event())
        code = "KEY_UNUSABLE" if "KeyState" in changes else "KEY_UNSUITABLE"
        assert reason.startswith(f"{code}: KMS key {KEY} is not ")
        assert f"Stream {STREAM} was not modified (ACTIVE, " in reason
        assert all(value in reason for value in changes.values())
        assert f"ACTIVE, encryption KMS with key {OTHER_KEY}" in reason
        assert text in reason
        assert ("KeyState" in changes) == (aws.clock.elapsed > 0), "only a state may change"

    @pytest.mark.parametrize("code", ["NotFoundException", "InvalidArnException"])
    def test_missing_key_is_rejected(self, aws: StubbedAws, code: str) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kms.keeps_failing("describe_key", code)
        assert aws.fails(event()).startswith(
            f"KEY_NOT_FOUND: KMS key {KEY} does not exist. Stream {STREAM} was not modified"
        )

    @pytest.mark.parametrize(
        "shown", [{"KeyState": "Updating"}, {"KeySpec": None, "KeyUsage": None}]
    )
    def test_key_in_state_updating_or_with_fewer_fields_is_suitable(
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
    """A request is stale only with positive evidence from CloudFormation."""

    AGE = 300

    def is_stale(self, aws: StubbedAws, sent: dict[str, Any]) -> bool:
        """Handle a request that requires a change; return whether it was stale."""
        aws.kinesis.shows("ACTIVE", OTHER_KEY)
        aws.kms.shows()
        starts: list[int] = []

        def accept(number: int) -> None:
            starts.append(number)
            aws.kinesis.shows_only("ACTIVE", KEY, times=2)

        aws.kinesis.on_start(aws.clock, accept)
        response = aws.response_to(sent)
        stale = bool(response["Status"] == "FAILED")
        assert stale != bool(starts)
        assert not stale or " is stale (the resource " in response["Reason"]
        return stale

    def sent(self, kind: str, age: float = AGE) -> dict[str, Any]:
        return event(kind, age=age, old={"KeyId": OTHER_KEY})

    @BOTH
    @pytest.mark.parametrize("status", ENDED)
    @pytest.mark.parametrize("seconds", [-1000, 0, 4.5, 5.5, 200])
    def test_status_that_ends_a_request(
        self, aws: StubbedAws, kind: str, status: str, seconds: float
    ) -> None:
        """An older status may be the one before the request."""
        aws.cloudformation.shows(status, BEGIN + timedelta(seconds=seconds - self.AGE))
        assert self.is_stale(aws, self.sent(kind)) == (seconds > 5)

    @BOTH
    @pytest.mark.parametrize("status", IN_PROGRESS)
    @pytest.mark.parametrize("seconds", [-1000, 0, 59.5, 60.5])
    def test_status_of_a_request_in_progress(
        self, aws: StubbedAws, kind: str, status: str, seconds: float
    ) -> None:
        """The status belongs to another request only if that was sent much later."""
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
        """The stack may show the status of the previous operation for at most a minute."""
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
        logged = aws.logged("the stack could not be described")
        assert logged or "does not exist" in str(error)
