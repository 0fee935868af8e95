"""Which streams a guard checks."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from aws_cdk import aws_kinesis as kinesis

from kinesis_stream_encryption._tokens import known

__all__ = ["GuardedStreams", "check_tag"]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
# An environment variable of the function contains them, and Lambda limits all of them to 4 KB.
_NAMES = 2_000


class GuardedStreams(NamedTuple):
    """Which streams of an account in a Region are guarded: returned by one of the methods.

    Parameters
    ----------
    settings
        The selection, as the function reads it.
    names
        Names, or a pattern of names, that the function is allowed to describe.
    streams
        Constructs that were passed.
    """

    settings: dict[str, Any]
    names: tuple[str, ...] = ("*",)
    streams: tuple[kinesis.IStream, ...] = ()

    @classmethod
    def named(cls, *streams: str | kinesis.IStream) -> GuardedStreams:
        """Select streams by name.

        Parameters
        ----------
        streams
            Names of streams, or streams of the guard's account and Region.

        Raises
        ------
        ValueError
            If there is none, a name is malformed, how many there are is known only at deployment,
            or the names have more than 2,000 characters as JSON.
        """
        names = tuple(each if isinstance(each, str) else each.stream_name for each in streams)
        if not names:
            raise ValueError("no stream is named: use GuardedStreams.all() to guard every one")
        for name in names:
            if name.startswith("#{Token["):  # how CDK encodes a list
                raise ValueError(
                    "a list of names that is known only at deployment cannot be guarded: pass each "
                    "name by itself, or select the streams by prefix or tag"
                )
            _check("stream name", name)
        if len(json.dumps(names)) > _NAMES:
            raise ValueError(
                f"{len(names)} names of streams have more than {_NAMES} characters: select them by "
                "prefix or tag, or give some of them a guard of their own"
            )
        constructs = tuple(each for each in streams if not isinstance(each, str))
        return cls({"names": list(names)}, names, constructs)

    @classmethod
    def prefixed(cls, prefix: str) -> GuardedStreams:
        """Select streams by the beginning of their names.

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
        """Select streams by a tag; one that loses it is reported once, and exempt from then on.

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
        """Select every stream of the account in the Region."""
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
