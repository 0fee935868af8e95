"""`make demo`: the scenario on a local AWS, then the guard."""

import sys
import time
from datetime import timedelta

from local_aws import process
from local_aws.cdk import Cdk, CdkError
from local_aws.environment import LocalAws
from local_aws.guard_demo import GuardDemo
from local_aws.scenario import Scenario, ScenarioError, show

_STREAM = "orders"
_STACK = "kinesis-stream-encryption"
_UPDATING = timedelta(seconds=3)


def main() -> int:
    """Run the demo and return its exit status."""
    process.exit_on_signals()
    began = time.monotonic()
    print("[0] start the local AWS (ministack and kinesis-mock, on loopback only)", flush=True)
    try:
        with LocalAws(updating=_UPDATING) as aws:
            try:
                print("\n[0] bootstrap the account for the CDK", flush=True)
                Cdk(aws, on_line=show).bootstrap()
                scenario = Scenario(
                    aws, stream=_STREAM, stack=_STACK, key_description="demo", updating=_UPDATING
                )
                scenario.run()
                GuardDemo(aws, scenario.heading).run()
            except BaseException:
                print(f"\n{aws.log_tails()}", file=sys.stderr)
                raise
            print(f"\n{scenario.table()}\n")
    except (
        ScenarioError,
        CdkError,
        process.ServiceError,
        process.CommandTimeoutError,
    ) as error:
        print(f"\nthe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    print(f"everything as expected, and stopped again ({time.monotonic() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
