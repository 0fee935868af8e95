"""Simulated Kinesis: streams that take time to change, and descriptions that may be stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from simulated_aws.kms import AWS_MANAGED_ALIAS, Kms
from simulated_aws.scheduler import Scheduler
from simulated_aws.service import ACCOUNT, Params, ServiceError, arn
from simulated_aws.stage import History, Stage

DAY = 24 * 3600
CHANGES_PER_DAY = 25
DESCRIBES_PER_SECOND = 20.0
STARTS_PER_SECOND = 5.0

SAME_KEY_AGAIN = (3.0, 5.0)
"""Bounds of the seconds of UPDATING when a stream gets the key that it already has."""

DURATIONS = ((0.0, 0.0), (0.2, 10.0), (10.0, 120.0), (120.0, 840.0), (840.0, 3540.0))
"""Bounds of the seconds that a change takes: usually few, as AWS documents, up to 59 minutes."""

RATE_EXCEEDED = f"Rate exceeded for account {ACCOUNT}."
CHANGES_EXCEEDED = f"Rate exceeded for stream {{name}} under account {ACCOUNT}."
"""Recorded message of similar quotas of 24 hours, which does not mention a day."""


@dataclass(frozen=True)
class State:
    """State of a stream at one time.

    Parameters
    ----------
    status
        ``CREATING``, ``ACTIVE``, ``UPDATING``, or ``DELETING``; empty when there is no stream.
    key
        Key identifier in the described format; None when unencrypted.
    created
        Creation time of this incarnation.
    """

    status: str
    key: str | None
    created: float

    def __str__(self) -> str:
        return f"{self.status or 'no such stream'} {self.key or 'unencrypted'}"


NOTHING = State("", None, 0.0)


@dataclass
class Change:
    """A start or stop of encryption that Kinesis has accepted.

    Parameters
    ----------
    when
        When it was accepted.
    by
        Invocation or other principal.
    key
        The new key; None when encryption is stopped.
    before
        The previous state of the stream.
    done
        When the stream was ACTIVE again; None before that.
    """

    when: float
    by: object
    key: str | None
    before: State
    done: float | None = None


class Stream:
    """A stream name and the history of its streams.

    Parameters
    ----------
    arn
        Its ARN.
    now, state
        Initial state, and its start.
    spent
        When encryption was started before that, for the quota.
    """

    def __init__(self, arn: str, now: float, state: State, spent: Sequence[float] = ()) -> None:
        self.arn = arn
        self.name = arn.split("/")[1]
        self.history = History(now, state)
        self.changes: list[Change] = []
        self.started = list(spent)
        self.stopped: list[float] = []
        self.not_active = ("", 0.0)
        """Status with which changes are rejected, and until when, while ACTIVE is described."""
        self.change_seconds: float | None = None
        """Seconds that a change of it takes; drawn when there are none."""


class Bucket:
    """A token bucket.

    Parameters
    ----------
    scheduler
        Source of time.
    rate
        Tokens per second that other callers in the account leave.
    size
        Maximum number of tokens.
    """

    def __init__(self, scheduler: Scheduler, rate: float, size: float) -> None:
        self._scheduler = scheduler
        self._rate = rate
        self._size = size
        self._tokens = size
        self._filled = scheduler.now

    def take(self) -> bool:
        """Take a token; False when there is none."""
        now = self._scheduler.now
        self._tokens = min(self._tokens + (now - self._filled) * self._rate, self._size)
        self._filled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(frozen=True)
class KinesisTraits:
    """Behavior that AWS does not document, drawn for each schedule.

    Parameters
    ----------
    staleness
        Seconds by which a description may be stale.
    shows_target
        Whether a stream that is UPDATING already shows the new encryption, as in kinesis-mock.
        Recordings of AWS do not.
    load
        Share of the account rate that other callers use.
    durations
        Weights of the `DURATIONS` of a change.
    describes_alias
        How a customer managed key is described that was specified by its alias: ``as given``,
        ``key ARN``, or ``alias ARN``.
    """

    staleness: float
    shows_target: bool
    load: float
    durations: tuple[int, ...]
    describes_alias: str = "as given"


class Kinesis:
    """The streams of the account and region.

    Parameters
    ----------
    stage
        Clock, journal, and faults.
    kms
        Keys of the account.
    traits
        Undocumented behavior of the service.
    rng
        Source of random behavior.
    """

    def __init__(
        self,
        stage: Stage,
        kms: Kms,
        traits: KinesisTraits,
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._kms = kms
        self.traits = traits
        self._rng = rng
        self.streams: dict[str, Stream] = {}
        self.on_describe: Callable[[Stream], None] = lambda stream: None
        free = 1 - traits.load
        self._describe_rate = Bucket(
            stage.scheduler, DESCRIBES_PER_SECOND * free, max(DESCRIBES_PER_SECOND * free, 1)
        )
        self._start_rate = Bucket(
            stage.scheduler, STARTS_PER_SECOND * free, max(STARTS_PER_SECOND * free, 1)
        )

    def add(self, arn: str, state: State, spent: Sequence[float] = ()) -> Stream:
        """Add a stream with an initial state."""
        self.streams[arn] = stream = Stream(arn, self._scheduler.now, state, spent)
        return stream

    def serve(self, operation: str, params: Params, caller: object) -> dict[str, Any]:
        """Perform an operation for the handler."""
        name = params.get("StreamName") or params["StreamARN"].split("/")[1]
        stream = self.streams[arn("kinesis", f"stream/{name}")]
        if operation == "DescribeStreamSummary":
            if not self._describe_rate.take():
                raise self._rate_exceeded()
            self.on_describe(stream)
            return self._describe(stream)
        if not self._start_rate.take():
            raise self._rate_exceeded()
        if self._faults.hit("kinesis: a stream is throttled"):
            raise ServiceError("LimitExceededException", CHANGES_EXCEEDED.format(name=name))
        target = params["KeyId"] if operation == "StartStreamEncryption" else None
        self.change(stream, target, caller)
        return {}

    def change(self, stream: Stream, key: str | None, by: object) -> Change:
        """Start encryption with a key, or stop it, for the handler or another principal."""
        now, state = self._scheduler.now, stream.history.value
        if not state.status or state.status == "DELETING":
            raise ServiceError("ResourceNotFoundException", f"Stream {stream.name} not found.")
        actual, until = stream.not_active
        status = actual if now < until else state.status
        if status != "ACTIVE":
            raise ServiceError(
                "ResourceInUseException",
                f"Stream {stream.name} under account {ACCOUNT} not ACTIVE, instead in state"
                f" {status}",
            )
        if key is not None:
            self._kms.check_for_kinesis(key)
        elif state.key is None:
            raise ServiceError(
                "InvalidArgumentException", "Cannot stop encrypting an unencrypted stream."
            )
        spent = stream.stopped if key is None else stream.started
        spent[:] = [when for when in spent if when > now - DAY]
        if len(spent) >= CHANGES_PER_DAY:
            self._faults.count("kinesis: the daily quota is exhausted")
            raise ServiceError("LimitExceededException", CHANGES_EXCEEDED.format(name=stream.name))
        spent.append(now)
        change = Change(now, by, self._described_key(key), state)
        stream.changes.append(change)
        duration = self._duration(stream, key)
        self._journal.note(
            "kinesis", stream.name, "changes to", key or "unencrypted", f"{duration:.1f} s"
        )
        if duration == 0:
            self._finish(stream, change)
            return change
        shown = change.key if self.traits.shows_target else state.key
        stream.history.set(now, State("UPDATING", shown, state.created))
        self._scheduler.after(duration, lambda: self._finish(stream, change))
        return change

    def create(self, stream: Stream) -> None:
        """Create a stream again; it is CREATING for some seconds."""
        now = self._scheduler.now
        # AWS shows whole seconds, and no two incarnations within one.
        stream.history.set(now, State("CREATING", None, now))
        stream.started.clear()
        stream.stopped.clear()
        self._journal.note("kinesis", stream.name, "CREATING")

        def active() -> None:
            if stream.history.value == State("CREATING", None, now):
                self._activate(stream, State("ACTIVE", None, now), "CREATING")
                self._journal.note("kinesis", stream.name, "ACTIVE")

        self._scheduler.after(self._rng.uniform(1, 20), active)

    def delete(self, stream: Stream) -> None:
        """Delete a stream; it is DELETING for some seconds."""
        state = stream.history.value
        if not state.status or state.status == "DELETING":
            return
        stream.history.set(self._scheduler.now, replace(state, status="DELETING"))
        self._journal.note("kinesis", stream.name, "DELETING")

        def deleted() -> None:
            stream.history.set(self._scheduler.now, NOTHING)
            self._journal.note("kinesis", stream.name, "is deleted")

        self._scheduler.after(self._rng.uniform(1, 30), deleted)

    def _duration(self, stream: Stream, key: str | None) -> float:
        if stream.change_seconds is not None:
            return stream.change_seconds
        bounds = self._rng.choices(DURATIONS, self.traits.durations)[0]
        if key is not None and self._kms.same(stream.history.value.key, key, self._scheduler.now):
            bounds = SAME_KEY_AGAIN
        return self._rng.uniform(*bounds)

    def _finish(self, stream: Stream, change: Change) -> None:
        now, state = self._scheduler.now, stream.history.value
        if state.created != change.before.created or state.status not in ("UPDATING", "ACTIVE"):
            return  # deleted in the meantime
        change.done = now
        self._activate(stream, State("ACTIVE", change.key, state.created), "UPDATING")
        self._journal.note("kinesis", stream.name, "ACTIVE with", change.key or "no encryption")

    def _activate(self, stream: Stream, state: State, before: str) -> None:
        stream.history.set(self._scheduler.now, state)
        if self._faults.hit("kinesis: described as ACTIVE too early"):
            stream.not_active = (before, self._scheduler.now + self._rng.uniform(0.2, 6.0))

    def _described_key(self, key: str | None) -> str | None:
        """Format in which a key is described, given the identifier that was passed."""
        if key is None or "alias/" not in key or key.endswith(AWS_MANAGED_ALIAS):
            return key
        alias = key[key.index("alias/") :]
        match self.traits.describes_alias:
            case "key ARN":
                resolved = self._kms.resolve(alias)
                return resolved.arn if resolved else key
            case "alias ARN":
                return arn("kms", alias)
        return key

    def _describe(self, stream: Stream) -> dict[str, Any]:
        lag = self._rng.uniform(0, self.traits.staleness) if self.traits.staleness else 0.0
        state = stream.history.at(self._scheduler.now - lag)
        if not state.status:
            raise ServiceError("ResourceNotFoundException", f"Stream {stream.name} not found.")
        if state != stream.history.value:
            self._faults.count("kinesis: stale description")
        summary = {
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "StreamStatus": state.status,
            "EncryptionType": "NONE" if state.key is None else "KMS",
            "StreamCreationTimestamp": datetime.fromtimestamp(state.created, UTC),
        }
        if state.key is not None:
            summary["KeyId"] = state.key
        return {"StreamDescriptionSummary": summary}

    def _rate_exceeded(self) -> ServiceError:
        self._faults.count("kinesis: the account rate is exhausted")
        return ServiceError("LimitExceededException", RATE_EXCEEDED)
