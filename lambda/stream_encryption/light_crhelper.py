"""crhelper without what it brings along and this function never uses.

crhelper imports boto3, and makes three clients for each resource: together more than all else that
a cold start does. Both serve its polling, for which `custom_resource` makes a client when a wait
needs one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import TypeVar

__all__ = ["FAILED", "SUCCESS", "CfnResource", "no_clients"]

_V = TypeVar("_V")


@contextmanager
def _set(mapping: MutableMapping[str, _V], name: str, value: _V) -> Iterator[None]:
    """Set an entry for as long as the block lasts."""
    before = mapping.get(name)
    mapping[name] = value
    try:
        yield
    finally:
        del mapping[name]
        if before is not None:
            mapping[name] = before


def no_clients() -> AbstractContextManager[None]:
    """Make no clients in the block: crhelper believes that it runs in SAM, on a laptop."""
    return _set(os.environ, "AWS_SAM_LOCAL", "true")


with _set(sys.modules, "boto3", sys.modules.get("boto3", ModuleType("boto3"))):
    from crhelper import FAILED, SUCCESS, CfnResource
