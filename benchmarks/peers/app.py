"""CDK app of one peer: `python -m benchmarks.peers.app PEER STREAMS`; prints how long it took."""

from __future__ import annotations

import json
import sys
import time


def main(peer: str, streams: int) -> None:
    """Synthesize the peer's stack; the imports are part of a synth as its user sees it."""
    began = time.perf_counter()
    from aws_cdk import App, Stack

    from benchmarks.peers.stacks import STACKS

    app = App()
    STACKS[peer](
        Stack(app, f"bench-{list(STACKS).index(peer)}"),
        [f"stream-{number}" for number in range(streams)],
    )
    app.synth()
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
