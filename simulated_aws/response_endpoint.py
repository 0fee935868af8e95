"""Response endpoint: presigned URLs of S3, from which CloudFormation reads the responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from simulated_aws.stage import Stage

if TYPE_CHECKING:
    from simulated_aws.lambda_service import Invocation

VALIDITY = 7200
SECRET = "presigned-url"
"""A value that must appear in the URL only, and that is part of nothing else, such as a key ID."""
ERROR_STATUSES = {"503": 503, "500": 500, "429": 429, "refusing": 403}


@dataclass(frozen=True)
class Outage:
    """A time in which the endpoint does not work.

    Parameters
    ----------
    kind
        ``503``, ``500``, ``429``, ``refusing`` (403), ``unreachable``, or ``slow``.
    begins, ends
        In seconds since the epoch.
    """

    kind: str
    begins: float
    ends: float


@dataclass
class Put:
    """An attempt to send a response.

    Parameters
    ----------
    request_id, invocation, body
        Request, sender, and content of the response.
    began, ended
        When the attempt started and ended; None until then.
    accepted
        When the endpoint accepted it; None when it did not.
    status
        HTTP status that the sender received; None when it received none.
    """

    request_id: str
    invocation: Invocation
    body: bytes
    began: float
    ended: float | None = None
    accepted: float | None = None
    status: int | None = None


class ResponseEndpoint:
    """Accepts responses.

    Parameters
    ----------
    stage
        Clock, journal, and faults.
    outages
        When and how it does not work.
    signature
        How its URLs are signed: ``V4`` (with the date), ``V2`` (with the end of their validity) or
        ``opaque`` (with neither, as another endpoint may do).
    rng
        Source of latencies.
    """

    def __init__(
        self,
        stage: Stage,
        outages: tuple[Outage, ...],
        signature: str,
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._outages = outages
        self._signature = signature
        self._rng = rng
        self._signed: dict[str, tuple[str, float]] = {}
        self.puts: list[Put] = []
        self.on_accept: Callable[[Put], None] = lambda put: None

    def sign(self, request_id: str) -> str:
        """Create the URL for the response to a request."""
        now = self._scheduler.now
        match self._signature:
            case "V4":
                date = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
                query = (
                    f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Expires={VALIDITY}"
                    f"&X-Amz-Signature={SECRET}"
                )
            case "V2":
                query = f"AWSAccessKeyId=AKIA&Expires={int(now) + VALIDITY}&Signature={SECRET}"
            case _:
                query = f"token={SECRET}"
        bucket = "cloudformation-custom-resource-response-eucentral1.s3.amazonaws.com"
        url = f"https://{bucket}/{request_id}?{query}"
        self._signed[url] = (request_id, now)
        return url

    def put(self, url: str, body: bytes, timeout: float, invocation: Invocation) -> int:
        """Handle a PUT request and return the status; OSError when none arrives in time."""
        request_id, signed = self._signed[url]
        put = Put(request_id, invocation, body, self._scheduler.now)
        self.puts.append(put)
        try:
            put.status = self._receive(put, signed, timeout)
            return put.status
        finally:
            put.ended = self._scheduler.now
            self._journal.note(str(invocation), "PUT", put.status or "no response", body.decode())

    def _receive(self, put: Put, signed: float, timeout: float) -> int:
        scheduler, faults = self._scheduler, self._faults
        scheduler.sleep(self._rng.uniform(0.005, 0.1))
        outage = self._current_outage()
        if outage == "unreachable" or faults.hit("endpoint: connection failed"):
            raise OSError("connection refused")
        if outage == "slow" or faults.hit("endpoint: slow"):
            scheduler.sleep(timeout - 0.01)
            if self._rng.random() < 0.5:
                raise OSError("timed out")
            put.accepted = scheduler.now
            self.on_accept(put)
            scheduler.sleep(0.01)
            raise OSError("timed out, but accepted")
        if outage in ERROR_STATUSES:
            return ERROR_STATUSES[outage]
        if faults.hit("endpoint: server error"):
            return self._rng.choice((500, 503))
        if scheduler.now > signed + VALIDITY:
            faults.count("endpoint: URL expired")
            return 403
        put.accepted = scheduler.now
        self.on_accept(put)
        if faults.hit("endpoint: response lost"):
            raise OSError("connection reset")
        scheduler.sleep(self._rng.uniform(0.005, 0.1))
        return 200

    def _current_outage(self) -> str:
        now = self._scheduler.now
        for outage in self._outages:
            if outage.begins <= now < outage.ends:
                self._faults.count(f"endpoint: {outage.kind} for a while")
                return outage.kind
        return ""
