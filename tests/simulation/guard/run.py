"""Runs the schedule of one seed and judges it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from simulated_aws.sqs import DEAD_LETTERS
from stream_encryption.guard.handler import Guard
from tests.simulation.guard import remediating, remediation_invariants
from tests.simulation.guard.account import GuardedAccount, Make
from tests.simulation.guard.invariants import Violation, judge
from tests.simulation.guard.schedule import draw


@dataclass(frozen=True)
class Outcome:
    """What a schedule came to."""

    seed: int
    profile: str
    invocations: int
    calls: int
    notifications: Counter[str]
    given_up: int
    faults: Counter[str]
    violations: tuple[Violation, ...]


def happened(seed: int, make: Make = Guard) -> GuardedAccount:
    """Let the schedule of a seed happen."""
    account = GuardedAccount(draw(seed), make)
    account.happen()
    return account


def run(seed: int, make: Make = Guard) -> Outcome:
    """Let the schedule of a seed happen, and judge it."""
    account = happened(seed, make)
    invocations = account.function.invocations
    return Outcome(
        seed=seed,
        profile=account.schedule.profile,
        invocations=len(invocations),
        calls=sum(len(invocation.calls) for invocation in invocations),
        notifications=Counter(publication.state for publication, _ in account.published),
        given_up=len(account.sqs.queues[DEAD_LETTERS]),
        faults=account.faults.counts,
        violations=tuple(judge(account)),
    )


def remediate(seed: int, make: Make = Guard) -> Outcome:
    """Let the schedule of remediation of a seed happen, and judge it."""
    account = remediating.GuardedAccount(remediating.draw(seed), make)
    account.happen()
    functions = [each for guard in account.guards for each in (guard.checks, guard.remediates)]
    invocations = [each for function in functions for each in function.invocations]
    kinds = Counter(f"owner: {owner}" for owner in account.schedule.owners.values())
    kinds[f"guards: {len(account.guards)}"] += 1
    kinds[f"streams: {len(account.schedule.owners)}"] += 1
    return Outcome(
        seed=seed,
        profile=f"remediation: {account.schedule.profile}",
        invocations=len(invocations),
        calls=sum(len(invocation.calls) for invocation in invocations),
        notifications=Counter(
            each.state for guard in account.guards for each, _ in guard.published
        ),
        given_up=sum(len(guard.sqs.queues[DEAD_LETTERS]) for guard in account.guards),
        faults=account.faults.counts + kinds,
        violations=tuple(remediation_invariants.judge(account)),
    )
