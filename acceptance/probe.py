"""The probe: what Kinesis answers, asked by API calls alone on a stream and two keys of its own.

Read it before you run it: it changes nothing but that stream and these keys, the second of which is
disabled and scheduled for deletion on the way. `belongings` removes the rest afterwards.
"""

import time
from collections.abc import Callable
from itertools import cycle
from typing import Any, NamedTuple

from acceptance.aws import AcceptError, Aws, asked, described, until
from acceptance.questions import PROBE
from acceptance.report import Report

_PACE = 0.25  # seconds between two looks at a changing stream
_WATCHED = 8.0  # seconds after ACTIVE in which records are still written
_LONGEST = 900.0  # seconds of a change
_MOST_CHANGES = 30
_MOST_EARLY = 200
_AWS_MANAGED = "alias/aws/kinesis"


def probe(aws: Aws, report: Report, *, quota: bool) -> None:
    """Answer all of `questions.PROBE`, and with `quota` those of `questions.QUOTA`."""
    kms, first, second = aws.client("kms"), aws.make_key(), aws.make_key()
    kms.disable_key(KeyId=second)  # this early, as it takes a while to count
    alias, first_id = aws.alias("probe"), first.rpartition("/")[2]
    kms.create_alias(AliasName=alias, TargetKeyId=first_id)
    stream = _Stream(aws.client("kinesis"), aws.make_stream("probe"))

    def refused(row: str, answer: str, code: str = "") -> None:
        report.answer(row, answer, holds=answer != "accepted" and answer.startswith(code))
        stream.key_when_active()

    refused("stop-in-plaintext", stream.insist(stream.stop, first), "InvalidArgument")
    refused("missing-stream", stream.start(first, of=aws.name("none")), "ResourceNotFound")
    refused("type-none", stream.start(first, kind="NONE"))

    if (answer := stream.insist(stream.start, first)) != "accepted":
        raise AcceptError(f"the first Start was refused: {answer}")
    _tell_of_first_change(stream.watch(), report)
    answer, status = stream.change(first), stream.described()["StreamStatus"]
    report.answer("same-key", f"{answer}, then {status}", holds=status == "UPDATING")
    refused("start-while-updating", stream.start(first), "ResourceInUse")

    alias_arn = first.replace(f"key/{first_id}", alias)
    forms = {"key-id": first_id, "key-arn": first, "alias": alias, "alias-arn": alias_arn}
    _ask_for_forms(stream, forms | {"aws-managed": _AWS_MANAGED}, report)

    refused("missing-key", stream.change(f"{first[:-8]}00000000"), "KMSNotFound")
    refused("disabled-key", stream.change(second), "KMSDisabled")
    kms.schedule_key_deletion(KeyId=second, PendingWindowInDays=7)
    refused("deleted-key", stream.change(second), "KMSInvalidState")

    if quota:
        _spend_quota(stream, (first, _AWS_MANAGED), report)
    report.answer("start-after-active", f"{stream.early} before {stream.changes} accepted ones")
    report.answer("updating-time", " ".join(f"{wait:.1f}" for wait in stream.waits if wait > _PACE))


class Look(NamedTuple):
    """The stream, and the encryption type of a record, some seconds after a change."""

    seconds: float
    status: str
    encryption: str
    record: str

    @property
    def is_over(self) -> bool:
        """Whether the first change is: before it shows, the stream is ACTIVE in plaintext."""
        return (self.status, self.encryption) == ("ACTIVE", "KMS")


