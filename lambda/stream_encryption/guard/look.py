"""One look at one stream: look, compare, tell."""

from __future__ import annotations

from botocore.exceptions import ClientError

from stream_encryption.aws.arn import key_arn
from stream_encryption.aws.errors import AwsError, Kind
from stream_encryption.aws.kinesis import Stream, StreamDescription
from stream_encryption.aws.kms import Kms
from stream_encryption.encryption.encrypt import GRACE as SHOWN_LATE
from stream_encryption.encryption.encrypt import KMS_CONSISTENCY
from stream_encryption.guard.finding import DRIFT, Finding, State, judge
from stream_encryption.guard.item import Item
from stream_encryption.guard.messages import CREATE, STOP, Cause, Hopeless, Look, NotYet
from stream_encryption.guard.notification import notification
from stream_encryption.guard.settings import Surroundings
from stream_encryption.guard.table import Table

GRACE = 600.0
"""Seconds for which drift lasts before it is told, unless StopStreamEncryption was called.

CloudFormation and Terraform create a stream in plaintext first and encrypt it then.
"""

LEASE = 100.0
"""Seconds after which an invocation that began to tell has ended: more than its timeout."""

AT_REST = 3.0
"""Seconds before the end of a deployment in which it changes no stream and not this function.

The handler waits for five after a stream is changed, CloudFormation for a function's update.
"""


class Looker:
    """Looks at streams, and tells."""

    def __init__(self, world: Surroundings) -> None:
        self._settings, self._place, self._clock, self._client = world
        self._table = Table(world.client("dynamodb"), world.settings.table)
        wanted = world.settings.key
        self._wanted = key_arn(wanted, world.place) if wanted else None

    def look(self, message: Look) -> Item | None:
        """Look at a stream; None when it is none of the guarded.

        What it is described to be decides: the event only says who it was, and how long to wait.

        Raises
        ------
        NotYet
            When there is nothing to be seen yet, or to be told.
        Hopeless
            When the wanted key is an alias that does not exist.
        AwsError, botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError
            When a call fails.
        """
        began = self._clock.now()
        arn = self._place.arn("kinesis", f"stream/{message.name}")
        known = self._table.get(arn)
        if known and known.is_being_told(began, LEASE):
            raise NotYet("another invocation tells of the stream")
        # Described after the item was read: nobody who wrote it has seen a later state.
        description = Stream(self._client("kinesis"), arn).describe()
        if description and description.status in {"CREATING", "UPDATING"}:
            if known and known.since and known.finding.state is State.PLAINTEXT:
                # It is being encrypted: if it is found in plaintext again, it was stopped since.
                self._table.put(known._replace(since=""), began)
            raise NotYet(f"the stream is {description.status}")
        cause = _cause(message.cause, description)
        finding = self._finding(message, known, description)
        may_be_late = cause and not (finding and cause.leads_to(finding))
        if cause and may_be_late and began < cause.time + SHOWN_LATE:
            raise NotYet("the stream may still be shown as it was")
        if finding is None:
            return None
        item = (known or Item(arn, finding)).observed(finding, self._clock.now(), cause)
        item = self._table.put(item, self._clock.now())
        if item.untold:
            self._tell(item, cause, began)
        return item

    def _finding(
        self, message: Look, known: Item | None, description: StreamDescription | None
    ) -> Finding | None:
        if description is None or description.status == "DELETING":
            return Finding(State.GONE, "", known.finding.created) if known else None

        def judged(exempt: bool) -> Finding:
            key, place = self._settings.key, self._place
            return judge(description, key, place, self._resolve, exempt=exempt)

        if message.exempt is not None:
            finding = judged(message.exempt)
            is_new = (
                finding != known.finding or known.untold
                if known
                else finding.state is not State.AS_WANTED
            )
            if not is_new:
                return finding
        # What a sweep found of tags may be over: nothing is told, or exempt, because of it.
        exempt = self._is_exempt(message.name)
        return None if exempt and self._settings.tag and not known else judged(exempt)

    def _is_exempt(self, name: str) -> bool:
        if not (self._settings.tag or self._settings.exempt_tag):
            return False
        tags: dict[str, str] = {}
        more = True
        while more:
            start = {"ExclusiveStartTagKey": [*tags][-1]} if tags else {}
            page = self._client("kinesis").list_tags_for_stream(StreamName=name, Limit=50, **start)
            tags |= {tag["Key"]: tag.get("Value", "") for tag in page["Tags"]}
            more = page["HasMoreTags"]
        return self._settings.exempt(tags)

    def _resolve(self, alias_arn: str) -> str | None:
        try:
            return Kms(lambda: self._client("kms")).describe(alias_arn).arn
        except AwsError as error:
            if error.kind is Kind.NOT_FOUND and alias_arn == self._wanted:
                reason = f"the wanted key {alias_arn} does not exist"
                raise Hopeless(reason, patience=KMS_CONSISTENCY) from error
            if error.kind in {Kind.NOT_FOUND, Kind.DENIED, Kind.DENIED_EXPLICITLY}:
                return None
            raise

    def _tell(self, item: Item, cause: Cause | None, began: float) -> None:
        """Tell once: the item says so before and after; after a crash in between, tell again."""
        stacks = self._client("cloudformation").describe_stacks(StackName=self._settings.stack)
        status = stacks["Stacks"][0]["StackStatus"]
        if not status.endswith("_COMPLETE"):
            raise NotYet(f"the guard's own stack is {status}")
        if self._clock.now() - began > AT_REST:
            raise NotYet("a deployment may have ended since the stream was looked at")
        state = item.finding.state
        stopped = cause is not None and cause.call == STOP and state is State.PLAINTEXT
        left = GRACE - item.age(self._clock.now())
        if state in DRIFT and not stopped and left > 0:
            raise NotYet("it may be the first half of a deployment", left)
        telling = self._table.put(item.being_told(self._clock.now()), self._clock.now())
        if self._settings.topic:
            text = notification(item, self._settings.key)
            try:
                self._client("sns").publish(TopicArn=self._settings.topic, **text)
            except ClientError as error:
                # Of several attempts, one without an answer may have come out.
                if not error.response["ResponseMetadata"].get("RetryAttempts"):
                    self._table.put(telling._replace(telling=item.telling), self._clock.now())
                raise
        self._table.put(telling.as_told(), self._clock.now())


def _cause(cause: Cause | None, description: StreamDescription | None) -> Cause | None:
    """Leave out a call that was about an earlier stream of that name."""
    # A stream is created somewhat later than CreateStream is called.
    margin = 60 if cause and cause.call == CREATE else 1
    if cause and description and cause.time + margin < description.created:
        return None
    return cause
