"""One model of each AWS service, in virtual time; tests and benchmarks share them.

`scheduler` is the virtual clock with its tasks, `stage` the clock with a journal and injected
faults. Shared by all: `kinesis`, `kms`, `cloudformation`, and `client`, which checks the parameters
of each call. Around the handler: `api` (network), `iam`, `lambda_service` (asynchronous
invocations), and `response_endpoint`. Around the guard: `cloudtrail`, `sqs`, `event_source` (the
function behind a queue), `dynamodb`, `sns`, and `listing`.

The models draw from the random sources that they are given. A seed of the simulation stands for the
same schedule only as long as they draw the same values in the same order.
"""

import sys
from pathlib import Path

# The function's folder is not an installed package; pytest adds it to the path itself.
_LAMBDA = str(Path(__file__).parents[1] / "lambda")
if _LAMBDA not in sys.path:
    sys.path.append(_LAMBDA)
