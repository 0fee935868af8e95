"""The physical resource id: which stream, and whether this resource ended its plaintext.

Delete gets nothing else that this resource could write to, so what it has to know is in here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MARK = re.compile(r"(?P<stream>.*)#was-plaintext,created=(?P<created>[0-9]+)")


class PhysicalId(NamedTuple):
    """Id of a resource: the ARN of its stream, so that another stream means a replacement.

    Parameters
    ----------
    stream
        ARN of the stream; any other text for a request that names no stream.
    found_plaintext
        Creation time of the stream that this resource has found in plaintext and encrypted, in
        seconds since the epoch: a later stream of the same name is another one. None when it
        found a key.
    """

    stream: str
    found_plaintext: int | None = None

    @classmethod
    def parse(cls, text: str) -> PhysicalId:
        """Read an id as CloudFormation holds it."""
        mark = _MARK.fullmatch(text)
        return cls(mark["stream"], int(mark["created"])) if mark else cls(text)

    def __str__(self) -> str:
        if self.found_plaintext is None:
            return self.stream
        return f"{self.stream}#was-plaintext,created={self.found_plaintext}"
