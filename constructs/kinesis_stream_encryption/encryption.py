"""The construct that encrypts a Kinesis data stream that CloudFormation does not own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import cast

import jsii
from aws_cdk import Aspects, CfnResource, CustomResource, Duration, IAspect, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct

from kinesis_stream_encryption._arguments import check_argument
from kinesis_stream_encryption._grants import (
    DECRYPT,
    GENERATE_DATA_KEY,
    KeyGrants,
    check_grantee,
    key_actions,
)
from kinesis_stream_encryption._key_access import warn_of_missing_key_access
from kinesis_stream_encryption._keys import require_retained_keys, stream_key
from kinesis_stream_encryption._stream_interface import StreamInterface
from kinesis_stream_encryption._streams import check_stream, register_stream, target_stream
from kinesis_stream_encryption.provider import KinesisStreamEncryptionProvider

__all__ = ["RESOURCE_TYPE", "KinesisStreamEncryption"]

RESOURCE_TYPE = "Custom::KinesisStreamEncryption"

# CloudFormation waits at most one hour for a custom resource, and the handler reserves the last
# minute for its response.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
_MIN_TIMEOUT = 60
_MAX_TIMEOUT = 59 * 60
_DEFAULT_TIMEOUT = 10 * 60
_RESPONSE_RESERVE = 60
# Lambda ends an invocation after 15 minutes; its last minute is reserved for the response.
_MAX_INVOCATION = 14 * 60


@jsii.implements(kinesis.IStream)
class KinesisStreamEncryption(StreamInterface, Construct):
    """Server-side encryption of an existing Kinesis data stream with a KMS key.

    A deployment encrypts the stream, or switches it to another key, and waits until new records are
    encrypted with that key. A stream that is already encrypted with the key is not modified.
    Deleting the resource leaves the stream encrypted.

    The construct is an ``IStream``: pass it to an integration (event source, rule target,
    subscription filter, Firehose source) in place of the stream, so that the principal of the
    integration also gets access to the key.

    Parameters
    ----------
    scope
        Parent construct.
    id
        Construct ID.
    stream
        Stream in the account and Region of the stack, usually from
        ``kinesis.Stream.from_stream_arn``. For a stream that this app owns, use its own
        ``encryption`` property instead; the construct warns about such a stream.
    encryption_key
        Key or alias: ``kms.Key``, ``kms.Key.from_key_arn``, ``kms.Key.from_lookup``,
        ``kms.Alias``, ``kms.Alias.from_alias_name``. It must be a symmetric encryption key that is
        enabled, in the Region of the stream; another account may own it. A key of the app must be
        retained when its stack is deleted. To switch a stream that is in use, deploy twice: first
        list the new key in ``previous_keys``, then pass it here and list the previous one. Then a
        rollback keeps the records readable that were written with the new key. Default:
        ``alias/aws/kinesis``, the AWS managed key.
    previous_keys
        Further keys that grantees with read access can decrypt with: previous keys of the stream,
        for one retention period after the switch, and the next key before a switch. Remove a key
        from the list in a separate deployment. Default: none.
    timeout
        Maximum duration of a change, 1 to 59 minutes. A wait of more than 14 minutes continues in
        new invocations of the function, which then gets permission to invoke itself. Default: 10
        minutes.
    revision
        Any text. A value that differs from the previous deployment forces an update, which applies
        the key again if another caller has changed it. Default: none.
    provider
        Provider of the custom resource, in the same stack. Default: the provider of the stack, see
        :meth:`KinesisStreamEncryptionProvider.get_or_create`.

    Raises
    ------
    TypeError
        If an argument is of another type.
    ValueError
        If the stream is malformed, if Kinesis cannot use the key, if the timeout is out of range,
        or if the provider belongs to another stack. Synthesis fails if a key of the app, previous
        keys included, would be deleted with its stack. A stream that is encrypted twice, and a
        stream or key in another Region or account, are error annotations: the CDK CLI fails on
        them, and an exception would stop the first pass of a context lookup.

    Notes
    -----
    API reference: `StartStreamEncryption
    <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>`_.

    Examples
    --------
    >>> stream = kinesis.Stream.from_stream_arn(stack, "Orders", orders_arn)
    >>> orders = KinesisStreamEncryption(stack, "Encryption", stream=stream, encryption_key=key)
    >>> consumer.add_event_source(KinesisEventSource(orders, starting_position=latest))
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stream: kinesis.IStream,
        encryption_key: kms.IKey | None = None,
        previous_keys: Sequence[kms.IKey] | None = None,
        timeout: Duration | None = None,
        revision: str | None = None,
        provider: KinesisStreamEncryptionProvider | None = None,
    ) -> None:
        super().__init__(scope, id)
        seconds = _DEFAULT_TIMEOUT if timeout is None else _seconds(timeout)
        stack = Stack.of(self)
        target = target_stream(stack, stream)
        check_stream(self, target)
        self._stream = stream
        self._key = stream_key(stack, encryption_key)
        self._previous_keys = [stream_key(stack, key) for key in previous_keys or ()]
        require_retained_keys(self, self._key, *self._previous_keys)
        register_stream(self, target)
        if provider is not None:
            remedy = "a KinesisStreamEncryptionProvider of the stack"
            check_argument("provider", provider, "service_token", remedy)
        self._provider = provider or KinesisStreamEncryptionProvider.get_or_create(stack)
        permissions = self._provider._allow(  # noqa: SLF001
            stack,
            stream=target.literal_arn,
            key=self._key.arn,
            alias=self._key.alias,
            long_wait=seconds > _MAX_INVOCATION,
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
        self._resource.node.add_dependency(*permissions)
        self.node.default_child = self._resource.node.default_child
        imported = [key.arn for key in self._previous_keys if key.is_in_other_stack(stack)]
        if imported:
            # While this template refers to the key, CDK keeps the export of the key's stack.
            self._cfn_resource.add_metadata("PreviousKeys", imported)
        self._target = target
        warn_of_missing_key_access(self, target, self._key)

    @property
    def key(self) -> kms.IKey | None:
        """The key or alias that was passed in; None for ``alias/aws/kinesis`` by default."""
        return self._key.construct

    @property
    def encryption_key(self) -> kms.IKey | None:
        """None: see :attr:`key`.

        Integrations that find a key here would add a statement for it that is not restricted to
        this stream, in addition to the statement of the grant methods.
        """
        return None

    @property
    def key_arn(self) -> str:
        """ARN of the key that encrypts the stream, known at deployment, also for an alias."""
        return self._resource.get_att_string("KeyArn")

    @property
    def provider(self) -> KinesisStreamEncryptionProvider:
        """The provider of the custom resource, with its function, role, and log group."""
        return self._provider

    def grant(self, grantee: iam.IGrantable, *actions: str) -> iam.Grant:
        """Grant Kinesis actions on the stream, and the key actions that they need.

        ``PutRecord`` and ``PutRecords`` need ``kms:GenerateDataKey``; ``GetRecords`` and
        ``SubscribeToShard`` need ``kms:Decrypt``, on the previous keys too. The permissions on the
        key are restricted to this stream and are in place before the key is applied.

        Parameters
        ----------
        grantee
            Producer or consumer, for example a role or a function.
        actions
            Kinesis actions, for example ``kinesis:PutRecord``; wildcards are allowed.

        Raises
        ------
        ValueError
            If the grantee is a resource that was imported without its role.
        """
        return self._grant(
            lambda: self._stream.grant(grantee, *actions), grantee, key_actions(actions)
        )

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Grant reading from the stream, and ``kms:Decrypt`` on the key and the previous keys.

        See :meth:`grant` for the key.

        Parameters
        ----------
        grantee
            Consumer, for example a role or a function.

        Raises
        ------
        ValueError
            If the grantee is a resource that was imported without its role.
        """
        return self._grant(lambda: self._stream.grant_read(grantee), grantee, [DECRYPT])

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Grant writing to the stream, and ``kms:GenerateDataKey`` on the key.

        See :meth:`grant` for the key.

        Parameters
        ----------
        grantee
            Producer, for example a role or a function.

        Raises
        ------
        ValueError
            If the grantee is a resource that was imported without its role.
        """
        return self._grant(lambda: self._stream.grant_write(grantee), grantee, [GENERATE_DATA_KEY])

    def grant_read_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Grant reading from and writing to the stream, with the same permissions on the keys.

        See :meth:`grant` for the key.

        Parameters
        ----------
        grantee
            A principal that is both a consumer and a producer.

        Raises
        ------
        ValueError
            If the grantee is a resource that was imported without its role.
        """
        return self._grant(
            lambda: self._stream.grant_read_write(grantee), grantee, [DECRYPT, GENERATE_DATA_KEY]
        )

    def apply_before(self, *constructs: IConstruct) -> None:
        """Deploy constructs only after the stream is encrypted.

        Every resource in them waits for the encryption, except IAM and KMS resources: the
        permissions of a grantee must be in place before. ``node.add_dependency`` would include
        them, which is circular.

        Parameters
        ----------
        constructs
            For example a function, or an ECS service and its task definition.

        Raises
        ------
        ValueError
            If one of them contains this construct or its provider.
        """
        for construct in constructs:
            for part in (self, self._provider):
                if any(scope is construct for scope in part.node.scopes):
                    raise ValueError(
                        f"{construct.node.path!r} contains {part.node.path!r}, which cannot wait "
                        "for itself: pass the constructs that must wait"
                    )
            Aspects.of(construct).add(_ApplyBefore(self._cfn_resource))
            self._grants.waiting.append(construct)

    @cached_property
    def _grants(self) -> KeyGrants:
        grants = KeyGrants(self, self._resource, self._target)
        self.node.add_validation(grants)
        return grants

    @property
    def _cfn_resource(self) -> CfnResource:
        return cast(CfnResource, self._resource.node.default_child)

    def _grant(
        self,
        grant_on_stream: Callable[[], iam.Grant],
        grantee: iam.IGrantable,
        actions: Iterable[str],
    ) -> iam.Grant:
        check_grantee(grantee)
        granted = grant_on_stream()
        checked = self._grants.check_stream_policy(grantee, granted)
        for action in actions:
            granted_on_key = self._grants.allow(grantee, self._key, action)
            for key in self._previous_keys:
                self._grants.keep(grantee, key, action)
            if checked is granted:
                granted = checked = granted.combine(granted_on_key)
        return checked


@jsii.implements(IAspect)
class _ApplyBefore:
    """Lets all resources of a scope wait for the encryption, except IAM and KMS resources."""

    def __init__(self, resource: CfnResource) -> None:
        self._resource = resource

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, CfnResource) and not node.cfn_resource_type.startswith(
            ("AWS::IAM::", "AWS::KMS::")
        ):
            node.node.add_dependency(self._resource)


# Cached, because most streams have the same timeout and Duration methods run in another process.
@lru_cache
def _seconds(timeout: Duration) -> int:
    check_argument("timeout", timeout, "is_unresolved", "a Duration, as Duration.minutes(10)")
    if timeout.is_unresolved():
        raise ValueError(
            "timeout is known only at deployment, but the permissions of the function depend on "
            "it: pass a fixed Duration"
        )
    seconds = int(timeout.to_seconds())
    if not _MIN_TIMEOUT <= seconds <= _MAX_TIMEOUT:
        raise ValueError(
            f"timeout {timeout.to_human_string()} is out of range: pass 1 to 59 minutes, because "
            "CloudFormation waits at most one hour"
        )
    return seconds


@lru_cache
def _service_timeout(seconds: int) -> Duration:
    return Duration.seconds(seconds + _RESPONSE_RESERVE)
