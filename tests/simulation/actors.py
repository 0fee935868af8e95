"""Others who work on the same streams and keys, by hand or by program."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random

from tests.simulation.kinesis import Kinesis, Stream
from tests.simulation.kms import Kms
from tests.simulation.service import Actor, ServiceError
from tests.simulation.stage import Stage


@dataclass(frozen=True)
class Deed:
    """What somebody else does.

    Parameters
    ----------
    when
        In seconds since the epoch.
    what
        ``start``, ``stop``, ``delete``, ``recreate``, ``point alias`` or ``set state``.
    on
        Stream ARN, alias name or key id.
    value
        Key, or state of a key.
    """

    when: float
    what: str
    on: str
    value: str = ""


class Actors:
    """Carries deeds out.

    Parameters
    ----------
    stage
        Time, memory and mishaps.
    kinesis, kms
        What they act on.
    deeds
        What is done, and when.
    rng
        Source of what is done without a plan: right after the handler's looks.
    """

    def __init__(
        self,
        stage: Stage,
        kinesis: Kinesis,
        kms: Kms,
        deeds: tuple[Deed, ...],
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._kinesis = kinesis
        self._kms = kms
        for deed in deeds:
            stage.scheduler.at(deed.when, partial(self._carry_out, deed))
        self._rng = rng
        kinesis.on_look = self._intervene

    def _intervene(self, stream: Stream) -> None:
        """Change a stream just when the handler has looked at it, and relies on what it saw."""
        if not self._faults.hit("others: right after a look"):
            return
        rng = self._rng
        what = rng.choices(("start", "stop", "delete"), (2, 2, 1))[0]
        key = rng.choice(list(self._kms.keys))
        soon = self._scheduler.now + rng.uniform(0, 0.4)
        self._scheduler.at(soon, partial(self._carry_out, Deed(soon, what, stream.arn, key)))

    def _carry_out(self, deed: Deed) -> None:
        self._faults.count(f"others: {deed.what}")
        self._journal.note("somebody else", deed.what, deed.on, deed.value)
        try:
            self._do(deed)
        except ServiceError as error:
            self._journal.note("somebody else", "was refused:", error.code)

    def _do(self, deed: Deed) -> None:
        stream = self._kinesis.streams.get(deed.on)
        match deed.what:
            case "start" if stream:
                self._kinesis.change(stream, deed.value, Actor())
            case "stop" if stream:
                self._kinesis.change(stream, None, Actor())
            case "delete" if stream:
                self._kinesis.delete(stream)
            case "recreate" if stream and not stream.history.value.status:
                self._kinesis.create(stream)
            case "point alias":
                self._kms.point_alias(deed.on, deed.value)
            case "set state":
                self._kms.set_state(deed.on, deed.value)
