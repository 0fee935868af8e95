"""A custom resource event, parsed once into a typed request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from stream_encryption.aws.arn import AWS_MANAGED_KEY, Place, is_key_id
from stream_encryption.encryption.failure import Failure, FailureCode

MAX_SERVICE_TIMEOUT = 3600
"""Maximum and default seconds that CloudFormation waits for a response."""

_RESERVE = 60.0
_URL_VALIDITY = 7200
_PROPERTIES = {"StreamArn", "StreamName", "KeyId", "EncryptionType", "Revision"}
_SERVICE_PROPERTIES = {"ServiceToken", "ServiceTimeout"}
_MAX_SHOWN = 100

_URL = re.compile(r"https?://[^/?#]")
_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_STREAM_ARN = re.compile(
    r"arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/([a-zA-Z0-9_.-]{1,128})"
)
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")
_KMS_ARN = re.compile(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/(?P<key>.+)|(?P<alias>alias/.+))"
)

_STREAM_ARN_FORMAT = "a stream ARN such as arn:aws:kinesis:eu-central-1:111122223333:stream/orders"
_STREAM_NAME_FORMAT = "a stream name of 1 to 128 letters, digits, '_', '.', and '-'"
_KEY_FORMAT = (
    "a key ID, a key ARN, an alias ARN, an alias name that begins with alias/, or"
    f" {AWS_MANAGED_KEY}"
)


class Request(NamedTuple):
    """A Create or Update."""

    type: str
    stack_id: str
    logical_id: str
    stream_arn: str
    """The stream; also the physical resource ID."""
    key_id: str
    """The key identifier in the format of the property."""
    issued: float
    """When CloudFormation sent the request, in seconds since the epoch."""
    dated: bool
    """Whether that is CloudFormation's time, not the time of arrival."""
    timeout: int
    """Seconds after that time for which CloudFormation waits for the response."""

    @property
    def deadline(self) -> float:
        """End of the wait, in seconds since the epoch; the rest is reserved for the response."""
        return self.issued + self.timeout - min(_RESERVE, self.timeout / 2)


def can_respond(event: Mapping[str, Any]) -> bool:
    """Return whether the event contains a URL for the response."""
    url = event.get("ResponseURL")
    return isinstance(url, str) and _URL.match(url) is not None


def check_envelope(event: Any) -> None:
    """Check the part of an event that the response requires.

    Source: CloudFormation User Guide, "Custom resource request objects".

    Raises
    ------
    Failure
        If a field is missing or malformed.
    """
    if not isinstance(event, Mapping):
        raise _malformed(f"it is {_shown(event)}")
    # Provider of CDK calls its handlers without a usable URL.
    if not can_respond(event):
        raise _malformed(f"ResponseURL is {_shown(event.get('ResponseURL'))}, not an HTTP URL")
    names = ["RequestType", "StackId", "RequestId", "LogicalResourceId"]
    if event.get("RequestType") == "Update":
        names.append("PhysicalResourceId")
    for name in names:
        if not isinstance(event.get(name), str) or not event[name]:
            raise _malformed(f"{name} is {_shown(event.get(name))}")
    if event["RequestType"] not in {"Create", "Update", "Delete"}:
        raise _malformed(f"RequestType is {_shown(event['RequestType'])}")


def parse(event: Mapping[str, Any], here: Place, issued: float) -> Request:
    """Parse a Create or Update, sent at ``issued``, from an event with a valid envelope.

    The stream must be in the place of the function: ``here``.

    Raises
    ------
    Failure
        With property, value, and remedy.
    """
    properties = event.get("ResourceProperties")
    if not isinstance(properties, Mapping):
        raise _malformed(f"ResourceProperties is {_shown(properties)}")
    for name, value in properties.items():
        if name not in _PROPERTIES | _SERVICE_PROPERTIES:
            known = ", ".join(sorted(_PROPERTIES))
            raise Failure(
                FailureCode.UNKNOWN_PROPERTY, name=_shown(name), value=_shown(value), known=known
            )
    stream_arn = _stream_arn(properties, here)
    _check_encryption_type(properties, stream_arn)
    return Request(
        type=event["RequestType"],
        stack_id=event["StackId"],
        logical_id=event["LogicalResourceId"],
        stream_arn=stream_arn,
        key_id=_key_id(properties, stream_arn, here),
        issued=issued,
        dated=signing_time(event) is not None,
        timeout=_timeout(event),
    )


def issue_time(event: Mapping[str, Any], arrival: float) -> float:
    """Return when CloudFormation signed the response URL; the arrival if the URL has no date."""
    signed = signing_time(event)
    return arrival if signed is None else min(signed, arrival)


