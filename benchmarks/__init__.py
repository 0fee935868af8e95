"""How fast, how cheap and how scalable this is beside what a user would pick instead.

python -m benchmarks           all sections, into build/bench/ and docs/performance.md
python -m benchmarks --quick   the same with few repeats
python -m benchmarks --check   only judge the figures that are there
"""

import sys
from pathlib import Path

_LAMBDA = str(Path(__file__).resolve().parent.parent / "lambda")
if _LAMBDA not in sys.path:
    sys.path.append(_LAMBDA)
