"""The stored state of a stream, and which part of it has yet to be reported."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from stream_encryption.guard.finding import ENCRYPTED, NONCOMPLIANT, Finding, State, utc
from stream_encryption.guard.messages import ApiCall

RETENTION = 90 * 24 * 3600
"""Seconds for which the item of a stream is kept that is no longer checked."""

_NOTHING = "nothing"


class Item(NamedTuple):
    """The stored state of a stream; times are texts, as in the table.

    The finding (``state``, ``key``, and ``created``) has been the same ``since`` then, and was last
    ``checked`` then. ``caller``, ``call``, and ``call_time`` describe the call that changed the
    stream, if an event named it. ``last_notified`` is the finding of the last notification;
    ``notifying_since`` is when another one was begun, and empty once it is done. ``confirmed`` is a
    noncompliant state that is due for notification; it becomes empty when the stream is found
    otherwise. DynamoDB deletes the item when it ``expires``. ``revision`` counts writes.

    This very stream was compliant with ``good_key`` at ``good_at`` when it was last seen encrypted.
    ``drift`` is when it was last found to have become unencrypted; ``ended_drift`` is that time of
    the last drift after which it was found compliant.
    """

    arn: str
    state: str
    key: str
    created: str
    since: str = ""
    checked: str = ""
    caller: str = ""
    call: str = ""
    call_time: str = ""
    last_notified: str = _NOTHING
    notifying_since: str = ""
    confirmed: str = ""
    good_key: str = ""
    good_at: str = ""
    drift: str = ""
    ended_drift: str = ""
    expires: int = 0
    revision: int = 0

    @property
    def finding(self) -> Finding:
        """The last finding."""
        return Finding(State(self.state), self.key, self.created)

    def observed(
        self, finding: Finding, now: float, call: ApiCall | None, desired_key: str | None
    ) -> Item:
        """Apply a new finding; one that is not worth a notification counts as notified."""
        good_key, good_at = "", ""
        if finding.state is State.COMPLIANT and desired_key:
            good_key, good_at = desired_key, utc(now)
        elif finding.key in {"", self.good_key} and finding.created == self.created:
            good_key, good_at = self.good_key, self.good_at
        same_key = finding[1:] == self.finding[1:]
        if finding.state is State.UNKNOWN and same_key and self.finding.state in ENCRYPTED:
            finding = self.finding  # the alias could be resolved before
        item = self._replace(**finding._asdict(), checked=utc(now), expires=int(now + RETENTION))
        item = item._replace(good_key=good_key, good_at=good_at)
        if finding != self.finding:
            item = item._replace(since="", caller="", call="", call_time="")
        item = item._replace(since=item.since or item.checked)
        if finding.state is State.UNENCRYPTED:
            item = item._replace(drift=item.since)
        elif finding.state is State.COMPLIANT:
            item = item._replace(ended_drift=item.drift)
        if call and call.may_explain(self.finding, finding) and utc(call.time) >= item.call_time:
            item = item._replace(caller=call.caller, call=call.name, call_time=utc(call.time))
        if not finding.noncompliance or item.last_notified == str(finding):
            item = item._replace(confirmed=finding.noncompliance)
        # After a crash it is unknown whether a notification was published: report any finding.
        is_news = self.notifying_since or _is_news(self.last_notified, finding.state)
        return item if is_news else item._replace(last_notified=str(finding))

    def notifying(self, now: float) -> Item:
        """Begin a notification."""
        return self._replace(notifying_since=utc(now), confirmed=self.finding.noncompliance)

    def notified(self) -> Item:
        """Complete the notification."""
        return self._replace(last_notified=str(self.finding), notifying_since="")

    @property
    def is_due(self) -> bool:
        """Whether the finding has yet to be reported."""
        return bool(self.notifying_since) or self.last_notified != str(self.finding)

    def age(self, now: float) -> float:
        """Seconds for which the finding has been the same."""
        return now - datetime.fromisoformat(self.since).timestamp()

    def is_being_notified(self, now: float, lease: float) -> bool:
        """Whether another invocation may be publishing at the moment."""
        if not self.notifying_since:
            return False
        return now < datetime.fromisoformat(self.notifying_since).timestamp() + lease


def _is_news(last_notified: str, state: State) -> bool:
    """Whether a state is worth a notification after another one.

    The begin and the end of noncompliance are, and the exemption of a guarded stream.
    """
    before = None if last_notified == _NOTHING else State(last_notified.split(",", maxsplit=1)[0])
    if before in NONCOMPLIANT or state in NONCOMPLIANT:
        return True
    return state is State.EXEMPT and before not in {None, State.EXEMPT}
