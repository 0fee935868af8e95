"""The answer endpoint: presigned URLs of S3, behind which CloudFormation reads the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.stage import Stage

if TYPE_CHECKING:
    from tests.simulation.lambda_service import Invocation

VALIDITY = 7200
SECRET = "presigned-url"
"""What must be seen nowhere but in the URL, and is no part of anything else, such as a key ID."""
ERROR_STATUSES = {"503": 503, "500": 500, "429": 429, "refusing": 403}


@dataclass(frozen=True)
class Trouble:
    """A time in which the endpoint doesn't work.

    Parameters
    ----------
    kind
        ``503``, ``500``, ``429``, ``refusing`` (403), ``unreachable`` or ``slow``.
    begins, ends
        In seconds since the epoch.
    """

    kind: str
    begins: float
    ends: float


@dataclass
class Put:
    """An attempt to answer.

    Parameters
    ----------
    request_id, invocation, body
        What was answered, by whom, how.
    began, ended
        When the attempt was made and was over; None while it is not.
    accepted
        When the endpoint took it; None when it did not.
    status
        HTTP status that came back; None when none did.
    """

    request_id: str
    invocation: Invocation
    body: bytes
    began: float
    ended: float | None = None
    accepted: float | None = None
    status: int | None = None


class Endpoint:
    """Takes answers.

    Parameters
    ----------
    stage
        Time, memory and mishaps.
    troubles
        When it doesn't work, and how.
    signature
        How its URLs are signed: ``V4`` (with the date), ``V2`` (with the end of their validity) or
        ``opaque`` (with neither, as an endpoint of one's own may have it).
    rng
        Source of latencies.
    """

    def __init__(
        self,
        stage: Stage,
        troubles: tuple[Trouble, ...],
        signature: str,
        rng: Random,
    ) -> None:
        self._scheduler = stage.scheduler
        self._journal = stage.journal
        self._faults = stage.faults
        self._troubles = troubles
        self._signature = signature
        self._rng = rng
        self._signed: dict[str, tuple[str, float]] = {}
        self.puts: list[Put] = []
        self.take: Callable[[Put], None] = lambda put: None

    def sign(self, request_id: str) -> str:
        """Make a URL for the answer to a request."""
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
        """Take a body by PUT and give the status; OSError when none comes in time."""
        request_id, signed = self._signed[url]
        put = Put(request_id, invocation, body, self._scheduler.now)
        self.puts.append(put)
        try:
            put.status = self._travel(put, signed, timeout)
            return put.status
        finally:
            put.ended = self._scheduler.now
            self._journal.note(str(invocation), "PUT", put.status or "no answer", body.decode())

    def _travel(self, put: Put, signed: float, timeout: float) -> int:
        scheduler, faults = self._scheduler, self._faults
        scheduler.sleep(self._rng.uniform(0.005, 0.1))
        trouble = self._trouble()
        if trouble == "unreachable" or faults.hit("endpoint: connection failed"):
            raise OSError("connection refused")
        if trouble == "slow" or faults.hit("endpoint: slow"):
            scheduler.sleep(timeout - 0.01)
            if self._rng.random() < 0.5:
                raise OSError("timed out")
            put.accepted = scheduler.now
            self.take(put)
            scheduler.sleep(0.01)
            raise OSError("timed out, but taken")
        if trouble in ERROR_STATUSES:
            return ERROR_STATUSES[trouble]
        if faults.hit("endpoint: server error"):
            return self._rng.choice((500, 503))
        if scheduler.now > signed + VALIDITY:
            faults.count("endpoint: URL expired")
            return 403
        put.accepted = scheduler.now
        self.take(put)
        if faults.hit("endpoint: answer lost"):
            raise OSError("connection reset")
        scheduler.sleep(self._rng.uniform(0.005, 0.1))
        return 200

    def _trouble(self) -> str:
        now = self._scheduler.now
        for trouble in self._troubles:
            if trouble.begins <= now < trouble.ends:
                self._faults.count(f"endpoint: {trouble.kind} for a while")
                return trouble.kind
        return ""
