"""Simulated CloudTrail and EventBridge: events of calls, on their way to the guard's queue."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random

from simulated_aws.service import arn
from simulated_aws.sqs import QUEUE, Sqs
from simulated_aws.stage import Stage

LATEST_EVENT = 3600.0
"""Seconds by which an event is late at most."""


@dataclass
class Event:
    """An event of CloudTrail: of which call, and when it came to the queue, if it did."""

    call: str
    stream: str
    caller: str
    time: float
    named: bool = True
    delivered: list[float] = field(default_factory=list)


class Trail:
    """CloudTrail's events on their way to the queue of each guard: best effort."""

    def __init__(self, stage: Stage, queues: list[Sqs], rng: Random) -> None:
        self._stage = stage
        self._queues = queues
        self._rng = rng
        self.events: list[Event] = []

    def record(self, call: str, stream: str, caller: str, **parameters: str) -> None:
        """Deliver the event of a call some time later, in one of the forms that occur."""
        rng, hit, now = self._rng, self._stage.faults.hit, self._stage.scheduler.now
        event = Event(call, stream, caller, now)
        self.events.append(event)
        if hit("trail: lost"):
            return
        lag = rng.uniform(0.5, 20)
        if hit("trail: hours late"):
            lag = rng.uniform(600, LATEST_EVENT)
        elif hit("trail: minutes late"):
            lag = rng.uniform(60, 900)
        by_arn = call in {"TagResource", "UntagResource"} or rng.random() < 0.3
        name = "resourceARN" if call in {"TagResource", "UntagResource"} else "streamARN"
        named = {name: arn("kinesis", f"stream/{stream}")} if by_arn else {"streamName": stream}
        event.named = not hit("trail: without parameters")
        when = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        detail = {
            "eventSource": "kinesis.amazonaws.com",
            "eventName": call,
            "eventTime": when,
            "userIdentity": {"type": "AssumedRole", "arn": f"arn:aws:sts::1:{caller}"},
            "requestParameters": parameters | named if event.named else None,
        }
        body = json.dumps({"source": "aws.kinesis", "detail": detail})
        for _ in range(2 if hit("trail: twice") else 1):
            self._stage.scheduler.after(lag, partial(self._deliver, event, body))
            lag += rng.uniform(0, 60)

    def _deliver(self, event: Event, body: str) -> None:
        event.delivered.append(self._stage.scheduler.now)
        for sqs in self._queues:
            sqs.send(QUEUE, body)
