"""The probe: how Kinesis behaves, by API calls alone, on its own stream and two keys.

Read it before you run it. It changes only that stream and these keys, of which the second is
disabled and scheduled for deletion. `resources` removes the rest afterwards.
"""

import time
from collections.abc import Callable
from itertools import cycle
from typing import Any, NamedTuple

from acceptance.assumptions import PROBE
from acceptance.aws import ACCEPTED, AcceptError, Aws, describe, result_of, until
from acceptance.report import Report

_INTERVAL = 0.25  # seconds between two descriptions of a changing stream
_AFTER_ACTIVE = 8.0  # seconds after ACTIVE in which records are still written
_CHANGE_TIMEOUT = 900.0
_MAX_CHANGES = 30
_MAX_EARLY = 200
_MAX_DESCRIPTIONS = 8  # until an accepted change must be visible
_AWS_MANAGED = "alias/aws/kinesis"


def probe(aws: Aws, report: Report, *, quota: bool) -> None:
    """Set all rows of `assumptions.PROBE` and, with `quota`, those of `assumptions.QUOTA`."""
    kms, first, second = aws.client("kms"), aws.create_key(), aws.create_key()
    kms.disable_key(KeyId=second)  # this early, because it takes effect with a delay
    alias, first_id = aws.alias("probe"), first.rpartition("/")[2]
    kms.create_alias(AliasName=alias, TargetKeyId=first_id)
    stream = _Stream(aws.client("kinesis"), aws.create_stream("probe"))

    def rejected(row: str, result: str, code: str = "") -> None:
        report.observe(row, result, holds=result != ACCEPTED and result.startswith(code))
        stream.key_when_active()

    rejected("stop-unencrypted", stream.retry_early(stream.stop, first), "InvalidArgument")
    rejected("missing-stream", stream.start(first, stream=aws.name("none")), "ResourceNotFound")
    rejected("type-none", stream.start(first, encryption_type="NONE"))

    if (result := stream.retry_early(stream.start, first)) != ACCEPTED:
        raise AcceptError(f"the first Start was rejected: {result}")
    _report_first_change(stream.watch(), report)
    result, status = stream.change(first), stream.describe()["StreamStatus"]
    report.observe("same-key", f"{result}, then {status}", holds=status == "UPDATING")
    rejected("start-while-updating", stream.start(first), "ResourceInUse")

    alias_arn = first.replace(f"key/{first_id}", alias)
    formats = {"key-id": first_id, "key-arn": first, "alias": alias, "alias-arn": alias_arn}
    _check_formats(stream, formats | {"aws-managed": _AWS_MANAGED}, report)

    rejected("missing-key", stream.change(f"{first[:-8]}00000000"), "KMSNotFound")
    rejected("disabled-key", stream.change(second), "KMSDisabled")
    kms.schedule_key_deletion(KeyId=second, PendingWindowInDays=7)
    rejected("deleted-key", stream.change(second), "KMSInvalidState")

    if quota:
        _exhaust_quota(stream, (first, _AWS_MANAGED), report)
    early = f"{stream.early} before {stream.changes} accepted ones"
    report.observe("start-after-active", early)
    times = " ".join(f"{seconds:.1f}" for seconds in stream.waits if seconds > _INTERVAL)
    report.observe("updating-time", times)


class _Sample(NamedTuple):
    """The stream, and the encryption type of a record, some seconds after a change."""

    seconds: float
    status: str
    encryption: str
    record: str

    @property
    def is_complete(self) -> bool:
        """Whether the first change is complete: just after Start, the stream may be ACTIVE."""
        return (self.status, self.encryption) == ("ACTIVE", "KMS")


