"""The construct that encrypts a Kinesis data stream which CloudFormation does not own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct

from kinesis_stream_encryption._grants import CONSUME, PRODUCE, KeyGrant
from kinesis_stream_encryption._keys import require_lasting, stream_key
from kinesis_stream_encryption._streams import check_stream, claim_stream, target_stream
from kinesis_stream_encryption.provider import KinesisStreamEncryptionProvider

__all__ = ["RESOURCE_TYPE", "KinesisStreamEncryption"]

RESOURCE_TYPE = "Custom::KinesisStreamEncryption"

# CloudFormation waits one hour at most for a custom resource, of which the handler keeps the last
# minute for its answer.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
_SHORTEST_TIMEOUT = 60
_LONGEST_TIMEOUT = 59 * 60
_FOR_THE_ANSWER = 60
# Lambda ends an invocation after 15 minutes; the last one is for the answer to CloudFormation.
_LONGEST_INVOCATION = 14 * 60


class KinesisStreamEncryption(Construct):
    """Server-side encryption of an existing Kinesis data stream with a KMS key.

    Deploying it encrypts the stream, or switches it to another key, and waits until records
    written from then on are encrypted. A stream that is encrypted with that key already is left
    alone. Constructs that depend on this one are deployed only after that. Removing it leaves the
    stream encrypted.

    Parameters
    ----------
    scope
        Parent construct.
    id
        Id within the parent.
    stream
        Stream of the stack's own account and region, usually from
        ``kinesis.Stream.from_stream_arn``. A stream that this app owns is better encrypted by
        its own ``encryption`` property, so it gets a warning.
    encryption_key
        Key or alias: ``kms.Key``, ``kms.Key.from_key_arn``, ``kms.Key.from_lookup``,
        ``kms.Alias``, ``kms.Alias.from_alias_name``. It must be symmetric, enabled and in the
        stream's region; it may belong to another account. A key of the app must outlive its
        stack. Default: ``alias/aws/kinesis``, the AWS managed key.
    previous_keys
        Keys that the stream had before: whoever is granted to read keeps ``kms:Decrypt`` on them,
        for the records that are still encrypted with them. Drop a key from the list one retention
        period after the switch, in a deployment of its own. Default: none.
    timeout
        How long a change may take, 1 to 59 minutes. A wait of more than 14 minutes goes on in
        further invocations of the function, which it is allowed to make. Default: 10 minutes.
    revision
        Any text; another one than in the last deployment has the stream looked at again, and its
        key put back if somebody has changed it: CloudFormation sends nothing to a resource whose
        properties are the same. Default: none.
    provider
        Provider of the custom resource, of the same stack. Default: the stack's own, see
        :meth:`KinesisStreamEncryptionProvider.get_or_create`.

    Raises
    ------
    ValueError
        If a value can be known at synth to fail: a malformed, foreign or doubly encrypted stream,
        a key that Kinesis cannot use, a timeout out of bounds, a provider of another stack.
        Synthesis fails if a key of the app, also a previous one, would be deleted with its stack.

    Notes
    -----
    What Kinesis does: `StartStreamEncryption
    <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>`_.

    Examples
    --------
    >>> stream = kinesis.Stream.from_stream_arn(stack, "Orders", orders_arn)
    >>> KinesisStreamEncryption(stack, "Encryption", stream=stream, encryption_key=key)
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stream: kinesis.IStream,
        encryption_key: kms.IKey | None = None,
        previous_keys: Sequence[kms.IKey] = (),
        timeout: Duration = Duration.minutes(10),
        revision: str | None = None,
        provider: KinesisStreamEncryptionProvider | None = None,
    ) -> None:
        super().__init__(scope, id)
        seconds = _seconds(timeout)
        stack = Stack.of(self)
        target = target_stream(stack, stream)
        check_stream(self, target)
        self._stream = stream
        self._key = stream_key(stack, encryption_key)
        self._previous_keys = [stream_key(stack, key) for key in previous_keys]
        require_lasting(self, self._key, *self._previous_keys)
        claim_stream(self, target)
        self._provider = provider or KinesisStreamEncryptionProvider.get_or_create(stack)
        rights = self._provider._allow(  # noqa: SLF001
            stack,
            stream=target.literal_arn,
            key=self._key.arn,
            alias=self._key.alias,
            long_wait=seconds > _LONGEST_INVOCATION,
        )
        self._resource = CustomResource(
            self,
            self._provider._resource_id,  # noqa: SLF001
            resource_type=RESOURCE_TYPE,
            service_token=self._provider.service_token,
            service_timeout=_service_timeout(seconds),
            properties={
                "StreamArn": target.arn,
                "KeyId": self._key.key_id,
                "EncryptionType": "KMS",
                **({} if revision is None else {"Revision": revision}),
            },
        )
        self._resource.node.add_dependency(*rights)

    @property
    def stream(self) -> kinesis.IStream:
        """The stream, as it was passed."""
        return self._stream

    @property
    def encryption_key(self) -> kms.IKey | None:
        """The key or alias; None for ``alias/aws/kinesis`` by default."""
        return self._key.construct

    @property
    def provider(self) -> KinesisStreamEncryptionProvider:
        """The provider of the custom resource, with its function, role and log group."""
        return self._provider

    @property
    def stream_arn(self) -> str:
        """ARN of the stream, known once it is encrypted."""
        return self._resource.get_att_string("StreamArn")

    @property
    def stream_name(self) -> str:
        """Name of the stream, known once it is encrypted."""
        return self._resource.get_att_string("StreamName")

    @property
    def key_arn(self) -> str:
        """ARN of the key that encrypts the stream, also where an alias was given."""
        return self._resource.get_att_string("KeyArn")

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow reading the stream's records; the right to the key is there before it is applied.

        Covers the stream (as ``stream.grant_read``) and ``kms:Decrypt`` on the key and on the
        previous keys, for records of this stream only.

        Parameters
        ----------
        grantee
            Consumer, for example a role or a function.
        """
        return self._grant(self._stream.grant_read(grantee), grantee, [CONSUME])

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow writing records to the stream; the right to the key is there before it is applied.

        Covers the stream (as ``stream.grant_write``) and ``kms:GenerateDataKey`` on the key, for
        records of this stream only.

        Parameters
        ----------
        grantee
            Producer, for example a role or a function.
        """
        return self._grant(self._stream.grant_write(grantee), grantee, [PRODUCE])

    def grant_read_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow both reading and writing; the right to the key is there before it is applied.

        Parameters
        ----------
        grantee
            Consumer and producer in one.
        """
        return self._grant(self._stream.grant_read_write(grantee), grantee, [CONSUME, PRODUCE])

    def _grant(
        self, on_stream: iam.Grant, grantee: iam.IGrantable, actions: list[str]
    ) -> iam.Grant:
        on_keys = KeyGrant(self, self._resource, self._stream.stream_arn, grantee)
        grant = on_stream
        for action in actions:
            grant = grant.combine(on_keys.give(self._key, action))
            for key in self._previous_keys:
                on_keys.keep(key, action)
        return grant


# Most streams have the same timeout, and a Duration is asked in another process.
@lru_cache
def _seconds(timeout: Duration) -> int:
    if timeout.is_unresolved():
        raise ValueError(
            "timeout is known only at deployment: it decides on the rights of the function; pass "
            "a fixed Duration"
        )
    seconds = int(timeout.to_seconds())
    if not _SHORTEST_TIMEOUT <= seconds <= _LONGEST_TIMEOUT:
        raise ValueError(
            f"timeout {timeout.to_human_string()} is out of bounds: it must be between 1 minute "
            "and 59 minutes, since CloudFormation waits one hour at most"
        )
    return seconds


@lru_cache
def _service_timeout(seconds: int) -> Duration:
    return Duration.seconds(seconds + _FOR_THE_ANSWER)
