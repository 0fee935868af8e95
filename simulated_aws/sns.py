"""Simulated SNS: the guard's topic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulated_aws.service import Params, arn, string_attributes

TOPIC = arn("sns", "guard")


@dataclass
class Publication:
    """A notification, and when it came out."""

    when: float
    subject: str
    text: str
    state: str

    @property
    def lines(self) -> dict[str, str]:
        """Values of its lines, by their titles."""
        pairs = (line.partition(": ") for line in self.text.splitlines() if ": " in line)
        return {title: value for title, _, value in pairs}

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self.lines["Stream"].split("/")[1]


class Sns:
    """The topic."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.published: list[Publication] = []

    def serve(self, operation: str, params: Params) -> dict[str, Any]:
        """Carry Publish out."""
        assert operation == "Publish"
        assert params["TopicArn"] == TOPIC
        subject = params["Subject"]
        assert len(subject) <= 100
        assert subject.isascii()
        state = string_attributes(params["MessageAttributes"])["state"]
        self.published.append(Publication(self._now(), subject, params["Message"], state))
        return {"MessageId": "x"}
