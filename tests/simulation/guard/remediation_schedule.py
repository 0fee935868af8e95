"""What happens in one schedule of remediation by one guard or two, drawn from its seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from simulated_aws.guarded_account import KEY_ARNS
from simulated_aws.kinesis import KinesisTraits
from simulated_aws.scheduler import BEGIN
from tests.simulation.guard.schedule import (
    EXEMPT,
    HOUR,
    NAMES,
    PROFILES,
    RATES,
    Deed,
    GuardSchedule,
    draw_deployment,
    draw_windows,
)

ACTIVE_FOR = 4 * HOUR
OWN_KEY = KEY_ARNS[2]
"""The key to which owners switch."""

OWNERS = ("once", "insists", "applies", "own key", "exempts", "recreates", "restores", "idle")
FLEET = 100


def draw(seed: int) -> GuardSchedule:
    """Draw the schedule of a seed."""
    rng = Random(f"remediation {seed}")
    profile = rng.choices(list(PROFILES), list(PROFILES.values()))[0]
    troubled = profile not in {"quiet", "deployments"}
    fleet = rng.random() < 0.04
    names = [f"s{number:03}" for number in range(FLEET)] if fleet else list(NAMES)
    keys: list[str | None] = [KEY_ARNS[0]]
    if fleet and rng.random() < 0.5:
        keys = [KEY_ARNS[1]]  # a wrong one, as all streams have the first
    elif not fleet and rng.random() < 0.25:
        keys.append(rng.choice(KEY_ARNS[:2]))
    schedule = GuardSchedule(
        seed=seed,
        profile=profile,
        keys=keys,
        settings={"exempt_tag_key": EXEMPT},
        streams=dict.fromkeys(names, KEY_ARNS[0]),
        owners={name: "once" if fleet else rng.choice(OWNERS) for name in names},
        limits={
            "max_changes_per_stream": rng.randint(1, 5),
            "max_streams_per_hour": rng.choice((1, 2, 10, 10)),
        },
        check_every=rng.choice((HOUR / 2, HOUR, 2 * HOUR)),
        kinesis=KinesisTraits(
            staleness=rng.choice((0.0, 1.0, 3.0, 8.0)) if troubled else 0.0,
            shows_target=rng.random() < 0.5,
            load=rng.choice((0.0, 0.0, 0.9)) if troubled and not fleet else 0.0,
            durations=rng.choice(((1, 6, 1, 0, 0), (1, 6, 3, 1, 0))),
        ),
        latency=rng.choice((0.02, 0.1, 0.4)),
        rates=RATES[profile],
    )
    for name in names:
        _own(schedule, name, rng)
    schedule.deeds.sort(key=lambda deed: deed.when)
    if profile in {"deployments", "everything"} and not fleet:
        for _ in range(rng.randint(1, 3)):
            when = BEGIN + rng.uniform(300, ACTIVE_FOR)
            deployment = draw_deployment(rng, when, KEY_ARNS[:2], 0.5, (300.0, HOUR))
            schedule.deployments.append(deployment)
        schedule.deployments.sort(key=lambda each: each.when)
    if profile in {"refusals", "everything"}:
        services = ("dynamodb", "sns", "kinesis", "cloudformation", "kms")
        schedule.windows = draw_windows(rng, ACTIVE_FOR, services, (60.0, 600.0, HOUR))
    if rng.random() < 0.2:
        body = rng.choice(("{}", json.dumps({"stream": rng.choice(names)})))
        schedule.releases.append((BEGIN + rng.uniform(HOUR, ACTIVE_FOR), body))
    # The latest event and the scans after it have been handled.
    schedule.ends = BEGIN + ACTIVE_FOR + 2 * HOUR + 3 * schedule.check_every
    return schedule


def _own(schedule: GuardSchedule, name: str, rng: Random) -> None:
    """Plan what the owner of a stream does; a stop of an unencrypted stream is refused."""
    owner = schedule.owners[name]
    if owner == "idle":
        return
    first = BEGIN + rng.uniform(600, 2 * HOUR)
    deeds = [(0.0, "stop", ""), *_DEEDS[owner](rng)]
    last = BEGIN + ACTIVE_FOR - first
    for later, what, value in deeds:
        if later < last:
            schedule.deeds.append(Deed(first + later, what, name, value, owner))


def _restores(rng: Random) -> list[tuple[float, str, str]]:
    deeds, when = [], 0.0
    for _ in range(rng.randint(1, 6)):
        start = when + rng.choice((5, 60, 900)) * rng.uniform(0.5, 1.5)
        deeds += [(start, "start", KEY_ARNS[0])]
        when += rng.uniform(900, 2400)
        deeds += [(when, "stop", "")]
    return deeds


_DEEDS: dict[str, Callable[[Random], list[tuple[float, str, str]]]] = {
    "once": lambda _: [],
    "insists": lambda rng: [(n * rng.uniform(150, 400), "stop", "") for n in range(1, 60)],
    # As Terraform does: at every apply.
    "applies": lambda rng: [(n * rng.uniform(1500, 3600), "stop", "") for n in range(1, 10)],
    "own key": lambda rng: [
        (rng.uniform(0.5, 40), "start", OWN_KEY),
        (rng.uniform(100, 4000), "stop", ""),
    ],
    "exempts": lambda rng: [
        (rng.uniform(-5, 20), "tag", EXEMPT),
        (rng.uniform(1000, 4000), "untag", EXEMPT),
    ],
    "recreates": lambda rng: [
        (rng.uniform(15, 40), "delete", ""),
        (rng.uniform(75, 600), "create", ""),
        (rng.uniform(700, 900), "start", KEY_ARNS[0]),
        (rng.uniform(1200, 4000), "stop", ""),
    ],
    "restores": _restores,
}
