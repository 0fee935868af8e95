"""What is fixed for a stack, read once for all the streams in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from aws_cdk import Stack
from constructs import IConstruct, Node

from kinesis_stream_encryption._environment import Environment

__all__ = ["StackFacts", "stack_facts"]


@dataclass(frozen=True)
class StackFacts:
    """A stack's place in the app and in the cloud.

    Attributes
    ----------
    node
        Node of the stack.
    root
        Root of the app.
    environment
        Region and account of the stack.
    """

    node: Node
    root: IConstruct
    environment: Environment

    @property
    def pseudo_parameters(self) -> Mapping[str, str]:
        """Values of the pseudo parameters that are known at synth."""
        values = {
            "AWS::Region": self.environment.region,
            "AWS::AccountId": self.environment.account,
        }
        return {name: value for name, value in values.items() if value is not None}


_FACTS: WeakKeyDictionary[Stack, StackFacts] = WeakKeyDictionary()


def stack_facts(stack: Stack) -> StackFacts:
    """Look at a stack, unless that has been done before."""
    facts = _FACTS.get(stack)
    if facts is None:
        node = stack.node
        environment = Environment.of(region=stack.region, account=stack.account)
        facts = _FACTS[stack] = StackFacts(node, node.root, environment)
    return facts
