"""The construct that encrypts a Kinesis data stream which CloudFormation does not own."""

from __future__ import annotations

from typing import cast

from aws_cdk import Annotations, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct

from kinesis_stream_encryption._access import StreamAccess
from kinesis_stream_encryption._grants import CONSUMER_ACTIONS, PRODUCER_ACTIONS, grant_key
from kinesis_stream_encryption._keys import stream_key
from kinesis_stream_encryption._streams import check_stream, claim_stream, target_stream
from kinesis_stream_encryption.provider import KinesisStreamEncryptionProvider

__all__ = ["RESOURCE_TYPE", "KinesisStreamEncryption"]

RESOURCE_TYPE = "Custom::KinesisStreamEncryption"

_ON_DELETE = {RemovalPolicy.RETAIN: "Retain", RemovalPolicy.DESTROY: "Restore"}

# CloudFormation waits one hour at most for a custom resource, of which the handler keeps the last
# minute for its answer.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
_SHORTEST_TIMEOUT = 60
_LONGEST_TIMEOUT = 59 * 60
_FOR_THE_ANSWER = Duration.minutes(1)


class KinesisStreamEncryption(Construct):
    """Server-side encryption of an existing Kinesis data stream with a KMS key.

    Deploying it encrypts the stream, or switches it to another key, and waits until records
    written from then on are encrypted. A stream that is encrypted with that key already is left
    alone. Constructs that depend on this one are deployed only after that.

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
        stream's region; it may belong to another account. Default: ``alias/aws/kinesis``, the
        key that Kinesis owns.
    removal_policy
        What happens when the resource is removed from the stack. ``RETAIN`` leaves the stream
        encrypted. ``DESTROY`` undoes what this resource did: a stream that it found unencrypted
        is so again. Default: ``RETAIN``.
    timeout
        How long a change may take, 1 to 59 minutes. A wait of more than 14 minutes goes on in
        further invocations of the function, which takes EventBridge rules. Default: 10 minutes.
    provider
        Provider of the custom resource. Default: the stack's own, see
        :meth:`KinesisStreamEncryptionProvider.get_or_create`.

    Raises
    ------
    ValueError
        If a value can be known at synth to fail: a malformed, foreign or doubly encrypted stream,
        a key that Kinesis cannot use, a removal policy or timeout out of bounds, a provider that
        is elsewhere or full.

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
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        timeout: Duration = Duration.minutes(10),
        provider: KinesisStreamEncryptionProvider | None = None,
    ) -> None:
        super().__init__(scope, id)
        on_delete = _on_delete(removal_policy)
        _check_timeout(timeout)
        stack = Stack.of(self)
        target = target_stream(stack, stream)
        check_stream(self, target)
        self._key = stream_key(stack, encryption_key)
        claim_stream(self, target)
        self._stream = stream
        admission = (provider or KinesisStreamEncryptionProvider.get_or_create(stack)).admit(
            self,
            StreamAccess(
                path=self.node.path,
                stream=target,
                key=self._key,
                may_stop=removal_policy is RemovalPolicy.DESTROY,
            ),
            timeout=timeout,
        )
        self._resource = CustomResource(
            self,
            # CloudFormation refuses to change the function behind a custom resource. Under
            # another id it replaces the resource, which changes nothing on a stream whose
            # encryption is retained.
            f"Resource{admission.shard or ''}",
            resource_type=RESOURCE_TYPE,
            service_token=admission.service_token,
            service_timeout=timeout.plus(_FOR_THE_ANSWER),
            properties={
                "StreamArn": target.arn,
                "KeyId": self._key.key_id,
                "EncryptionType": "KMS",
                "OnDelete": on_delete,
            },
        )
        self._resource.node.add_dependency(admission.requirement)

    @property
    def stream(self) -> kinesis.IStream:
        """The stream, as it was passed."""
        return self._stream

    @property
    def encryption_key(self) -> kms.IKey | None:
        """The key or alias; None for ``alias/aws/kinesis`` by default."""
        return self._key.construct

    @property
    def stream_arn(self) -> str:
        """ARN of the stream, known once it is encrypted."""
        return self._resource.get_att_string("StreamArn")

    @property
    def stream_name(self) -> str:
        """Name of the stream, known once it is encrypted."""
        return self._resource.get_att_string("StreamName")

    @property
    def stream_status(self) -> str:
        """Status that the stream was left in: ``ACTIVE``."""
        return self._resource.get_att_string("StreamStatus")

    @property
    def encryption_type(self) -> str:
        """Encryption that the stream has: ``KMS``."""
        return self._resource.get_att_string("EncryptionType")

    @property
    def key_id(self) -> str:
        """Key as Kinesis names it, in the form that it was given."""
        return self._resource.get_att_string("KeyId")

    @property
    def key_arn(self) -> str:
        """ARN of the key that encrypts the stream, also where an alias was given."""
        return self._resource.get_att_string("KeyArn")

    @property
    def changed(self) -> str:
        """``true`` if the latest deployment changed the stream's encryption, else ``false``."""
        return self._resource.get_att_string("Changed")

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow reading the stream's records, before it is encrypted.

        Covers the stream (as ``stream.grant_read``) and ``kms:Decrypt`` on the key, for records
        of this stream only. Records written under an earlier key stay encrypted with that one: a
        consumer needs the right to it until they have expired.

        Parameters
        ----------
        grantee
            Consumer, for example a role or a function.

        Returns
        -------
        aws_cdk.aws_iam.Grant
            Both grants in one.
        """
        return self._grant(self._stream.grant_read(grantee), grantee, CONSUMER_ACTIONS)

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow writing records to the stream, before it is encrypted.

        Covers the stream (as ``stream.grant_write``) and ``kms:GenerateDataKey`` on the key, for
        records of this stream only.

        Parameters
        ----------
        grantee
            Producer, for example a role or a function.

        Returns
        -------
        aws_cdk.aws_iam.Grant
            Both grants in one.
        """
        return self._grant(self._stream.grant_write(grantee), grantee, PRODUCER_ACTIONS)

    def grant_read_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow both reading and writing, before the stream is encrypted.

        Parameters
        ----------
        grantee
            Consumer and producer in one.

        Returns
        -------
        aws_cdk.aws_iam.Grant
            All grants in one.
        """
        return self._grant(
            self._stream.grant_read_write(grantee),
            grantee,
            [*CONSUMER_ACTIONS, *PRODUCER_ACTIONS],
        )

    def _grant(
        self, on_stream: iam.Grant, grantee: iam.IGrantable, actions: list[str]
    ) -> iam.Grant:
        on_key = grant_key(
            self, self._key, grantee, actions=actions, stream_arn=self._stream.stream_arn
        )
        self._wait_for(grantee.grant_principal)
        return on_stream.combine(on_key)

    def _wait_for(self, principal: iam.IPrincipal) -> None:
        """Encrypt only once the principal has its policies.

        Grant.apply_before would do, but fails for grants by the policy of a key.
        """
        if not hasattr(principal, "node"):
            return
        grantee = cast(IConstruct, principal)
        if Stack.of(grantee) is Stack.of(self):
            self._resource.node.add_dependency(grantee)
            return
        # The other stack may well refer to this one: waiting for it would be circular.
        Annotations.of(self).add_warning_v2(
            "cdk-kinesis-stream-encryption:grantElsewhere",
            f"{grantee.node.path!r} is in another stack, so the stream may be encrypted before "
            f"it has its rights to the key: deploy {Stack.of(grantee).stack_name!r} first",
        )


def _on_delete(removal_policy: RemovalPolicy) -> str:
    try:
        return _ON_DELETE[removal_policy]
    except KeyError:
        raise ValueError(
            f"removal policy {removal_policy.name} is not supported: use RemovalPolicy.RETAIN "
            "to leave the stream encrypted, or RemovalPolicy.DESTROY to undo what the resource did"
        ) from None


def _check_timeout(timeout: Duration) -> None:
    if timeout.is_unresolved():
        raise ValueError(
            "timeout is known only at deployment: it decides on the rights of the function; pass "
            "a fixed Duration"
        )
    if not _SHORTEST_TIMEOUT <= timeout.to_seconds() <= _LONGEST_TIMEOUT:
        raise ValueError(
            f"timeout {timeout.to_human_string()} is out of bounds: it must be between 1 minute "
            "and 59 minutes, since CloudFormation waits one hour at most"
        )