def signing_time(event: Mapping[str, Any]) -> float | None:
    """Return when CloudFormation signed the response URL; None if the URL has no date.

    Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters", for
    signature version 4. A URL of version 2 contains the end of its validity, which is two hours.
    """
    try:
        query = parse_qs(urlsplit(event["ResponseURL"]).query)
        if "X-Amz-Date" in query:
            date = datetime.strptime(query["X-Amz-Date"][0] + "+0000", "%Y%m%dT%H%M%SZ%z")
            return date.timestamp()
        return int(query["Expires"][0]) - _URL_VALIDITY
    except (KeyError, ValueError):
        return None


def timeout_of(event: Mapping[str, Any]) -> int:
    """Return the seconds that CloudFormation waits for the response; the default if malformed."""
    try:
        return _timeout(event)
    except Failure:
        return MAX_SERVICE_TIMEOUT


def _timeout(event: Mapping[str, Any]) -> int:
    """Return ServiceTimeout: at the top level of a Create, in the properties of an Update."""
    properties = event.get("ResourceProperties")
    places = [event, properties if isinstance(properties, Mapping) else {}]
    timeouts = [MAX_SERVICE_TIMEOUT]
    for value in (place["ServiceTimeout"] for place in places if "ServiceTimeout" in place):
        text = str(value)
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_SERVICE_TIMEOUT:
            expected = f"a whole number of seconds from 1 to {MAX_SERVICE_TIMEOUT}"
            raise _invalid("ServiceTimeout", value, expected)
        timeouts.append(int(text))
    return min(timeouts)


def _stream_arn(properties: Mapping[str, Any], here: Place) -> str:
    arn, name = properties.get("StreamArn"), properties.get("StreamName")
    if arn is not None and name is not None:
        raise Failure(FailureCode.STREAM_AMBIGUOUS, arn=_shown(arn), name=_shown(name))
    if arn is None and name is None:
        raise Failure(FailureCode.MISSING_PROPERTY, name="StreamArn", expected=_STREAM_ARN_FORMAT)
    if name is not None:
        return here.arn(
            "kinesis", f"stream/{_matching('StreamName', name, _STREAM_NAME, _STREAM_NAME_FORMAT)}"
        )
    arn = _matching("StreamArn", arn, _STREAM_ARN, _STREAM_ARN_FORMAT)
    place = Place.of(arn)
    if place != here:
        raise Failure(FailureCode.STREAM_ELSEWHERE, stream=arn, where=place, here=here)
    return arn


def _key_id(properties: Mapping[str, Any], stream_arn: str, here: Place) -> str:
    value = properties.get("KeyId")
    if value is None:
        raise Failure(FailureCode.MISSING_PROPERTY, name="KeyId", expected=_KEY_FORMAT)
    if not isinstance(value, str):
        raise _invalid("KeyId", value, _KEY_FORMAT)
    arn = _KMS_ARN.fullmatch(value)
    alias = (arn["alias"] if arn else value) or ""
    if value == AWS_MANAGED_KEY.removeprefix("alias/"):
        raise _invalid("KeyId", value, f"{AWS_MANAGED_KEY}, with the prefix alias/")
    if alias.startswith("alias/aws/") and alias != AWS_MANAGED_KEY:
        raise _invalid(
            "KeyId",
            value,
            f"a customer managed key or {AWS_MANAGED_KEY}: Kinesis cannot use the AWS managed keys"
            " of other services",
        )
    if not (is_key_id((arn["key"] or "") if arn else value) or _ALIAS.fullmatch(alias)):
        raise _invalid("KeyId", value, _KEY_FORMAT)
    if arn:
        where = Place.of(value)
        if (where.partition, where.region) != (here.partition, here.region):
            raise Failure(
                FailureCode.KEY_ELSEWHERE, key=value, where=where, stream=stream_arn, here=here
            )
    return value


def _check_encryption_type(properties: Mapping[str, Any], stream_arn: str) -> None:
    value = properties.get("EncryptionType", "KMS")
    if value == "NONE":
        raise Failure(FailureCode.ENCRYPTION_NONE, stream=stream_arn)
    if value != "KMS":
        raise _invalid("EncryptionType", value, "KMS, the only type that Kinesis supports")


def _matching(name: str, value: object, pattern: re.Pattern[str], expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _invalid(name, value, expected)
    return value


def _malformed(detail: str) -> Failure:
    return Failure(FailureCode.INVALID_EVENT, detail=detail)


def _invalid(name: str, value: object, expected: str) -> Failure:
    return Failure(FailureCode.INVALID_PROPERTY, name=name, value=_shown(value), expected=expected)


def _shown(value: object) -> str:
    """Show a value in ASCII, truncated."""
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}... ({len(text)} characters)"
