"""CDK app for the local AWS: the functions of the peers that wait, and no custom resource."""

from __future__ import annotations

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_lambda as lambda_

from benchmarks.peers.stacks import STACKS
from local_aws import folders

PEERS = [peer for peer in STACKS if peer != "AwsCustomResource"]

_SDK = folders.INSTALLED / "bench" / "node_modules"
"""Lambda has the SDK that CDK's functions in Node need, and the emulator has not."""


def stack_name(peer: str) -> str:
    """Name of the stack with a peer's functions."""
    return f"bench-{list(STACKS).index(peer)}"


def main() -> None:
    """Synthesize all stacks."""
    app = App()
    for peer in PEERS:
        stack = Stack(app, stack_name(peer))
        CfnOutput(stack, "Token", value=STACKS[peer](stack, []))
        for each in stack.node.find_all():
            if isinstance(each, lambda_.CfnFunction):
                each.add_property_override("Environment.Variables.NODE_PATH", str(_SDK))
    app.synth()


if __name__ == "__main__":
    main()