class _Stream:
    """The probe's stream, and all results of StartStreamEncryption."""

    def __init__(self, kinesis: Any, name: str) -> None:
        self.kinesis, self.name = kinesis, name
        self.results: list[str] = []
        self.waits: list[float] = []
        self.early = 0

    @property
    def changes(self) -> int:
        return self.results.count(ACCEPTED)

    def describe(self) -> dict[str, Any]:
        return describe(self.kinesis, self.name)

    def stop(self, key: str) -> str:
        call = {"StreamName": self.name, "EncryptionType": "KMS", "KeyId": key}
        return result_of(self.kinesis.stop_stream_encryption, **call)

    def start(self, key: str, *, stream: str | None = None, encryption_type: str = "KMS") -> str:
        call = {"StreamName": stream or self.name, "EncryptionType": encryption_type, "KeyId": key}
        self.results.append(result_of(self.kinesis.start_stream_encryption, **call))
        return self.results[-1]

    def retry_early(self, call: Callable[[str], str], key: str) -> str:
        """Retry if the stream was described as ACTIVE too early."""
        result = call(key)
        while result.startswith("ResourceInUse") and self.early < _MAX_EARLY:
            self.early += 1
            time.sleep(_INTERVAL)
            self.key_when_active()
            result = call(key)
        return result

    def change(self, key: str) -> str:
        """Start, and return once the change is visible or had the time to be."""
        result, remaining = self.retry_early(self.start, key), _MAX_DESCRIPTIONS
        while result == ACCEPTED and remaining and self.describe()["StreamStatus"] == "ACTIVE":
            time.sleep(_INTERVAL)
            remaining -= 1
        return result

    def key_when_active(self) -> str | None:
        began = time.monotonic()
        until(lambda: self.describe()["StreamStatus"] == "ACTIVE", interval=_INTERVAL)
        self.waits.append(time.monotonic() - began)
        return self.describe().get("KeyId")

    def watch(self) -> list[_Sample]:
        """Describe the stream and write to it, until some seconds after it is ACTIVE."""
        samples, began, active = list[_Sample](), time.monotonic(), 0.0
        while time.monotonic() < (active + _AFTER_ACTIVE if active else began + _CHANGE_TIMEOUT):
            now, description = time.monotonic(), self.describe()
            stored = self.kinesis.put_record(StreamName=self.name, Data=b"1", PartitionKey="1")
            status, encryption = description["StreamStatus"], description["EncryptionType"]
            record = stored.get("EncryptionType", "NONE")
            samples.append(_Sample(now - began, status, encryption, record))
            active = active or (now if samples[-1].is_complete else 0.0)
            time.sleep(_INTERVAL)
        if not active:
            raise AcceptError(f"the first change was not complete after {_CHANGE_TIMEOUT:.0f} s")
        return samples


def _report_first_change(samples: list[_Sample], report: Report) -> None:
    updating = [sample for sample in samples if sample.status == "UPDATING"]
    active = next(sample.seconds for sample in samples if sample.is_complete)
    unencrypted = [sample.seconds - active for sample in samples if sample.record == "NONE"]
    last = max(unencrypted, default=0.0)
    types, records = {each.encryption for each in updating}, {each.record for each in updating}
    first = f"{samples[0].status}, {samples[0].encryption}"
    report.observe("first-description", first, holds=first == "UPDATING, NONE")
    report.observe("updating-type", " and ".join(sorted(types)) or "-", holds=types == {"NONE"})
    report.observe("updating-records", " and ".join(sorted(records)) or "-")
    report.observe("propagation", f"{max(last, 0.0):.1f} s", holds=last <= 5)


def _check_formats(stream: _Stream, formats: dict[str, str], report: Report) -> None:
    for name, key in formats.items():
        result, described = stream.change(key), stream.key_when_active()
        echo = next((each for each in formats if formats[each] == described), "another format")
        observed = echo if result == ACCEPTED else result
        is_assumed = PROBE[f"echo-{name}"][1] is not None
        report.observe(f"echo-{name}", observed, holds=observed == name if is_assumed else None)


def _exhaust_quota(stream: _Stream, keys: tuple[str, str], report: Report) -> None:
    """Alternate the keys until Kinesis rejects a change."""
    for key in cycle(keys):
        if stream.changes == _MAX_CHANGES or stream.change(key) != ACCEPTED:
            break
        stream.key_when_active()
    if stream.changes == _MAX_CHANGES:
        reason = f"{_MAX_CHANGES} changes were accepted and none was rejected"
        report.observe("quota-message", reason, shown=False)
        report.observe("quota-count", reason, shown=False)
    else:
        message = stream.results[-1]
        report.observe("quota-message", message, holds="Rate exceeded for stream" in message)
        report.observe("quota-count", f"{stream.changes}", holds=stream.changes == 25)