class _Stream:
    """The probe's stream, with all that was answered to StartStreamEncryption."""

    def __init__(self, kinesis: Any, name: str) -> None:
        self.kinesis, self.name = kinesis, name
        self.answers: list[str] = []
        self.waits: list[float] = []
        self.early = 0

    @property
    def changes(self) -> int:
        return self.answers.count("accepted")

    def described(self) -> dict[str, Any]:
        return described(self.kinesis, self.name)

    def stop(self, key: str) -> str:
        call = {"StreamName": self.name, "EncryptionType": "KMS", "KeyId": key}
        return asked(self.kinesis.stop_stream_encryption, **call)

    def start(self, key: str, *, of: str | None = None, kind: str = "KMS") -> str:
        call = {"StreamName": of or self.name, "EncryptionType": kind, "KeyId": key}
        self.answers.append(asked(self.kinesis.start_stream_encryption, **call))
        return self.answers[-1]

    def insist(self, call: Callable[[str], str], key: str) -> str:
        """Call again where the stream was described as ACTIVE before it was."""
        answer = call(key)
        while answer.startswith("ResourceInUse") and self.early < _MOST_EARLY:
            self.early += 1
            time.sleep(_PACE)
            self.key_when_active()
            answer = call(key)
        return answer

    def change(self, key: str) -> str:
        """Start, and return once that shows, or has had the time to."""
        answer, looks = self.insist(self.start, key), 8
        while answer == "accepted" and looks and self.described()["StreamStatus"] == "ACTIVE":
            time.sleep(_PACE)
            looks -= 1
        return answer

    def key_when_active(self) -> str | None:
        began = time.monotonic()
        until(lambda: self.described()["StreamStatus"] == "ACTIVE", pace=_PACE)
        self.waits.append(time.monotonic() - began)
        return self.described().get("KeyId")

    def watch(self) -> list[Look]:
        """Look at the stream and write to it, until some seconds after it is ACTIVE."""
        looks, began, active = list[Look](), time.monotonic(), 0.0
        while time.monotonic() < (active + _WATCHED if active else began + _LONGEST):
            at, found = time.monotonic(), self.described()
            stored = self.kinesis.put_record(StreamName=self.name, Data=b"1", PartitionKey="1")
            status, record = found["StreamStatus"], stored.get("EncryptionType", "NONE")
            looks.append(Look(at - began, status, found["EncryptionType"], record))
            active = active or (at if looks[-1].is_over else 0.0)
            time.sleep(_PACE)
        if not active:
            raise AcceptError(f"the first change was not over after {_LONGEST:.0f} s")
        return looks


def _tell_of_first_change(looks: list[Look], report: Report) -> None:
    changing = [look for look in looks if look.status == "UPDATING"]
    active = next(look.seconds for look in looks if look.is_over)
    plain = max((look.seconds - active for look in looks if look.record == "NONE"), default=0.0)
    types, records = {look.encryption for look in changing}, {look.record for look in changing}
    first = f"{looks[0].status}, {looks[0].encryption}"
    report.answer("first-look", first, holds=first == "UPDATING, NONE")
    report.answer("updating-type", " and ".join(sorted(types)) or "-", holds=types == {"NONE"})
    report.answer("updating-records", " and ".join(sorted(records)) or "-")
    report.answer("settling", f"{max(plain, 0.0):.1f} s", holds=plain <= 5)


def _ask_for_forms(stream: _Stream, forms: dict[str, str], report: Report) -> None:
    for form, key in forms.items():
        answer, found = stream.change(key), stream.key_when_active()
        echo = next((name for name, known in forms.items() if known == found), "another form")
        known = PROBE[f"echo-{form}"][1] is not None
        told = echo if answer == "accepted" else answer
        report.answer(f"echo-{form}", told, holds=told == form if known else None)


def _spend_quota(stream: _Stream, keys: tuple[str, str], report: Report) -> None:
    """Alternate the keys until Kinesis refuses."""
    for key in cycle(keys):
        if stream.changes == _MOST_CHANGES or stream.change(key) != "accepted":
            break
        stream.key_when_active()
    if stream.changes == _MOST_CHANGES:
        reason = f"{_MOST_CHANGES} changes were accepted and none was refused"
        report.answer("quota-words", reason, shown=False)
        report.answer("quota-count", reason, shown=False)
    else:
        words = stream.answers[-1]
        report.answer("quota-words", words, holds="Rate exceeded for stream" in words)
        report.answer("quota-count", f"{stream.changes}", holds=stream.changes == 25)
