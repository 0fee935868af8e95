"""Short scripts of API calls, to compare the simulated Kinesis with another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

KEYS = {
    "first": "arn:aws:kms:eu-central-1:000000000000:key/11111111-1111-4111-8111-111111111111",
    "second": "arn:aws:kms:eu-central-1:000000000000:key/22222222-2222-4222-8222-222222222222",
}


@dataclass(frozen=True)
class Step:
    """One step of a script.

    Parameters
    ----------
    method
        Method of the Kinesis client, or ``wait``: until the stream status is stable.
    key
        Name of the key; empty for none.
    """

    method: str
    key: str = ""


@dataclass(frozen=True)
class Script:
    """A named sequence of steps."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Observation:
    """Result of a step.

    Parameters
    ----------
    method
        Method of the step.
    error
        Its error code; empty for none.
    status, encryption, key
        The stream as described afterwards; all empty when there is none.
    """

    method: str
    error: str
    status: str = ""
    encryption: str = ""
    key: str = ""


class ScriptTarget(Protocol):
    """A Kinesis that can run a script."""

    def do(self, step: Step) -> str:
        """Perform a step and return its error code; empty for none."""

    def describe(self) -> tuple[str, str, str]:
        """Describe the stream: status, encryption type and key; all empty when there is none."""


def run_script(script: Script, target: ScriptTarget) -> Iterator[Observation]:
    """Run a script, and yield the result of each step."""
    for step in script.steps:
        error = target.do(step)
        yield Observation(step.method, error, *target.describe())


_CREATE, _DELETE, _WAIT = Step("create_stream"), Step("delete_stream"), Step("wait")


def _start(key: str) -> Step:
    return Step("start_stream_encryption", key)


def _stop(key: str) -> Step:
    return Step("stop_stream_encryption", key)


SCRIPTS = (
    Script("a stream is created and deleted", (_CREATE, _WAIT, _DELETE, _WAIT)),
    Script("encryption starts", (_CREATE, _WAIT, _start("first"), _WAIT)),
    Script(
        "another key",
        (_CREATE, _WAIT, _start("first"), _WAIT, _start("second"), _WAIT),
    ),
    Script(
        "the same key again is also a change",
        (_CREATE, _WAIT, _start("first"), _WAIT, _start("first"), _WAIT),
    ),
    Script(
        "encryption stops",
        (_CREATE, _WAIT, _start("first"), _WAIT, _stop("first"), _WAIT),
    ),
    Script(
        "no change during another one",
        (_CREATE, _WAIT, _start("first"), _start("second"), _stop("first"), _WAIT),
    ),
    Script("no change during creation", (_CREATE, _start("first"), _WAIT)),
    Script("no stream", (_start("first"), _stop("first"))),
    Script(
        "a new stream of the same name has nothing of the old one",
        (_CREATE, _WAIT, _start("first"), _WAIT, _DELETE, _WAIT, _CREATE, _WAIT),
    ),
)
