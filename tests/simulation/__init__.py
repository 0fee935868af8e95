"""The handler on a simulated AWS: one seed, one schedule of what happens.

The real handler runs, crhelper included, on the models of `simulated_aws`. `schedule` draws a
schedule from a seed, `simulation` connects the models and `other_principals`, and `invariants` and
`reason_checks` evaluate the outcome.

    python -m tests.simulation.replay SEED
    python -m tests.simulation.campaign --seeds 100000 --workers 2 --out summary.json
"""
