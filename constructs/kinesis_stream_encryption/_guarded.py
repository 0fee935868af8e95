"""Which streams a guard checks."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from aws_cdk import aws_kinesis as kinesis

from kinesis_stream_encryption._arguments import check_argument, check_text
from kinesis_stream_encryption._tokens import resolved_or_none

__all__ = ["GuardedStreams", "check_tag"]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
# An environment variable contains the names, and Lambda limits all variables to 4 KB.
_MAX_NAMES_SIZE = 2_000


class GuardedStreams(NamedTuple):
    """The streams of an account and Region that a guard checks. Create it with one of the methods.

    Parameters
    ----------
    settings
        Selection of the streams, in the format that the function reads.
    names
        Names, or a name pattern, of the streams that the function has permission to describe.
    streams
        Stream constructs that were passed.
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
            Stream names, or streams in the account and Region of the guard.

        Raises
        ------
        TypeError
            If one is neither a string nor a stream.
        ValueError
            If there is no stream, if a name is malformed, if the number of names is known only at
            deployment, or if the names exceed 2,000 characters as JSON.
        """
        constructs = tuple(each for each in streams if not isinstance(each, str))
        for each in constructs:
            remedy = "names and streams one by one, as GuardedStreams.named(*streams)"
            check_argument("a stream", each, "stream_name", remedy)
        names = tuple(each if isinstance(each, str) else each.stream_name for each in streams)
        if not names:
            raise ValueError("no stream is named: pass stream names, or use GuardedStreams.all()")
        for name in names:
            if name.startswith("#{Token["):  # CDK encodes an unresolved list so
                raise ValueError(
                    "a list of names that is known only at deployment cannot be guarded: pass each "
                    "name by itself, or select the streams by prefix or tag"
                )
            _check("stream name", name)
        if len(json.dumps(names)) > _MAX_NAMES_SIZE:
            raise ValueError(
                f"the {len(names)} stream names exceed {_MAX_NAMES_SIZE} characters: select the "
                "streams by prefix or tag, or distribute them over several guards"
            )
        return cls({"names": list(names)}, names, constructs)

    @classmethod
    def prefixed(cls, prefix: str) -> GuardedStreams:
        """Select streams by a name prefix.

        Parameters
        ----------
        prefix
            Prefix of the stream names.

        Raises
        ------
        TypeError
            If it is not a string.
        ValueError
            If no stream name can have the prefix.
        """
        _check("prefix", prefix)
        return cls({"prefix": prefix}, (f"{prefix}*",))

    @classmethod
    def tagged(cls, key: str, value: str) -> GuardedStreams:
        """Select streams by a tag. A stream that loses it is reported once and is then exempt.

        Parameters
        ----------
        key, value
            Key and value of the tag.

        Raises
        ------
        TypeError
            If one of them is not a string.
        ValueError
            If the key does not have 1 to 128 characters, or if the value has more than 256.
        """
        check_tag(key, value)
        return cls({"tag": [key, value]})

    @classmethod
    def all(cls) -> GuardedStreams:
        """Select all streams in the account and Region of the guard."""
        return cls({})


def check_tag(key: str, value: str = "") -> None:
    """Raise TypeError or ValueError for a tag that no stream can have.

    Source: `Tag <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Tag.html>`_.
    """
    check_text("tag key", key)
    check_text(f"value of tag {key!r}", value)
    if resolved_or_none(key) is not None and not 1 <= len(key) <= 128:
        raise ValueError(f"malformed tag key {key!r}: it takes 1 to 128 characters")
    if resolved_or_none(value) is not None and len(value) > 256:
        raise ValueError(f"malformed value {value!r} of tag {key!r}: it takes up to 256 characters")


def _check(what: str, name: str) -> None:
    check_text(what, name)
    if resolved_or_none(name) is not None and _NAME.fullmatch(name) is None:
        raise ValueError(
            f"malformed {what} {name!r}: use 1 to 128 letters, digits, '_', '.', or '-'"
        )
