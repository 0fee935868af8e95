"""What is stored for remediation: a record of each stream, and the circuit breaker."""

from __future__ import annotations

import json
from typing import NamedTuple

from stream_encryption.guard.item import Item

PREFIX = "remediation#"
"""Of the key of a stream's record; the key of its item is the stream's ARN alone."""

DAY = 24 * 3600.0


class Record(NamedTuple):
    """Remediations of one stream; times in seconds, or texts as in the stream's item.

    ``remediations`` is their number since the stream was last compliant without one, the last of
    them for ``drift``, in which the stream was or may have been ``changed``; ``changes`` are their
    times in the last 24 hours. Drifts that began before ``considered`` were ended by the guard, or
    have been considered. ``claimed_until`` is set while an invocation works on the stream,
    ``report`` while the ``outcome`` has yet to be reported.
    """

    arn: str
    created: str = ""
    drift: str = ""
    changed: int = 0
    considered: str = ""
    changes: str = "[]"
    remediations: int = 0
    attempts: int = 0
    next_attempt: float = 0
    claimed_until: float = 0
    caller: str = ""
    outcome: str = ""
    reason: str = ""
    time: str = ""
    report: str = ""
    yielded: int = 0
    revision: int = 0

    @property
    def stream(self) -> str:
        """The ARN of the stream."""
        return self.arn.removeprefix(PREFIX)

    def of_drift(self, item: Item, now: float) -> Record:
        """Apply what is stored of the stream: another drift, or another stream of that name."""
        record = self
        if record.created != item.created:
            record = Record(record.arn, item.created, revision=record.revision)
        if record.drift != item.since:
            if item.ended_drift > record.considered:  # it became compliant without the guard
                record = record.released()._replace(considered=item.ended_drift)
            # Otherwise the stream was only UPDATING in between, and attempts would never end.
            if record.changed or item.ended_drift >= record.drift:
                record = record._replace(attempts=0, next_attempt=0)
            record = record._replace(drift=item.since, changed=0)
        changes = [when for when in json.loads(record.changes) if when > now - DAY]
        caller = f"{item.caller} ({item.call} at {item.call_time})" if item.call else ""
        return record._replace(changes=json.dumps(changes), caller=caller)

    def claimed(self, now: float, until: float) -> Record:
        """Count a change that is about to be made."""
        return self._replace(
            claimed_until=until,
            changed=1,
            changes=json.dumps([*json.loads(self.changes), now]),
            remediations=self.remediations + 1,
            attempts=self.attempts + 1,
            yielded=0,
        )

    def released(self) -> Record:
        """Forget the limit of the stream."""
        return self._replace(remediations=0, yielded=0)


class Breaker(NamedTuple):
    """Circuit breaker: the streams that were ``due`` within an hour, with their times.

    ``claimed_until`` is set while an invocation reports that it is open.
    """

    arn: str
    due: str = "{}"
    open: int = 0
    claimed_until: float = 0
    revision: int = 0
