"""AWS errors: retried, retried for a limited time, or reported immediately."""

from __future__ import annotations

from itertools import chain, pairwise, repeat

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


def always_rejects(aws: StubbedAws, code: str, message: str) -> list[float]:
    return aws.rejects_starts(repeat(refused(code, message)))


@pytest.mark.parametrize(("code", "status"), TRANSIENT)
def test_transient_error_of_describe_is_retried(aws: StubbedAws, code: str, status: int) -> None:
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
def test_describe_without_a_valid_response_is_retried_until_the_deadline(
    aws: StubbedAws, error: Exception
) -> None:
    aws.kinesis.raises("describe_stream_summary", error)
    reason = aws.fails(event())
    assert f"last error: kinesis:DescribeStreamSummary: {type(error).__name__}:" in reason
    assert aws.clock.elapsed == pytest.approx(600, abs=1)


@pytest.mark.parametrize("code", ["SomethingNew", "ValidationException"])
def test_unknown_code_is_reported_immediately(aws: StubbedAws, code: str) -> None:
    aws.kinesis.fails("describe_stream_summary", code, "what is this", 499)
    reason = aws.fails(event())
    assert reason.startswith("SERVICE_ERROR: kinesis:DescribeStreamSummary failed for stream")
    assert f"({code}: what is this)" in reason
    assert aws.clock.elapsed == 0


@pytest.mark.parametrize(
    ("code", "message", "text"),
    [
        (
            "InvalidArgumentException",
            "no",
            "Fix the cause that the message names, and deploy again.",
        ),
        ("AccessDeniedException", EXPLICIT, "the service control policies of the organization."),
        ("KMSAccessDeniedException", EXPLICIT, "the service control policies of the organization."),
    ],
)
def test_permanent_error_is_reported_immediately(
    aws: StubbedAws, code: str, message: str, text: str
) -> None:
    starts = always_rejects(aws, code, message)
    reason = aws.fails(event())
    assert STREAM in reason
    assert KEY in reason
    assert message in reason
    assert reason.endswith(f" {text}")
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
def test_key_that_kinesis_rejects_is_reported_after_15_seconds(aws: StubbedAws, code: str) -> None:
    """Until then, Kinesis may not recognize that it exists or is enabled."""
    starts = always_rejects(aws, code, "no")
    reason = aws.fails(event())
    assert STREAM in reason
    assert KEY in reason
    assert f"({code}: no)" in reason
    assert reason.endswith("and is in the Region of the stream.")
    assert 15 <= aws.clock.elapsed < 18
    assert 8 <= len(starts) <= 20


def test_parameters_that_botocore_rejects_are_reported_immediately(aws: StubbedAws) -> None:
    aws.kinesis.raises("describe_stream_summary", ParamValidationError(report="bad"))
    assert "ParamValidationError" in aws.fails(event())
    assert aws.clock.elapsed == 0


def test_unexpected_error_is_reported_with_stream_and_key(aws: StubbedAws) -> None:
    aws.kinesis.raises("describe_stream_summary", RuntimeError("out of luck"))
    assert aws.fails(event()) == (
        f"UNEXPECTED: Unexpected error for stream {STREAM}, key {KEY} (RuntimeError: out of luck)."
        " Check the log of the function. It is safe to deploy again."
    )
    assert "Traceback" in aws.logged("unexpected error")[0]["traceback"]


def test_long_message_of_aws_truncates_neither_cause_nor_remedy(aws: StubbedAws) -> None:
    always_rejects(aws, "AccessDeniedException", f"{EXPLICIT} {'x' * 3000}")
    reason = aws.fails(event())
    assert reason.startswith("ACCESS_DENIED: Access denied to kinesis:StartStreamEncryption")
    assert reason.endswith("from the service control policies of the organization.")
    assert len(reason) == 1024


