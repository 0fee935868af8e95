"""Which streams a guard looks at."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from kinesis_stream_encryption._tokens import known

__all__ = ["GuardedStreams", "check_tag"]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
# An environment variable of the function has them, and Lambda lets all of them have 4 KB.
_NAMES = 2_000


class GuardedStreams(NamedTuple):
    """Which streams of region and account are guarded: made by one of the methods.

    Parameters
    ----------
    settings
        The choice, as the function is told it.
    names
        Names, or a pattern of names, that the function may look at.
    """

    settings: dict[str, Any]
    names: tuple[str, ...] = ("*",)

    @classmethod
    def named(cls, *names: str) -> GuardedStreams:
        """Choose streams by their names.

        Parameters
        ----------
        names
            Their names.

        Raises
        ------
        ValueError
            If there is none, one is malformed, or they have more than 2,000 characters as JSON.
        """
        if not names:
            raise ValueError("no stream is named: use GuardedStreams.all() to guard every one")
        for name in names:
            _check("stream name", name)
        if len(json.dumps(names)) > _NAMES:
            raise ValueError(
                f"{len(names)} names of streams have more than {_NAMES} characters: choose them by "
                "prefix or tag, or give some of them a guard of their own"
            )
        return cls({"names": list(names)}, names)

    @classmethod
    def prefixed(cls, prefix: str) -> GuardedStreams:
        """Choose streams by the beginning of their names.

        Parameters
        ----------
        prefix
            What their names begin with.

        Raises
        ------
        ValueError
            If no stream's name begins so.
        """
        _check("prefix", prefix)
        return cls({"prefix": prefix}, (f"{prefix}*",))

    @classmethod
    def tagged(cls, key: str, value: str) -> GuardedStreams:
        """Choose streams by a tag; one that loses it is reported once, and exempt from then on.

        Parameters
        ----------
        key, value
            The tag's key and value.

        Raises
        ------
        ValueError
            If the key has not 1 to 128 characters, or the value more than 256.
        """
        check_tag(key, value)
        return cls({"tag": [key, value]})

    @classmethod
    def all(cls) -> GuardedStreams:
        """Choose every stream of region and account."""
        return cls({})


def check_tag(key: str, value: str = "") -> None:
    """Raise ValueError for a tag that no stream can have.

    Source: `Tag <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Tag.html>`_.
    """
    if known(key) is not None and not 1 <= len(key) <= 128:
        raise ValueError(f"malformed tag key {key!r}: it takes 1 to 128 characters")
    if known(value) is not None and len(value) > 256:
        raise ValueError(f"malformed value {value!r} of tag {key!r}: it takes up to 256 characters")


def _check(what: str, name: str) -> None:
    if known(name) is not None and _NAME.fullmatch(name) is None:
        raise ValueError(
            f"malformed {what} {name!r}: it takes 1 to 128 letters, digits, '_', '.' and '-'"
        )
