"""Looks at all streams, enqueued at a pace that leaves others their share of the quotas."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from stream_encryption.guard.finding import State, utc
from stream_encryption.guard.messages import Sweep
from stream_encryption.guard.settings import Surroundings
from stream_encryption.guard.table import Table

LOOKS_A_SECOND = 5
"""Of the 20 calls of DescribeStreamSummary a second that region and account have."""

LONGEST_DELAY = 900
"""Seconds for which SQS delays a message at most."""

PAGE = 100
PAGES = LOOKS_A_SECOND * LONGEST_DELAY // PAGE
"""Pages of stream names that one message is good for."""

BETWEEN_PAGES = 0.4
"""Seconds between two calls of ListStreams, of which region and account have five a second."""

BATCH = 10
"""Messages of one SendMessageBatch."""


class NotEnqueued(Exception):
    """SQS has not taken all messages of a batch."""


class Sweeper:
    """Enqueues looks at all streams."""

    def __init__(self, world: Surroundings) -> None:
        self._settings, _, self._clock, self._client = world
        self._table = Table(world.client("dynamodb"), world.settings.table)

    def sweep(self, message: Sweep) -> Counter[State] | None:
        """Enqueue a quarter of an hour's looks, and the message that goes on after them.

        At the end of a sweep, give the number of streams by state. Lambda stops a chain of
        messages after 16 invocations, which is good for 60,000 streams.

        Source: Lambda developer guide, "Use Lambda recursive loop detection to prevent infinite
        loops".
        """
        message = message._replace(began=message.began or self._clock.now())
        if message.listed:
            return self._finish(message)
        exempt = self._tagged(self._settings.exempt_tag)
        looks: list[dict[str, Any]] = []
        after, listed = message.after, False
        for names, more in islice(self._pages(after), PAGES):
            after, listed = names[-1] if names else after, not more
            covered = filter(self._settings.cover, names)
            looks += [{"look": name, "exempt": name in exempt} for name in covered]
        self._enqueue(looks)
        step = message._replace(after=after, listed=listed)
        self._enqueue([{"sweep": step._asdict()}], delay=len(looks) // LOOKS_A_SECOND)
        return None

    def _finish(self, message: Sweep) -> Counter[State]:
        """Look at what is known but was not listed: it is gone, or has lost its tag."""
        counts = Counter(dict.fromkeys(State, 0))
        looks = []
        for item in self._table.scan():
            name, state = item.arn.split("/", 1)[1], item.finding.state
            if not self._settings.cover(name):
                continue
            counts[state] += 1
            is_open = state is not State.GONE or item.untold
            if is_open and item.seen < utc(message.began or 0):
                looks.append({"look": name, "exempt": None})
        self._enqueue(looks[: PAGES * PAGE])
        return counts

    def _pages(self, after: str) -> Iterator[tuple[list[str], bool]]:
        """Give the names after one in pages, each with whether more follow.

        Source: Kinesis API reference, ListStreams. Its tokens do not last; a name does.
        """
        names, tag = self._settings.names, self._settings.tag
        if names is not None or tag:
            found = names if names is not None else self._tagged(*tag or ())
            left = sorted(name for name in found if name > after)
            for first in range(0, max(len(left), 1), PAGE):
                yield left[first : first + PAGE], first + PAGE < len(left)
            return
        more = True
        while more:
            start = {"ExclusiveStartStreamName": after} if after else {}
            answer = self._client("kinesis").list_streams(Limit=PAGE, **start)
            page, more = answer["StreamNames"], answer["HasMoreStreams"]
            yield page, more
            after = page[-1] if page else after
            self._clock.sleep(BETWEEN_PAGES)

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
        named = [
            found["ResourceARN"].split("/")[1:]
            for page in pages
            for found in page["ResourceTagMappingList"]
        ]
        return {names[0] for names in named if len(names) == 1}  # and not a stream's consumers

    def _enqueue(self, bodies: list[dict[str, Any]], delay: int = 0) -> None:
        for first in range(0, len(bodies), BATCH):
            entries = [
                {
                    "Id": str(number),
                    "MessageBody": json.dumps(body),
                    "DelaySeconds": delay + number // LOOKS_A_SECOND,
                }
                for number, body in enumerate(bodies[first : first + BATCH], start=first)
            ]
            queue = self._settings.queue
            answer = self._client("sqs").send_message_batch(QueueUrl=queue, Entries=entries)
            if answer.get("Failed"):
                raise NotEnqueued(f"SQS refused part of a sweep: {answer['Failed']}")