class TestDenials:
    """A denial may end when a new policy has propagated, unless it is explicit."""

    def test_new_policy_may_propagate(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()

        def respond(_: int) -> None:
            if aws.clock.elapsed < 55:
                raise refused("AccessDeniedException", IMPLICIT)
            aws.kinesis.shows_only("ACTIVE", KEY, times=2)

        aws.kinesis.on_start(aws.clock, respond)
        aws.succeeds(event())

    def test_denied_start_is_retried_for_a_minute(self, aws: StubbedAws) -> None:
        always_rejects(aws, "KMSAccessDeniedException", IMPLICIT)
        reason = aws.fails(event())
        assert reason.startswith("ACCESS_DENIED: Access denied to kinesis:StartStreamEncryption")
        assert reason.endswith(
            "Allow kinesis:StartStreamEncryption in the identity-based policies of the function's"
            " role."
        )
        assert 60 <= aws.clock.elapsed < 65

    def test_denied_describe_is_retried_for_a_minute(self, aws: StubbedAws) -> None:
        """As often as an accessible stream is described, as the permission may take effect soon."""
        times = aws.kinesis.times_of("DescribeStreamSummary", aws.clock)
        aws.kinesis.keeps_failing("describe_stream_summary", "AccessDeniedException", IMPLICIT)
        reason = aws.fails(event())
        assert reason.startswith("ACCESS_DENIED: Access denied to kinesis:DescribeStreamSummary")
        assert " in the identity-based policies of the function's role." in reason
        assert 60 <= aws.clock.elapsed < 63
        assert max(later - earlier for earlier, later in pairwise(times)) <= 2

    def test_success_resets_the_time_limit_of_denials(self, aws: StubbedAws) -> None:
        denial = "AccessDeniedException", IMPLICIT
        aws.kinesis.fails("describe_stream_summary", *denial, times=2)
        aws.kinesis.shows("UPDATING", times=40)
        aws.kinesis.fails("describe_stream_summary", *denial)
        aws.kinesis.shows("ACTIVE", KEY, times=2)
        aws.succeeds(event())
        assert aws.clock.elapsed > 65


class TestDenialRemedy:
    """The remedy contains the policy type and the action of AWS's message.

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
        always_rejects(aws, code, f"{denied} {because}")
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

    @CODES
    @pytest.mark.parametrize(
        "because",
        [
            "because no resource-based policy allows the kms:GenerateDataKey action",
            "because the resource does not exist in this Region, no resource-based policies allow"
            " access, or a resource-based policy explicitly denies access",
        ],
        ids=["same account", "any account"],
    )
    def test_key_policy(self, aws: StubbedAws, code: str, because: str) -> None:
        """KMS calls it a resource-based policy, and the message contains a KMS action."""
        remedy = self.remedy(aws, code, because, "kms:GenerateDataKey")
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
                f"Remove the explicit deny of {START} from the policy that contains it (of role,"
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
    def test_message_without_a_policy_type(
        self, aws: StubbedAws, code: str, message: str, remedy: str
    ) -> None:
        always_rejects(aws, code, message)
        assert aws.fails(event()).endswith(f" {remedy}")


class TestQuota:
    """AWS uses the same message for the daily key changes and for the call rate of a stream."""

    @pytest.mark.parametrize("message", [SPENT, "no more", "25 in a rolling 24 hour window"])
    def test_retries_with_growing_pauses_for_some_four_minutes(
        self, aws: StubbedAws, message: str
    ) -> None:
        starts = always_rejects(aws, "LimitExceededException", message)
        reason = aws.fails(event())
        assert reason.startswith(
            f"LIMIT_EXCEEDED: Stream {STREAM} has used its 25 key changes of 24 hours, or its call"
            " rate."
        )
        assert f"({message})" in reason
        assert 240 <= aws.clock.elapsed < 250
        assert len(starts) <= 9
        pauses = [later - earlier for earlier, later in pairwise(starts)]
        # The last one is the rest of the four minutes.
        assert all(later > earlier for earlier, later in pairwise(pauses[:-1]))

    def test_call_rate_recovers(self, aws: StubbedAws) -> None:
        aws.rejects_starts([refused("LimitExceededException", SPENT)] * 3)
        aws.succeeds(event())

    def test_quota_is_not_the_reason_after_a_start_without_a_response(
        self, aws: StubbedAws
    ) -> None:
        no_response = repeat(ReadTimeoutError(endpoint_url="https://kinesis"))
        aws.rejects_starts(chain([refused("LimitExceededException", SPENT)], no_response))
        assert aws.fails(event(ServiceTimeout="120")).startswith("TIMED_OUT: ")

    @pytest.mark.parametrize("timeout", range(30, 300, 9))
    def test_earlier_deadline_is_kept_with_the_same_reason(
        self, aws: StubbedAws, timeout: int
    ) -> None:
        always_rejects(aws, "LimitExceededException", SPENT)
        reason = aws.fails(event(ServiceTimeout=str(timeout)))
        assert reason.startswith(f"LIMIT_EXCEEDED: Stream {STREAM} has used its 25 key changes")
        assert aws.clock.elapsed <= timeout - min(60, timeout / 2)

    def test_call_rate_of_the_account_is_throttling(self, aws: StubbedAws) -> None:
        always_rejects(aws, "LimitExceededException", THROTTLED)
        reason = aws.fails(event())
        assert "was not confirmed ACTIVE" in reason
        error = f"kinesis:StartStreamEncryption: LimitExceededException: {THROTTLED}"
        assert f"last error: {error}" in reason
        assert aws.clock.elapsed == pytest.approx(600, abs=1)


class TestDeadline:
    """The reason of a timeout contains the last error of a call that still fails."""

    def test_last_description_and_the_error_since(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("UPDATING")
        aws.kinesis.keeps_failing("describe_stream_summary", "ThrottlingException", "slow down")
        error = "kinesis:DescribeStreamSummary: ThrottlingException: slow down"
        found = f"last state: UPDATING, encryption NONE; last error: {error}."
        assert found in aws.fails(event())

    def test_error_from_the_first_call_on(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_failing("describe_stream_summary", "ThrottlingException", "slow down")
        found = "last state: unknown; last error: kinesis:DescribeStreamSummary"
        assert found in aws.fails(event())

    def test_error_before_a_success_is_not_reported(self, aws: StubbedAws) -> None:
        aws.kinesis.fails("describe_stream_summary", "ThrottlingException")
        aws.kinesis.keeps_showing("UPDATING")
        assert "last state: UPDATING, encryption NONE. Check" in aws.fails(event())

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("ResourceInUseException", "Stream orders not ACTIVE, instead in state UPDATING"),
            ("InternalFailure", "We encountered an internal error"),
            ("ThrottlingException", "Rate exceeded"),
        ],
    )
    def test_every_start_is_rejected(self, aws: StubbedAws, code: str, message: str) -> None:
        status = {"HTTPStatusCode": 500 if code == "InternalFailure" else 400}
        details = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": status}
        aws.rejects_starts(repeat(ClientError(details, "StartStreamEncryption")))
        reason = aws.fails(event())
        error = f"kinesis:StartStreamEncryption: {code}: {message}"
        assert f"last state: ACTIVE, encryption NONE; last error: {error}." in reason

    def test_start_that_was_finally_accepted_is_not_reported(self, aws: StubbedAws) -> None:
        aws.kinesis.keeps_showing("ACTIVE")
        aws.allows_changes()

        def respond(number: int) -> None:
            if number == 1:
                raise refused("ResourceInUseException")
            aws.kinesis.forget()
            aws.kinesis.keeps_showing("UPDATING", KEY)

        aws.kinesis.on_start(aws.clock, respond)
        reason = aws.fails(event())
        assert f"last state: UPDATING, encryption KMS with key {KEY}. Check" in reason

    def test_slow_check(self, aws: StubbedAws) -> None:
        aws.kinesis.shows("ACTIVE")
        aws.kms.hangs("describe_key", aws.clock, 5)
        reason = aws.fails(event(ServiceTimeout="8"))
        assert (
            "last state: ACTIVE, encryption NONE; last error: kms:DescribeKey: ReadTime" in reason
        )
