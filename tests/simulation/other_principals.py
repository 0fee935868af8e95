"""Other principals, who change the same streams and keys by hand or by program."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random

from simulated_aws.kinesis import Kinesis, Stream
from simulated_aws.kms import Kms
from simulated_aws.service import ServiceError
from simulated_aws.stage import Stage

_NAME = "another principal"


@dataclass(frozen=True)
class ExternalChange:
    """A change that another principal makes.

    Parameters
    ----------
    when
        In seconds since the epoch.
    what
        ``start``, ``stop``, ``delete``, ``recreate``, ``point alias``, or ``set state``.
    on
        Stream ARN, alias name, or key ID.
    value
        Key, or key state.
    """

    when: float
    what: str
    on: str
    value: str = ""


class OtherPrincipals:
    """Makes the changes of other principals.

    Parameters
    ----------
    stage
        Clock, journal, and faults.
    kinesis, kms
        Services that they call.
    external_changes
        Scheduled changes.
    rng
        Source of unscheduled changes, just after the handler describes a stream.
    """

    def __init__(
        self,
        stage: Stage,
        kinesis: Kinesis,
        kms: Kms,
        external_changes: tuple[ExternalChange, ...],
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._kinesis = kinesis
        self._kms = kms
        for change in external_changes:
            stage.scheduler.at(change.when, partial(self._perform, change))
        self._rng = rng
        kinesis.on_describe = self._change_after_describe

    def _change_after_describe(self, stream: Stream) -> None:
        """Change a stream just after the handler described it, while it relies on that state."""
        if not self._faults.hit("other principals: just after a description"):
            return
        rng = self._rng
        what = rng.choices(("start", "stop", "delete"), (2, 2, 1))[0]
        key = rng.choice(list(self._kms.keys))
        soon = self._scheduler.now + rng.uniform(0, 0.4)
        self._scheduler.at(
            soon, partial(self._perform, ExternalChange(soon, what, stream.arn, key))
        )

    def _perform(self, change: ExternalChange) -> None:
        self._faults.count(f"other principals: {change.what}")
        self._journal.note(_NAME, change.what, change.on, change.value)
        try:
            self._do(change)
        except ServiceError as error:
            self._journal.note(_NAME, "was refused:", error.code)

    def _do(self, change: ExternalChange) -> None:
        stream = self._kinesis.streams.get(change.on)
        match change.what:
            case "start" if stream:
                self._kinesis.change(stream, change.value, _NAME)
            case "stop" if stream:
                self._kinesis.change(stream, None, _NAME)
            case "delete" if stream:
                self._kinesis.delete(stream)
            case "recreate" if stream and not stream.history.value.status:
                self._kinesis.create(stream)
            case "point alias":
                self._kms.point_alias(change.on, change.value)
            case "set state":
                self._kms.set_state(change.on, change.value)
