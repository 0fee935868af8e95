"""A custom resource event, parsed once into a typed request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

from stream_encryption.arn import AWS_OWNED_ALIAS, Place, is_key_id
from stream_encryption.failure import Cause, Failure

RequestType = Literal["Create", "Update", "Delete"]

LONGEST_TIMEOUT = 3600
"""Seconds that CloudFormation waits for an answer at most, and by default."""

_RESERVE = 60.0
_SERVICE_PROPERTIES = {"ServiceToken", "ServiceTimeout"}
_PROPERTIES = {"StreamArn", "StreamName", "KeyId", "EncryptionType", "OnDelete"}
_AIM = ("StreamArn", "StreamName", "KeyId")
_MAX_SHOWN = 100

_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_STREAM_ARN = re.compile(
    r"arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/([a-zA-Z0-9_.-]{1,128})"
)
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")
_KMS_ARN = re.compile(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/(?P<key>.+)|(?P<alias>alias/.+))"
)

_STREAM_ARN_FORM = "a stream ARN such as arn:aws:kinesis:eu-central-1:111122223333:stream/orders"
_STREAM_NAME_FORM = "a stream name of 1 to 128 letters, digits, '_', '.' and '-'"
_KEY_FORM = (
    "a key id, a key ARN, an alias ARN, an alias name that begins with alias/, or"
    f" {AWS_OWNED_ALIAS}"
)


class Request(NamedTuple):
    """What CloudFormation asks for.

    Parameters
    ----------
    type
        ``Create``, ``Update`` or ``Delete``.
    stack_id, logical_id
        Which resource.
    physical_id
        Id that CloudFormation holds; empty for ``Create``.
    stream_arn, stream_name, place
        The stream, and where it is.
    key_id
        The key in the user's spelling.
    aims_anew
        Whether stream or key are others than in the request before; true for ``Create``.
    issued
        When CloudFormation sent the request, in seconds since the epoch.
    service_timeout
        Seconds from ``issued`` that CloudFormation waits for the answer.
    """

    type: RequestType
    stack_id: str
    logical_id: str
    physical_id: str
    stream_arn: str
    stream_name: str
    place: Place
    key_id: str
    aims_anew: bool
    issued: float
    service_timeout: int

    @property
    def deadline(self) -> float:
        """End of the wait, in seconds since the epoch: the rest is for the answer."""
        return self.expiry - min(_RESERVE, self.service_timeout / 2)

    @property
    def expiry(self) -> float:
        """When CloudFormation has given the request up, in seconds since the epoch."""
        return self.issued + self.service_timeout


def check_envelope(event: Any) -> None:
    """Check the part of an event that carries the answer back.

    Source: CloudFormation user guide, "Custom resource request objects".

    Raises
    ------
    Failure
        When a field is missing or of a wrong type.
    """
    if not isinstance(event, Mapping):
        raise Failure(Cause.INVALID_EVENT, detail=f"it is {_shown(event)}")
    texts = ["RequestType", "ResponseURL", "StackId", "RequestId", "LogicalResourceId"]
    if event.get("RequestType") in ("Update", "Delete"):
        texts.append("PhysicalResourceId")
    for name in texts:
        if not isinstance(event.get(name), str) or not event[name]:
            raise Failure(Cause.INVALID_EVENT, detail=f"{name} is {_shown(event.get(name))}")
    if event["RequestType"] not in {"Create", "Update", "Delete"}:
        raise Failure(Cause.INVALID_EVENT, detail=f"RequestType is {_shown(event['RequestType'])}")


def parse(event: Mapping[str, Any], here: Place, now: float) -> Request:
    """Read a request off an event whose envelope is sound.

    Parameters
    ----------
    event
        The custom resource event.
    here
        Where the function runs, which is where the stream has to be.
    now
        Seconds since the epoch.

    Raises
    ------
    Failure
        Naming property, value and remedy.
    """
    properties = event.get("ResourceProperties")
    if not isinstance(properties, Mapping):
        raise Failure(Cause.INVALID_EVENT, detail=f"ResourceProperties is {_shown(properties)}")
    for name, value in properties.items():
        if name not in _PROPERTIES | _SERVICE_PROPERTIES:
            known = ", ".join(sorted(_PROPERTIES))
            raise Failure(
                Cause.UNKNOWN_PROPERTY, name=_shown(name), value=_shown(value), known=known
            )
    stream_arn = _stream_arn(properties, here)
    place = Place.of(stream_arn)
    _check_encryption_type(properties, stream_arn)
    _check_on_delete(properties)
    return Request(
        type=cast(RequestType, event["RequestType"]),
        stack_id=event["StackId"],
        logical_id=event["LogicalResourceId"],
        physical_id=event.get("PhysicalResourceId", ""),
        stream_arn=stream_arn,
        stream_name=stream_arn.split("/", 1)[1],
        place=place,
        key_id=_key_id(properties, stream_arn, place),
        aims_anew=any(_old(event).get(name) != properties.get(name) for name in _AIM),
        issued=issued(event, now),
        service_timeout=_service_timeout(properties),
    )


def issued(event: Mapping[str, Any], now: float) -> float:
    """When CloudFormation signed the answer's URL; now for a URL without that date.

    Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters".
    """
    try:
        date = parse_qs(urlsplit(event["ResponseURL"]).query)["X-Amz-Date"][0]
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return now
    return min(signed.timestamp(), now)


def expiry(event: Mapping[str, Any], now: float) -> float:
    """When CloudFormation gives the request up, however malformed it is."""
    properties = event.get("ResourceProperties")
    try:
        timeout = _service_timeout(properties if isinstance(properties, Mapping) else {})
    except Failure:
        timeout = LONGEST_TIMEOUT
    return issued(event, now) + timeout


def _stream_arn(properties: Mapping[str, Any], here: Place) -> str:
    arn, name = properties.get("StreamArn"), properties.get("StreamName")
    if arn is not None and name is not None:
        raise Failure(Cause.STREAM_AMBIGUOUS, arn=_shown(arn), name=_shown(name))
    if arn is None and name is None:
        raise Failure(Cause.MISSING_PROPERTY, name="StreamArn", expected=_STREAM_ARN_FORM)
    if name is not None:
        return here.arn(
            "kinesis", f"stream/{_matching('StreamName', name, _STREAM_NAME, _STREAM_NAME_FORM)}"
        )
    arn = _matching("StreamArn", arn, _STREAM_ARN, _STREAM_ARN_FORM)
    place = Place.of(arn)
    if place != here:
        raise Failure(Cause.STREAM_ELSEWHERE, stream=arn, where=place, here=here)
    return arn


def _key_id(properties: Mapping[str, Any], stream_arn: str, place: Place) -> str:
    value = properties.get("KeyId")
    if value is None:
        raise Failure(Cause.MISSING_PROPERTY, name="KeyId", expected=_KEY_FORM)
    if not isinstance(value, str):
        raise _invalid("KeyId", value, _KEY_FORM)
    arn = _KMS_ARN.fullmatch(value)
    alias = (arn["alias"] if arn else value) or ""
    if value == AWS_OWNED_ALIAS.removeprefix("alias/"):
        raise _invalid("KeyId", value, f"{AWS_OWNED_ALIAS}, with its alias/")
    if alias.startswith("alias/aws/") and alias != AWS_OWNED_ALIAS:
        raise _invalid(
            "KeyId",
            value,
            f"a key of your own or {AWS_OWNED_ALIAS}: keys that AWS owns"
            " for other services refuse Kinesis",
        )
    sound = is_key_id((arn["key"] or "") if arn else value) or _ALIAS.fullmatch(alias)
    if not sound:
        raise _invalid("KeyId", value, _KEY_FORM)
    if arn:
        where = Place.of(value)
        if (where.partition, where.region) != (place.partition, place.region):
            raise Failure(
                Cause.KEY_ELSEWHERE, key=value, where=where, stream=stream_arn, here=place
            )
    return value


def _check_encryption_type(properties: Mapping[str, Any], stream_arn: str) -> None:
    value = properties.get("EncryptionType", "KMS")
    if value == "NONE":
        raise Failure(Cause.ENCRYPTION_NONE, stream=stream_arn)
    if value != "KMS":
        raise _invalid("EncryptionType", value, "KMS, the only type that Kinesis has")


def _check_on_delete(properties: Mapping[str, Any]) -> None:
    value = properties.get("OnDelete", "Retain")
    if value not in ("Retain", "Restore"):
        raise _invalid("OnDelete", value, "Retain or Restore")


def _old(event: Mapping[str, Any]) -> Mapping[str, Any]:
    old = event.get("OldResourceProperties")
    return old if isinstance(old, Mapping) else {}


def _service_timeout(properties: Mapping[str, Any]) -> int:
    expected = f"a whole number of seconds from 1 to {LONGEST_TIMEOUT}"
    value = str(properties.get("ServiceTimeout", LONGEST_TIMEOUT))
    if not re.fullmatch(r"[0-9]{1,4}", value) or not 1 <= int(value) <= LONGEST_TIMEOUT:
        raise _invalid("ServiceTimeout", properties["ServiceTimeout"], expected)
    return int(value)


def _matching(name: str, value: object, pattern: re.Pattern[str], expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _invalid(name, value, expected)
    return value


def _invalid(name: str, value: object, expected: str) -> Failure:
    return Failure(Cause.INVALID_PROPERTY, name=name, value=_shown(value), expected=expected)


def _shown(value: object) -> str:
    """Show a value in ASCII, and no more of it than tells it apart."""
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}... ({len(text)} characters)"
