"""Handlers that are broken on purpose: each breaks one invariant, and has to be caught.

They show that the checks can fail. What is broken is what such handlers get wrong in the wild.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from stream_encryption import handler as handler_module
from stream_encryption.answer import Put
from stream_encryption.handler import Handler
from stream_encryption.kms import Key, Keys
from stream_encryption.lifecycle import Lifecycle, Outcome
from stream_encryption.runtime import Runtime
from stream_encryption.wanted_key import WantedKey

MakeHandler = Callable[[Runtime], Handler]


@dataclass(frozen=True)
class BrokenHandler:
    """A handler with one fault.

    Parameters
    ----------
    invariant
        Letter of the invariant that the fault breaks.
    name
        What is wrong with it.
    breaking
        Makes such handlers for as long as the block lasts.
    """

    invariant: str
    name: str
    breaking: Callable[[], Any]

    def __str__(self) -> str:
        return f"{self.invariant}-{self.name}".replace(" ", "-")


@contextmanager
def _takes_any_status_for_delivered() -> Iterator[MakeHandler]:
    """As crhelper does: whatever the endpoint says, the answer counts as delivered."""

    def careless(put: Put) -> Put:
        def send(url: str, body: bytes, timeout: float) -> int:
            put(url, body, timeout)
            return 200

        return send

    yield lambda runtime: Handler(runtime._replace(put=careless(runtime.put)))


@contextmanager
def _believes_the_status() -> Iterator[MakeHandler]:
    """ACTIVE is taken for the end: the seconds until all records are encrypted are not waited."""
    with patch.object(Lifecycle, "_settled", lambda self, found: True):
        yield Handler


@contextmanager
def _looks_at_the_status_only() -> Iterator[MakeHandler]:
    """As Terraform does: a stream that is ACTIVE and encrypted is right, with whichever key."""
    with patch.object(WantedKey, "encrypts", lambda self, found: found.key_id is not None):
        yield Handler


@contextmanager
def _keeps_the_end_of_reasons() -> Iterator[MakeHandler]:
    """As crhelper does: of a long reason, the last 240 characters are told."""

    def cut(put: Put) -> Put:
        def send(url: str, body: bytes, timeout: float) -> int:
            answer = json.loads(body)
            if len(answer["Reason"]) > 256:
                answer["Reason"] = f"ERROR: (truncated) {answer['Reason'][-240:]}"
            return put(url, json.dumps(answer).encode(), timeout)

        return send

    yield lambda runtime: Handler(runtime._replace(put=cut(runtime.put)))


@contextmanager
def _stops_whatever_it_finds() -> Iterator[MakeHandler]:
    """Delete means plaintext, whoever encrypted the stream and whenever."""

    def restore(self: Lifecycle) -> Outcome:
        found = self._look()
        if found and found.status == "ACTIVE" and found.key_id:
            self._stop(found)
        return Outcome(self._request.physical_id, attributes={})

    with (
        patch.object(Lifecycle, "_restore", restore),
        patch.object(
            handler_module,
            "undoes",
            lambda event: event["ResourceProperties"].get("OnDelete") == "Restore",
        ),
    ):
        yield Handler


@contextmanager
def _compares_spellings() -> Iterator[MakeHandler]:
    """A key is taken for another one when it is spelt in another form."""

    def same(self: Keys, one: str, other: str, resolve: Callable[[str], Key | None]) -> bool:
        return one == other

    with patch.object(Keys, "same", same):
        yield Handler


@contextmanager
def _never_looks_at_the_key() -> Iterator[MakeHandler]:
    """Whether a key is any good is left to Kinesis to find out."""

    def check(self: WantedKey) -> None:
        self._checked = self._clock.now()

    with patch.object(WantedKey, "check", check):
        yield Handler


@contextmanager
def _leaves_its_rules() -> Iterator[MakeHandler]:
    """A rule that has served its turn stays."""

    class Forgetful:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        def remove_targets(self, **_: Any) -> dict[str, Any]:
            return {}

        def delete_rule(self, **_: Any) -> dict[str, Any]:
            return {}

    def make(runtime: Runtime) -> Handler:
        def client(service: str) -> Any:
            real = runtime.client(service)
            return Forgetful(real) if service == "events" else real

        return Handler(runtime._replace(client=client))

    yield make


@contextmanager
def _logs_the_url() -> Iterator[MakeHandler]:
    """As crhelper does at its default log level."""

    def make(runtime: Runtime) -> Handler:
        def send(url: str, body: bytes, timeout: float) -> int:
            runtime.write(f"CFN response URL: {url}")
            return runtime.put(url, body, timeout)

        return Handler(runtime._replace(put=send))

    yield make


BROKEN_HANDLERS = (
    BrokenHandler("a", "takes any status for delivered", _takes_any_status_for_delivered),
    BrokenHandler("b", "believes the status", _believes_the_status),
    BrokenHandler("b", "looks at the status only", _looks_at_the_status_only),
    BrokenHandler("c", "keeps the end of reasons", _keeps_the_end_of_reasons),
    BrokenHandler("d", "stops whatever it finds", _stops_whatever_it_finds),
    BrokenHandler("e", "compares spellings", _compares_spellings),
    BrokenHandler("e", "never looks at the key", _never_looks_at_the_key),
    BrokenHandler("f", "leaves its rules", _leaves_its_rules),
    BrokenHandler("g", "logs the URL", _logs_the_url),
)
