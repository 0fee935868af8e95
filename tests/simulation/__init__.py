"""A deterministic simulation of everything around the handler: one seed, one schedule.

The real handler runs, crhelper included, on top of simulated parts of AWS in virtual time:
`scheduler` (time and tasks), `api` (calls, with errors of network and services), `kinesis`, `kms`,
`iam`, `cloudformation`, `response_endpoint`, `lambda_service`, `other_principals`. `schedule` draws
a schedule from a seed, `simulated_aws` connects the parts, and `invariants` and `reason_checks`
evaluate the outcome.

    python -m tests.simulation.replay SEED
    python -m tests.simulation.campaign --seeds 100000 --workers 2 --out summary.json
"""

import sys
from pathlib import Path

# The function's folder is not an installed package; pytest adds it to the path itself.
_LAMBDA = str(Path(__file__).parents[2] / "lambda")
if _LAMBDA not in sys.path:
    sys.path.append(_LAMBDA)
