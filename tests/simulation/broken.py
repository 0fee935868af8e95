"""A product with a deliberate defect, which breaks one invariant and has to be caught.

Such products show that the checks can fail. Each defect is common in similar tools. It is injected
from outside, by changing the results and effects of calls, so it does not depend on the code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from stream_encryption.runtime import Runtime

Method = Callable[..., dict[str, Any]]
Make = TypeVar("Make")


@dataclass(frozen=True)
class Broken(Generic[Make]):
    """A handler or guard with one defect.

    Parameters
    ----------
    invariant
        Letter of the invariant that the defect breaks.
    name
        The defect.
    make
        Makes the function.
    """

    invariant: str
    name: str
    make: Make

    def __str__(self) -> str:
        return f"{self.invariant}-{self.name}".replace(" ", "-")


class _Client:
    """A client with one method replaced."""

    def __init__(self, client: Any, method: str, call: Method) -> None:
        self._client = client
        setattr(self, method, call)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def replaced(
    runtime: Runtime, service: str, method: str, replace: Callable[[Method], Method]
) -> Runtime:
    """Replace a method of a service's client."""

    def client(name: str) -> Any:
        real = runtime.client(name)
        if name != service:
            return real
        return _Client(real, method, replace(getattr(real, method)))

    return runtime._replace(client=client)
