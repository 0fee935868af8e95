"""A deterministic simulation of everything around the handler: one seed, one schedule.

The real handler runs, crhelper included, on top of simulated parts of AWS in virtual time:
`scheduler` (time and tasks), `api` (the way of a call, and its faults), `kinesis`, `kms`, `iam`,
`cloudformation`, `endpoint`, `lambda_service`, `actors`. `schedule` draws from a seed
what happens, `world` puts the parts together, `invariants` and `truth` judge the outcome.

    python -m tests.simulation.replay SEED
    python -m tests.simulation.campaign --seeds 100000 --workers 2 --out summary.json
"""

import sys
from pathlib import Path

# The function's folder is no package of ours that could be installed; pytest finds it by itself.
_LAMBDA = str(Path(__file__).parents[2] / "lambda")
if _LAMBDA not in sys.path:
    sys.path.append(_LAMBDA)
