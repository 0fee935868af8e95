"""What is known of a stream, and what of it is still to be told."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from stream_encryption.guard.finding import DRIFT, ENCRYPTED, Finding, State, utc
from stream_encryption.guard.messages import Cause

_NOTHING = "nothing"


class Item(NamedTuple):
    """What is known of a stream; times are texts, as in the table.

    It was found so ``since`` then, and ``seen`` last. ``caller``, ``call`` and ``called`` are who
    changed it, as far as an event said. ``told`` is the finding that people know of; ``telling`` is
    when telling another began, and empty once that is done. ``version`` counts the writes.
    """

    arn: str
    finding: Finding
    since: str = ""
    seen: str = ""
    caller: str = ""
    call: str = ""
    called: str = ""
    told: str = _NOTHING
    telling: str = ""
    version: int = 0

    def observed(self, finding: Finding, now: float, cause: Cause | None) -> Item:
        """Take in what is found now; what is no news counts as told."""
        same_key = finding[1:] == self.finding[1:]
        if finding.state is State.UNKNOWN and same_key and self.finding.state in ENCRYPTED:
            finding = self.finding  # what the alias meant was known
        item = self._replace(finding=finding, seen=utc(now))
        if finding != self.finding:
            item = item._replace(since="", caller="", call="", called="")
        item = item._replace(since=item.since or item.seen)
        if cause and cause.explains(self.finding, finding) and utc(cause.time) >= item.called:
            item = item._replace(caller=cause.caller, call=cause.call, called=utc(cause.time))
        # Where a crash left open whether people were told of another finding, all is news.
        is_news = self.telling or _is_news(self.told, finding.state)
        return item if is_news else item._replace(told=str(finding))

    def being_told(self, now: float) -> Item:
        """Begin to tell."""
        return self._replace(telling=utc(now))

    def as_told(self) -> Item:
        """Have told."""
        return self._replace(told=str(self.finding), telling="")

    @property
    def untold(self) -> bool:
        """Whether people have still to be told."""
        return bool(self.telling) or self.told != str(self.finding)

    def age(self, now: float) -> float:
        """Seconds for which the stream has been found to be so."""
        return now - datetime.fromisoformat(self.since).timestamp()

    def is_being_told(self, now: float, lease: float) -> bool:
        """Tell whether another invocation may be telling just now."""
        if not self.telling:
            return False
        return now < datetime.fromisoformat(self.telling).timestamp() + lease


def _is_news(told: str, state: State) -> bool:
    """Tell whether a state is news to who knows of another.

    Drift is, when it begins and when it ends; and that a stream which was guarded is exempt.
    """
    before = State(told.split(",", maxsplit=1)[0]) if told != _NOTHING else None
    if before in DRIFT or state in DRIFT:
        return True
    return state is State.EXEMPT and before not in {None, State.EXEMPT}
