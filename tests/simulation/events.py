"""Simulated EventBridge: rules that invoke the function every minute until they are gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Protocol, runtime_checkable

from tests.simulation.scheduler import Entry
from tests.simulation.service import Params, ServiceError
from tests.simulation.stage import Stage

PERIOD = 60.0
MAX_INPUT = 8192


@runtime_checkable
class HasRequest(Protocol):
    """A caller who acts for a request."""

    @property
    def request_id(self) -> str: ...


@dataclass
class Rule:
    """A rule, the request it is for, its targets' inputs by id, and its next tick."""

    name: str
    request_id: str
    targets: dict[str, str] = field(default_factory=dict)
    tick: Entry | None = None


class Events:
    """The rules of the account and region.

    Parameters
    ----------
    stage
        Time, memory and mishaps.
    invoke
        Invokes the function asynchronously.
    lag
        Seconds for which a deleted rule may still fire.
    rng
        Source of what is left to chance.
    """

    def __init__(
        self,
        stage: Stage,
        invoke: Callable[[str, str], None],
        lag: float,
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._invoke = invoke
        self._lag = lag
        self._rng = rng
        self.rules: dict[str, Rule] = {}
        self.fired: list[tuple[float, str]] = []

    def serve(self, operation: str, params: Params, caller: object) -> dict[str, Any]:
        """Carry out an operation."""
        self._journal.note("events", operation, params.get("Name", params.get("Rule")))
        match operation:
            case "PutRule":
                assert isinstance(caller, HasRequest)
                name = params["Name"]
                rule = self.rules.setdefault(name, Rule(name, caller.request_id))
                return {"RuleArn": f"arn:aws:events:eu-central-1:111122223333:rule/{rule.name}"}
            case "PutTargets":
                rule = self._existing(params["Rule"])
                for target in params["Targets"]:
                    if len(target["Input"].encode()) > MAX_INPUT:
                        raise ServiceError("ValidationException", "Input is longer than 8192")
                    rule.targets[target["Id"]] = target["Input"]
                if rule.tick is None:
                    self._tick_later(rule, self._rng.uniform(1, PERIOD))
                return {"FailedEntryCount": 0, "FailedEntries": []}
            case "RemoveTargets":
                rule = self._existing(params["Rule"])
                gone = {id_: rule.targets.pop(id_) for id_ in params["Ids"] if id_ in rule.targets}
                self._late(rule, gone)
                return {"FailedEntryCount": 0, "FailedEntries": []}
            case "DeleteRule":
                present = self.rules.get(params["Name"])
                if present and present.targets:
                    raise ServiceError(
                        "ValidationException", "Rule can't be deleted since it has targets."
                    )
                if present and present.tick:
                    present.tick.cancel()
                self.rules.pop(params["Name"], None)
                return {}
        raise AssertionError(operation)

    def _existing(self, name: str) -> Rule:
        if name not in self.rules:
            raise ServiceError("ResourceNotFoundException", f"Rule {name} does not exist.")
        return self.rules[name]

    def _tick_later(self, rule: Rule, seconds: float) -> None:
        rule.tick = self._scheduler.after(seconds, lambda: self._fire(rule))

    def _fire(self, rule: Rule) -> None:
        for payload in list(rule.targets.values()):
            self.fired.append((self._scheduler.now, rule.request_id))
            self._invoke(payload, rule.name)
            if self._faults.hit("events: rule fires twice"):
                self._invoke(payload, rule.name)
        self._tick_later(rule, PERIOD)

    def _late(self, rule: Rule, removed: dict[str, str]) -> None:
        """A target that is gone may be invoked once more."""
        for payload in removed.values():
            if self._lag and self._faults.hit("events: rule fires after its removal"):
                self._scheduler.after(
                    self._rng.uniform(0, self._lag), partial(self._invoke, payload, rule.name)
                )
