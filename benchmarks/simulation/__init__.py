"""The real handler and models of the alternatives, and the guard, on the same simulated AWS.

The models of the services are those of the simulation (`simulated_aws`), here without faults.
"""
