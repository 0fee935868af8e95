"""Where answers arrive: an Amazon S3 bucket of the local AWS, as CloudFormation's are.

The emulator sends what CDK's Node functions put to this machine to its own S3 and nowhere else.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Self

from local_aws import LocalAws

_BUCKET = "bench-answers"
_INTERVAL = 0.02


class Mailbox:
    """Notes when which answer came, to within a look's interval, the same for all peers."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._s3 = aws.client("s3")
        self._arrived = threading.Condition()
        self._times: dict[str, float] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._s3.create_bucket(
            Bucket=_BUCKET,
            CreateBucketConfiguration={"LocationConstraint": self._aws.region},
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def url(self, name: str) -> str:
        """URL to which the answer of that name is to be put.

        It has no date: ours would ask about an older request at the emulated CloudFormation, which
        knows nothing of it.
        """
        return f"{self._aws.endpoint_url}/{_BUCKET}/{name}"

    def answer(self, name: str, *, seconds: float) -> tuple[float, dict[str, Any]]:
        """Wait for an answer, and return when it came (`time.monotonic`) and what it says.

        Raises
        ------
        TimeoutError
            When none came in time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: name in self._times, seconds):
                raise TimeoutError(f"no answer within {seconds:g} s")
        body = self._s3.get_object(Bucket=_BUCKET, Key=name)["Body"].read()
        self._s3.delete_object(Bucket=_BUCKET, Key=name)
        return self._times[name], json.loads(body)

    def _watch(self) -> None:
        while not self._closed.wait(_INTERVAL):
            found = self._s3.list_objects_v2(Bucket=_BUCKET).get("Contents", [])
            now = time.monotonic()
            with self._arrived:
                for each in found:
                    self._times.setdefault(each["Key"], now)
                self._arrived.notify_all()
