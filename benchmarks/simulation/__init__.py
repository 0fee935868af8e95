"""The real handler, and models of the alternatives, on one simulated AWS in virtual time.

Much smaller than `tests/simulation`, which injects faults: here only quotas cause errors, and every
call is counted.
"""
