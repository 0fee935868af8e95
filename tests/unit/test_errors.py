"""Errors of AWS: tried again, borne for a while, or reported at once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from tests.unit.stubs import ACCOUNT, KEY, STREAM, StubbedAws, event, refused

IMPLICIT = "because no identity-based policy allows the kinesis:StartStreamEncryption action"
EXPLICIT = "with an explicit deny in a service control policy"
ROLE = "arn:aws:sts::111122223333:assumed-role/encryption/encryption"
THROTTLED = f"Rate exceeded for account {ACCOUNT}."
SPENT = f"Rate exceeded for stream orders under account {ACCOUNT}."

TRANSIENT = [
    ("KMSThrottlingException", 400),
    ("LimitExceededException", 400),
    ("ProvisionedThroughputExceededException", 400),
    ("RequestLimitExceeded", 400),
    ("Throttling", 400),
    ("ThrottlingException", 400),
    ("TooManyRequestsException", 400),
    ("RequestTimeout", 400),
    ("InternalFailure", 500),
    ("SomethingNew", 503),
    ("AccessDeniedException", 400),
    ("UnrecognizedClientException", 400),
]


def always_refuses(aws: StubbedAws, code: str, message: str) -> list[float]:
    """Show a plaintext stream that refuses each start; note when they come."""
    aws.kinesis.keeps_showing("ACTIVE")
    aws.allows_changes()

    def answer(_: int) -> None:
        raise refused(code, message)

    return aws.kinesis.asks(aws.clock, answer)


@pytest.mark.parametrize(("code", "status"), TRANSIENT)
def test_transient_error_of_a_look_is_tried_again(aws: StubbedAws, code: str, status: int) -> None:
    aws.kinesis.fails("describe_stream_summary", code, "", status)
    aws.kinesis.shows("ACTIVE", KEY)
    aws.succeeds(event())


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://kinesis"),
        EndpointConnectionError(endpoint_url="https://kinesis"),
        ResponseParserError("no JSON"),
        KeyError("StreamDescriptionSummary"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_look_without_an_answer_that_makes_sense_is_tried_until_the_deadline(
    aws: StubbedAws, error: Exception
) -> None:
    aws.kinesis.raises("describe_stream_summary", error)
    reason = aws.fails(event())
    assert f"last error: kinesis:DescribeStreamSummary: {type(error).__name__}:" in reason
    assert aws.clock.elapsed == pytest.approx(600, abs=1)


@pytest.mark.parametrize("code", ["SomethingNew", "ValidationException"])
def test_code_that_nobody_knows_is_told_at_once(aws: StubbedAws, code: str) -> None:
    aws.kinesis.fails("describe_stream_summary", code, "what is this", 499)
    reason = aws.fails(event())
    assert reason.startswith("kinesis:DescribeStreamSummary failed for stream")
    assert f"({code}: what is this)" in reason
    assert aws.clock.elapsed == 0


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("InvalidArgumentException", "no", "Correct what the message names and deploy again."),
        ("AccessDeniedException", EXPLICIT, "the service control policies of the organization."),
        ("KMSAccessDeniedException", EXPLICIT, "the service control policies of the organization."),
    ],
)
def test_refusal_that_time_does_not_mend_is_told_at_once(
    aws: StubbedAws, code: str, message: str, told: str
) -> None:
    starts = always_refuses(aws, code, message)
    reason = aws.fails(event())
    assert STREAM in reason
    assert KEY in reason
    assert message in reason
    assert reason.endswith(f" {told}")
    assert starts == [0]
    assert aws.clock.elapsed == 0


@pytest.mark.parametrize(
    "code",
    [
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "KMSOptInRequired",
    ],
)
def test_key_that_kinesis_refuses_is_reported_after_15_seconds(aws: StubbedAws, code: str) -> None:
    """Until then, Kinesis may not see that it exists or is enabled."""
    starts = always_refuses(aws, code, "no")
    reason = aws.fails(event())
    assert STREAM in reason
    assert KEY in reason
    assert f"({code}: no)" in reason
    assert reason.endswith("in the stream's region, or mend this one.")
    assert 15 <= aws.clock.elapsed < 18
    assert 8 <= len(starts) <= 20


def test_parameters_that_botocore_refuses_are_told_at_once(aws: StubbedAws) -> None:
    aws.kinesis.raises("describe_stream_summary", ParamValidationError(report="bad"))
    assert "ParamValidationError" in aws.fails(event())
    assert aws.clock.elapsed == 0


def test_unexpected_error_is_told_with_stream_and_key(aws: StubbedAws) -> None:
    aws.kinesis.raises("describe_stream_summary", RuntimeError("out of luck"))
    assert aws.fails(event()) == (
        f"Unexpected error for stream {STREAM}, key {KEY} (RuntimeError: out of luck). See the"
        " function's log; deploying again is safe."
    )
    assert "Traceback" in aws.logged("unexpected error")[0]["traceback"]


def test_long_words_of_aws_cut_off_neither_cause_nor_remedy(aws: StubbedAws) -> None:
    always_refuses(aws, "AccessDeniedException", f"{EXPLICIT} {'x' * 3000}")
    reason = aws.fails(event())
    assert reason.startswith("Access denied to kinesis:StartStreamEncryption")
    assert reason.endswith("from the service control policies of the organization.")
    assert len(reason) == 1024


class TestDenials:
    """A denial may be a policy still on its way, unless it is explicit."""

    def test_fresh_policy_is_waited_for(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()

        def answer(_: int) -> None:
            if aws.clock.elapsed < 55:
                raise refused("AccessDeniedException", IMPLICIT)
            aws.kinesis.shows_only("ACTIVE", KEY, times=2)

        aws.kinesis.asks(aws.clock, answer)
        aws.succeeds(event())

    def test_start_is_denied_for_a_minute(self, aws: StubbedAws) -> None:
        always_refuses(aws, "KMSAccessDeniedException", IMPLICIT)
        reason = aws.fails(event())
        assert reason.startswith("Access denied to kinesis:StartStreamEncryption")
        assert reason.endswith(
            "Allow kinesis:StartStreamEncryption in the identity-based policies of the function's"
            " role."
        )
        assert 60 <= aws.clock.elapsed < 65

    def test_look_is_denied_for_a_minute(self, aws: StubbedAws) -> None:
        aws.chance = 0.1
        aws.kinesis.keeps_failing("describe_stream_summary", "AccessDeniedException", IMPLICIT)
        reason = aws.fails(event())
        assert reason.startswith("Access denied to kinesis:DescribeStreamSummary")
        assert " in the identity-based policies of the function's role." in reason
        assert 60 <= aws.clock.elapsed < 67

    def test_second_denial_is_borne_anew_after_a_success(self, aws: StubbedAws) -> None:
        denial = "AccessDeniedException", IMPLICIT
        aws.kinesis.fails("describe_stream_summary", *denial, times=2)
        aws.kinesis.shows("UPDATING", times=40)
        aws.kinesis.fails("describe_stream_summary", *denial)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())
        assert aws.clock.elapsed > 65


class TestDenialRemedy:
    """The remedy names the kind of policy that AWS names, and the action that it names.

    Messages as in the IAM User Guide, "Troubleshoot access denied error messages", and as recorded
    in public issues and logs.
    """

    START = "kinesis:StartStreamEncryption"
    KINDS = pytest.mark.parametrize(
        ("named", "where"),
        [
            ("identity-based policy", "the identity-based policies of the function's role"),
            ("permissions boundary", "the permissions boundary of the function's role"),
            ("session policy", "the session policy of the function's credentials"),
            ("service control policy", "the service control policies of the organization"),
            ("resource control policy", "the resource control policies of the organization"),
            ("VPC endpoint policy", "the policy of the VPC endpoint that the function uses"),
            ("resource-based policy", "the resource-based policy of the key or the stream"),
        ],
    )
    CODES = pytest.mark.parametrize("code", ["AccessDeniedException", "KMSAccessDeniedException"])

    def remedy(self, aws: StubbedAws, code: str, because: str, action: str = START) -> str:
        denied = f"User: {ROLE} is not authorized to perform: {action} on resource: {STREAM}"
        always_refuses(aws, code, f"{denied} {because}")
        reason = aws.fails(event())
        assert because in reason
        return reason.rpartition("). ")[2]

    @CODES
    @KINDS
    def test_implicit(self, aws: StubbedAws, code: str, named: str, where: str) -> None:
        because = f"because no {named} allows the {self.START} action"
        assert self.remedy(aws, code, because) == f"Allow {self.START} in {where}."

    @CODES
    @KINDS
    @pytest.mark.parametrize("end", ["", ": arn:aws:iam::111122223333:policy/some-policy", "."])
    def test_explicit(self, aws: StubbedAws, code: str, named: str, where: str, end: str) -> None:
        article = "an" if named[0] == "i" else "a"
        because = f"with an explicit deny in {article} {named}{end}"
        remedy = f"Remove the explicit deny of {self.START} from {where}."
        assert self.remedy(aws, code, because) == remedy

    def test_key_policy(self, aws: StubbedAws) -> None:
        """KMS calls it a resource-based policy, and names an action of its own."""
        because = "because no resource-based policy allows the kms:GenerateDataKey action"
        remedy = self.remedy(aws, "KMSAccessDeniedException", because, "kms:GenerateDataKey")
        assert remedy == "Allow kms:GenerateDataKey in the key policy."

    @pytest.mark.parametrize(
        ("code", "message", "remedy"),
        [
            (
                "AccessDeniedException",
                "no",
                f"Allow {START} in the identity-based policies of the function's role.",
            ),
            (
                "AccessDeniedException",
                "with an explicit deny",
                f"Remove the explicit deny of {START} from the policy that has it (of role,"
                " boundary, organization, or key).",
            ),
            (
                "KMSAccessDeniedException",
                "The ciphertext refers to a key that does not exist in this region, or you are not"
                " allowed to access",
                "Allow the function's role to use the key, in the key policy too.",
            ),
        ],
    )
    def test_no_kind_named(self, aws: StubbedAws, code: str, message: str, remedy: str) -> None:
        always_refuses(aws, code, message)
        assert aws.fails(event()).endswith(f" {remedy}")


class TestQuota:
    """AWS's words for the 25 changes of a day are those of a stream's rate of calls, too."""

    @pytest.mark.parametrize("message", [SPENT, "no more", "25 in a rolling 24 hour window"])
    def test_it_is_tried_with_growing_pauses_for_some_four_minutes(
        self, aws: StubbedAws, message: str
    ) -> None:
        starts = always_refuses(aws, "LimitExceededException", message)
        reason = aws.fails(event())
        assert reason.startswith(
            f"Stream {STREAM} has spent its 25 encryption changes of the rolling 24 hours, or its"
        )
        assert f"({message})" in reason
        assert 240 <= aws.clock.elapsed < 250
        assert len(starts) <= 9
        pauses = [later - earlier for earlier, later in pairwise(starts)]
        # The last one is what is left of the four minutes.
        assert all(later > earlier for earlier, later in pairwise(pauses[:-1]))

    def test_rate_of_calls_passes(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()

        def answer(number: int) -> None:
            if number < 4:
                raise refused("LimitExceededException", SPENT)
            aws.kinesis.shows_only("ACTIVE", KEY, times=2)

        aws.kinesis.asks(aws.clock, answer)
        aws.succeeds(event())

    @pytest.mark.parametrize("timeout", range(30, 300, 9))
    def test_deadline_before_that_is_kept_and_tells_the_same(
        self, aws: StubbedAws, timeout: int
    ) -> None:
        always_refuses(aws, "LimitExceededException", SPENT)
        reason = aws.fails(event(ServiceTimeout=str(timeout)))
        assert reason.startswith(f"Stream {STREAM} has spent its 25 encryption changes")
        assert aws.clock.elapsed <= timeout - min(60, timeout / 2)

    def test_rate_of_the_account_is_throttling(self, aws: StubbedAws) -> None:
        always_refuses(aws, "LimitExceededException", THROTTLED)
        reason = aws.fails(event())
        assert "was not confirmed ACTIVE" in reason
        error = f"kinesis:StartStreamEncryption: LimitExceededException: {THROTTLED}"
        assert f"last error: {error}" in reason
        assert aws.clock.elapsed == pytest.approx(600, abs=1)


class TestDeadline:
    """The reason of a wait that took too long names the last error of a call that still fails."""

    def test_last_description_and_the_error_since(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("UPDATING")
        aws.kinesis.keeps_failing("describe_stream_summary", "ThrottlingException", "slow down")
        error = "kinesis:DescribeStreamSummary: ThrottlingException: slow down"
        found = f"last seen: UPDATING, encryption NONE; last error: {error}."
        assert found in aws.fails(event())

    def test_error_from_the_first_call_on(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_failing("describe_stream_summary", "ThrottlingException", "slow down")
        found = "last seen: nothing; last error: kinesis:DescribeStreamSummary"
        assert found in aws.fails(event())

    def test_error_that_is_over_is_not_named(self, aws: StubbedAws) -> None:
        aws.kinesis.fails("describe_stream_summary", "ThrottlingException")
        aws.kinesis.keeps_showing("UPDATING")
        assert "last seen: UPDATING, encryption NONE. Look" in aws.fails(event())

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("ResourceInUseException", "Stream orders not ACTIVE, instead in state UPDATING"),
            ("InternalFailure", "We encountered an internal error"),
            ("ThrottlingException", "Rate exceeded"),
        ],
    )
    def test_every_start_is_refused(self, aws: StubbedAws, code: str, message: str) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()

        def refuse(_: int) -> None:
            status = {"HTTPStatusCode": 500 if code == "InternalFailure" else 400}
            details = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": status}
            raise ClientError(details, "StartStreamEncryption")

        aws.kinesis.asks(aws.clock, refuse)
        reason = aws.fails(event())
        error = f"kinesis:StartStreamEncryption: {code}: {message}"
        assert f"last seen: ACTIVE, encryption NONE; last error: {error}." in reason

    def test_start_that_was_accepted_in_the_end_is_not_named(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()

        def answer(number: int) -> None:
            if number == 1:
                raise refused("ResourceInUseException")
            aws.kinesis.forget()
            aws.kinesis.keeps_showing("UPDATING", KEY)

        aws.kinesis.asks(aws.clock, answer)
        reason = aws.fails(event())
        assert f"last seen: UPDATING, encryption KMS with key {KEY}. Look" in reason

    def test_check_that_took_the_time(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kms.hangs("describe_key", aws.clock, 5)
        reason = aws.fails(event(ServiceTimeout="8"))
        assert "last seen: ACTIVE, encryption NONE; last error: kms:DescribeKey: ReadTime" in reason
