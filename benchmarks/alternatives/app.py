"""CDK app of the alternatives.

`python -m benchmarks.alternatives.app NAME STREAMS` synthesizes the stack of one alternative and
prints how long that took. Without arguments, it synthesizes the functions of all alternatives that
wait, without custom resources, for the local AWS.
"""

from __future__ import annotations

import json
import sys
import time


def one_stack(name: str, streams: int) -> None:
    """Synthesize the stack of one alternative, with the imports as a user experiences them."""
    began = time.perf_counter()
    from aws_cdk import App, Stack

    from benchmarks.alternatives.stacks import STACKS, stack_name

    app = App()
    STACKS[name](Stack(app, stack_name(name)), [f"stream-{number}" for number in range(streams)])
    app.synth()
    print(json.dumps({"seconds": time.perf_counter() - began}))


def functions() -> None:
    """Synthesize the functions of all alternatives that wait."""
    from aws_cdk import App, CfnOutput, Stack
    from aws_cdk import aws_lambda as lambda_

    from benchmarks.alternatives.stacks import STACKS, WAITING, stack_name
    from local_aws import folders

    # Lambda has the SDK that CDK's Node.js functions use, the emulator does not.
    modules = str(folders.INSTALLED / "bench" / "node_modules")
    app = App()
    for name in WAITING:
        stack = Stack(app, stack_name(name))
        CfnOutput(stack, "Token", value=STACKS[name](stack, []))
        for each in stack.node.find_all():
            if isinstance(each, lambda_.CfnFunction):
                each.add_property_override("Environment.Variables.NODE_PATH", modules)
    app.synth()


if __name__ == "__main__":
    if sys.argv[1:]:
        one_stack(sys.argv[1], int(sys.argv[2]))
    else:
        functions()
