"""CDK app for the local AWS: the functions of all peers and no custom resource.

`python -m benchmarks.peers.local_app VARIANT…` makes a stack of each peer for each variant.
"""

from __future__ import annotations

import sys

from aws_cdk import App, CfnOutput, Stack

from benchmarks.peers.stacks import STACKS


def stack_name(peer: str, variant: str) -> str:
    """Name of the stack with a peer's functions."""
    return f"bench-{list(STACKS).index(peer)}-{variant}"


def main(variants: list[str]) -> None:
    """Synthesize all stacks."""
    app = App()
    for peer, add in STACKS.items():
        for variant in variants:
            stack = Stack(app, stack_name(peer, variant))
            CfnOutput(stack, "Token", value=add(stack, []))
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1:])
