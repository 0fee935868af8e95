"""The real handler, and models of its peers' waiting rules, on one simulated AWS in virtual time.

Far smaller than `tests/simulation`, which looks for faults: here nothing fails but for quotas, and
every call is counted. The scheduler is that one's.
"""
