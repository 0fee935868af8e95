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

    from benchmarks.alternatives.stacks import STACKS, WAITING, stack_name

    app = App()
    for name in WAITING:
        stack = Stack(app, stack_name(name))
        CfnOutput(stack, "Token", value=STACKS[name](stack, []))
    app.synth()


if __name__ == "__main__":
    if sys.argv[1:]:
        one_stack(sys.argv[1], int(sys.argv[2]))
    else:
        functions()
