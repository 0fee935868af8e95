"""Checks of all streams, enqueued at a rate that leaves other callers their share of the quotas."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from stream_encryption.guard.finding import State, utc
from stream_encryption.guard.messages import Scan
from stream_encryption.guard.settings import Environment
from stream_encryption.guard.table import Table

CHECKS_PER_SECOND = 5
"""Of the 20 DescribeStreamSummary calls per second of an account in a Region."""

MAX_DELAY = 900
"""Longest delay of a message in SQS, in seconds."""

PAGE = 100
PAGES = CHECKS_PER_SECOND * MAX_DELAY // PAGE
"""Pages of stream names that one message enqueues."""

PAGE_INTERVAL = 0.4
"""Seconds between two ListStreams calls, of which an account has five per second in a Region."""

STEP_MARGIN = 10
"""Seconds after the last check at which a scan continues: the end of a scan counts its results."""

BATCH = 10
"""Messages of one SendMessageBatch."""


class NotEnqueuedError(Exception):
    """SQS rejected messages of a batch."""


class Scanner:
    """Enqueues checks of all streams."""

    def __init__(self, environment: Environment) -> None:
        self._settings, _, self._clock, self._client = environment
        self._table = Table(environment.client("dynamodb"), self._settings.table)

    def scan(self, message: Scan) -> Counter[State] | None:
        """Enqueue the checks of a quarter of an hour, and the message that continues after them.

        At the end of a scan, return the number of streams by state. Lambda stops a chain of
        messages after 16 invocations, enough for 58,000 streams.

        Source: Lambda developer guide, "Use Lambda recursive loop detection to prevent infinite
        loops".
        """
        message = message._replace(started=message.started or self._clock.now())
        if message.listed:
            return self._finish(message)
        exempt = self._tagged(self._settings.exempt_tag_key)
        checks: list[dict[str, Any]] = []
        after, listed = message.after, False
        for names, more in islice(self._pages(after), PAGES):
            after, listed = names[-1] if names else after, not more
            selected = filter(self._settings.selects, names)
            checks += [{"check": name, "exempt": name in exempt} for name in selected]
        self._enqueue(checks)
        step = message._replace(after=after, listed=listed)
        delay = min(len(checks) // CHECKS_PER_SECOND + STEP_MARGIN, MAX_DELAY)
        self._enqueue([{"scan": step._asdict()}], delay)
        return None

    def _finish(self, message: Scan) -> Counter[State]:
        """Check the streams of the table that were not listed: deleted, or without their tag."""
        counts = Counter(dict.fromkeys(State, 0))
        checks = []
        for item in self._table.scan():
            name, state = item.arn.split("/", 1)[1], State(item.state)
            if not self._settings.selects(name):
                continue
            counts[state] += 1
            is_open = state is not State.DELETED or item.is_due
            if is_open and item.checked < utc(message.started or 0):
                checks.append({"check": name, "exempt": None})
        self._enqueue(checks[: PAGES * PAGE])
        return counts

    def _pages(self, after: str) -> Iterator[tuple[list[str], bool]]:
        """Yield pages of the names that sort after one, each with whether more follow.

        Source: Kinesis API reference, ListStreams. Its tokens expire; a name does not.
        """
        names, tag = self._settings.names, self._settings.tag
        if names is not None or tag:
            found = names if names is not None else self._tagged(*tag or ())
            remaining = sorted(name for name in found if name > after)
            for first in range(0, max(len(remaining), 1), PAGE):
                yield remaining[first : first + PAGE], first + PAGE < len(remaining)
            return
        more = True
        while more:
            start = {"ExclusiveStartStreamName": after} if after else {}
            response = self._client("kinesis").list_streams(Limit=PAGE, **start)
            page, more = response["StreamNames"], response["HasMoreStreams"]
            yield page, more
            after = page[-1] if page else after
            self._clock.sleep(PAGE_INTERVAL)

    def _tagged(self, key: str | None, *values: str) -> set[str]:
        """Names of the streams with a tag.

        Source: Resource Groups Tagging API reference, GetResources.
        """
        if key is None:
            return set()
        paginator = self._client("resourcegroupstaggingapi").get_paginator("get_resources")
        pages = paginator.paginate(
            ResourceTypeFilters=["kinesis:stream"],
            TagFilters=[{"Key": key, "Values": list(values)}],
        )
        paths = [
            found["ResourceARN"].split("/")[1:]
            for page in pages
            for found in page["ResourceTagMappingList"]
        ]
        return {path[0] for path in paths if len(path) == 1}  # the others are stream consumers

    def _enqueue(self, bodies: list[dict[str, Any]], delay: int = 0) -> None:
        for first in range(0, len(bodies), BATCH):
            entries = [
                {
                    "Id": str(number),
                    "MessageBody": json.dumps(body),
                    "DelaySeconds": delay + number // CHECKS_PER_SECOND,
                }
                for number, body in enumerate(bodies[first : first + BATCH], start=first)
            ]
            queue = self._settings.queue
            response = self._client("sqs").send_message_batch(QueueUrl=queue, Entries=entries)
            if response.get("Failed"):
                raise NotEnqueuedError(f"SQS rejected messages of a scan: {response['Failed']}")
