"""Benchmark: this construct and its alternatives, side by side.

python -m benchmarks           run all sections and write docs/performance.md
python -m benchmarks --quick   fewer samples, into build/bench/
python -m benchmarks --page    only write docs/performance.md from the existing figures
python -m benchmarks --check   only evaluate the targets against docs/performance/figures.json
"""
