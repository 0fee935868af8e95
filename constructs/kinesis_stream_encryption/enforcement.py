"""Encryption of every stream in a scope."""

from __future__ import annotations

from typing import cast

import jsii
from aws_cdk import Annotations, IAspect, Names, RemovalPolicy, Resource, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import IConstruct

from kinesis_stream_encryption._keys import KINESIS_MANAGED_ALIAS, stream_key
from kinesis_stream_encryption._streams import TargetStream, claimant, owning_stream, target_stream
from kinesis_stream_encryption._template_text import describe, text
from kinesis_stream_encryption.encryption import KinesisStreamEncryption

__all__ = ["METADATA_TYPE", "EnforceStreamEncryption"]

METADATA_TYPE = "cdk-kinesis-stream-encryption:enforced"
"""Type of the metadata entries that tell, at each stream's path, what was done."""


@jsii.implements(IAspect)
class EnforceStreamEncryption:
    """Aspect that encrypts every Kinesis data stream in its scope.

    - A stream that the app owns is encrypted by its own ``StreamEncryption`` property.
    - A stream that the app only refers to gets a :class:`KinesisStreamEncryption`.
    - A stream that is encrypted as wanted is left alone, and so is one that has a
      :class:`KinesisStreamEncryption` already.

    What was done stands in the metadata of the synthesized app, in an entry of type
    ``cdk-kinesis-stream-encryption:enforced`` at each stream's path, whose ``action`` is
    ``encrypted``, ``unchanged`` or ``skipped``.

    Producers and consumers in the app get no right to the key from this: grants that were made
    on a stream before do not know of it.

    Parameters
    ----------
    encryption_key
        Key for all streams, as for :class:`KinesisStreamEncryption`; streams encrypted with
        another key are switched to it. Default: streams keep the key they have, and
        unencrypted ones get ``alias/aws/kinesis``.
    removal_policy
        What becomes of streams that the app only refers to when they leave it, as for
        :class:`KinesisStreamEncryption`. Default: ``RETAIN``.

    Examples
    --------
    >>> Aspects.of(app).add(EnforceStreamEncryption(encryption_key=key))
    """

    def __init__(
        self,
        *,
        encryption_key: kms.IKey | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        self._encryption_key = encryption_key
        self._removal_policy = removal_policy

    def visit(self, node: IConstruct) -> None:
        """Encrypt the stream, if the node is one.

        Parameters
        ----------
        node
            Any construct; CDK calls this for all of them.
        """
        if isinstance(node, kinesis.CfnStream):
            self._visit_owned(node)
        elif Resource.is_resource(node) and hasattr(node, "stream_arn"):
            # Imported constructs reach Python as nameless proxies: what they offer tells.
            stream = cast(kinesis.IStream, node)
            if owning_stream(stream.stream_arn) is None:
                self._visit_referenced(stream)

    def _visit_owned(self, stream: kinesis.CfnStream) -> None:
        stack = Stack.of(stream)
        key_id = stream_key(stack, self._encryption_key).key_id
        present = _present_key(stack, stream)
        if present is not None and (self._encryption_key is None or present == text(stack, key_id)):
            _report(stream, "unchanged")
            return
        stream.stream_encryption = kinesis.CfnStream.StreamEncryptionProperty(
            encryption_type="KMS", key_id=key_id
        )
        _report(stream, "encrypted")

    def _visit_referenced(self, stream: kinesis.IStream) -> None:
        target = target_stream(Stack.of(stream), stream)
        holder = claimant(target)
        if holder is not None:
            _report(stream, "unchanged")
            self._warn_of_other_key(stream, target, holder)
            return
        if not target.in_same_environment:
            Annotations.of(stream).add_warning_v2(
                "cdk-kinesis-stream-encryption:notEnforced",
                f"the stream {describe(target.arn)} is not encrypted from here: it is in "
                f"another region or account than the stack {target.stack.stack_name!r}",
            )
            _report(stream, "skipped")
            return
        KinesisStreamEncryption(
            target.stack,
            f"{Names.unique_id(stream)}Encryption",
            stream=stream,
            encryption_key=self._encryption_key,
            removal_policy=self._removal_policy,
        )
        _report(stream, "encrypted")

    def _warn_of_other_key(
        self, stream: kinesis.IStream, target: TargetStream, holder: IConstruct
    ) -> None:
        wanted = self._encryption_key
        if wanted is None or not isinstance(holder, KinesisStreamEncryption):
            return
        if holder.encryption_key is wanted:
            return
        Annotations.of(stream).add_warning_v2(
            "cdk-kinesis-stream-encryption:otherKey",
            f"the stream {describe(target.arn)} keeps the key that {holder.node.path!r} "
            "gives it: give it the enforced key there",
        )


def _present_key(stack: Stack, stream: kinesis.CfnStream) -> str | None:
    """Key that an owned stream is declared with, if it is."""
    try:
        encryption = stream.stream_encryption
    except RuntimeError:
        # The default of kinesis.Stream depends on the region, which jsii cannot pass on as the
        # structure that the property is declared to be.
        return KINESIS_MANAGED_ALIAS
    if not isinstance(encryption, kinesis.CfnStream.StreamEncryptionProperty):
        return None
    return text(stack, encryption.key_id)


def _report(construct: IConstruct, action: str) -> None:
    construct.node.add_metadata(METADATA_TYPE, {"action": action})
