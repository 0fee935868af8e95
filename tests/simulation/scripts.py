"""Short stories of a stream, to be told to the simulated Kinesis and to another one alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

KEYS = {
    "first": "arn:aws:kms:eu-central-1:000000000000:key/11111111-1111-4111-8111-111111111111",
    "second": "arn:aws:kms:eu-central-1:000000000000:key/22222222-2222-4222-8222-222222222222",
}


@dataclass(frozen=True)
class Step:
    """One thing that is done to the stream.

    Parameters
    ----------
    method
        Of Kinesis' client; ``settle`` waits until the stream changes no more.
    key
        Which key it is about; empty for none.
    """

    method: str
    key: str = ""


@dataclass(frozen=True)
class Script:
    """A story: what is done, in order."""

    name: str
    steps: tuple[Step, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class Seen:
    """What is seen after a step.

    Parameters
    ----------
    method
        What was done.
    error
        Error code that it ended with; empty for none.
    status, encryption, key
        The stream as described afterwards; all empty when there is none.
    """

    method: str
    error: str
    status: str = ""
    encryption: str = ""
    key: str = ""


class Telling(Protocol):
    """A Kinesis that a script can be told to."""

    def do(self, step: Step) -> str:
        """Take a step and give the error code that it ended with; empty for none."""

    def look(self) -> tuple[str, str, str]:
        """Describe the stream: status, encryption type and key; all empty when there is none."""


def tell(script: Script, kinesis: Telling) -> Iterator[Seen]:
    """Tell a script, and give what is seen after each step."""
    for step in script.steps:
        error = kinesis.do(step)
        yield Seen(step.method, error, *kinesis.look())


_CREATE, _DELETE, _SETTLE = Step("create_stream"), Step("delete_stream"), Step("settle")


def _start(key: str) -> Step:
    return Step("start_stream_encryption", key)


def _stop(key: str) -> Step:
    return Step("stop_stream_encryption", key)


SCRIPTS = (
    Script("a stream is created and deleted", (_CREATE, _SETTLE, _DELETE, _SETTLE)),
    Script("encryption begins", (_CREATE, _SETTLE, _start("first"), _SETTLE)),
    Script(
        "another key",
        (_CREATE, _SETTLE, _start("first"), _SETTLE, _start("second"), _SETTLE),
    ),
    Script(
        "the same key again is a change, too",
        (_CREATE, _SETTLE, _start("first"), _SETTLE, _start("first"), _SETTLE),
    ),
    Script(
        "encryption ends",
        (_CREATE, _SETTLE, _start("first"), _SETTLE, _stop("first"), _SETTLE),
    ),
    Script(
        "no change while another is under way",
        (_CREATE, _SETTLE, _start("first"), _start("second"), _stop("first"), _SETTLE),
    ),
    Script("no change while it is created", (_CREATE, _start("first"), _SETTLE)),
    Script("no stream", (_start("first"), _stop("first"))),
    Script(
        "a new stream of the same name has nothing of the old one",
        (_CREATE, _SETTLE, _start("first"), _SETTLE, _DELETE, _SETTLE, _CREATE, _SETTLE),
    ),
)
