"""What happens in one schedule of the guard, drawn from its seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from simulated_aws.cloudtrail import LATEST_EVENT
from simulated_aws.event_source import Window
from simulated_aws.guarded_account import ALIASES, KEY_ARNS, KEYS, AccountTraits
from simulated_aws.kinesis import KinesisTraits
from simulated_aws.scheduler import BEGIN

NAMES = ("orders", "prod-a", "prod-b")
KEY_IDENTIFIERS = (*KEY_ARNS, *KEYS, *ALIASES, "alias/aws/kinesis")
TAG, EXEMPT = ("class", "pii"), "exempt"
HOUR = 3600.0
ACTIVE_FOR = 2 * HOUR
"""Seconds in which people do something."""

PROFILES = {
    "quiet": 3,
    "events": 4,
    "network": 2,
    "crashes": 3,
    "refusals": 2,
    "deployments": 4,
    "everything": 4,
}
_EVENTS = {
    "trail: lost": 0.15,
    "trail: hours late": 0.1,
    "trail: minutes late": 0.15,
    "trail: twice": 0.2,
    "trail: without parameters": 0.1,
}
_NETWORK = {
    "api: throttled": 0.05,
    "api: server error": 0.04,
    "api: connection failed": 0.02,
    "api: response lost": 0.04,
    "api: slow": 0.05,
}
_CRASHES = {
    "lambda: killed before a call": 0.02,
    "lambda: killed after a call": 0.03,
    "lambda: hangs": 0.002,
}
_QUEUE = {"sqs: delivered twice": 0.1, "sqs: not deleted": 0.03}
RATES: dict[str, dict[str, float]] = {
    "quiet": {},
    "events": _EVENTS | _QUEUE,
    "network": _NETWORK,
    "crashes": _CRASHES | _QUEUE,
    "refusals": _QUEUE,
    "deployments": _QUEUE,
    "everything": {
        kind: rate / 3 for kind, rate in (_EVENTS | _NETWORK | _CRASHES | _QUEUE).items()
    },
}


@dataclass(frozen=True)
class Deed:
    """What an owner does to a stream or an alias."""

    when: float
    what: str
    on: str
    value: str = ""
    caller: str = "alice"


@dataclass(frozen=True)
class Deployment:
    """An update of the guard's stack, which switches the key of guard and streams.

    ``ends`` is ``complete``, ``rolled back`` or ``rollback failed``; then it is continued after
    ``failed_for`` seconds.
    """

    when: float
    key: str
    streams: tuple[str, ...]
    guard_first: bool
    ends: str
    failed_for: float


@dataclass(kw_only=True)
class GuardSchedule(AccountTraits):
    """What is going to happen in an account.

    Parameters
    ----------
    profile
        Kind of the schedule.
    check_every
        Seconds between two scans.
    deeds, deployments
        What owners do.
    owners
        Kind of the owner of each stream, for schedules of remediation.
    releases
        Times and bodies of messages that release remediation from its limits.
    ends
        When everything has been handled.
    """

    profile: str
    check_every: float
    deeds: list[Deed] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    releases: list[tuple[float, str]] = field(default_factory=list)
    ends: float = 0.0


def draw(seed: int) -> GuardSchedule:
    """Draw the schedule of a seed."""
    rng = Random(f"guard {seed}")
    profile = rng.choices(list(PROFILES), list(PROFILES.values()))[0]
    troubled = profile not in {"quiet", "deployments"}
    choice = rng.choice(("all", "all", "prefix", "names", "tag"))
    desired_key = rng.choice((*KEY_IDENTIFIERS, KEY_ARNS[0], KEY_ARNS[0]))
    key = desired_key if rng.random() < 0.9 else None
    settings: dict[str, Any] = {}
    if choice == "prefix":
        settings["prefix"] = "prod-"
    elif choice == "names":
        settings["names"] = ["orders", "prod-b"]
    elif choice == "tag":
        settings["tag"] = list(TAG)
    if rng.random() < 0.5:
        settings["exempt_tag_key"] = EXEMPT
    schedule = GuardSchedule(
        seed=seed,
        profile=profile,
        keys=[key],
        settings=settings,
        check_every=rng.choice((HOUR / 2, HOUR, 2 * HOUR)),
        streams={name: rng.choice((desired_key, desired_key, None, *KEY_ARNS)) for name in NAMES},
        tags={name: {TAG[0]: TAG[1]} if rng.random() < 0.7 else {} for name in NAMES},
        kinesis=KinesisTraits(
            staleness=rng.choice((0.0, 1.0, 3.0, 8.0)) if troubled else 0.0,
            shows_target=rng.random() < 0.5,
            load=rng.choice((0.0, 0.0, 0.9)) if troubled else 0.0,
            durations=rng.choice(((1, 6, 1, 0, 0), (1, 6, 3, 1, 0))),
            describes_alias=rng.choice(("as given", "key ARN", "alias ARN")),
        ),
        latency=rng.choice((0.02, 0.1, 0.4)),
        index_lag=rng.choice((0.0, 5.0, 60.0)),
        rates=RATES[profile],
        alias_lag=Random(f"alias {seed}").choice((0.0, 5.0, 10.0)),
    )
    _deeds(schedule, rng)
    if profile in {"deployments", "everything"} and key:
        _deployments(schedule, rng)
    if profile in {"refusals", "everything"}:
        services = ("dynamodb", "sns", "sns", "kinesis", "cloudformation")
        schedule.windows = draw_windows(rng, ACTIVE_FOR, services, (60.0, 600.0, HOUR, 2 * HOUR))
    # A scan has reported everything: after the latest event and fault.
    troubles = [window.ends for window in schedule.windows]
    troubles += [each.when + each.failed_for + HOUR for each in schedule.deployments]
    latest = max(BEGIN + ACTIVE_FOR + LATEST_EVENT, *troubles, BEGIN)
    schedule.ends = latest + 2 * schedule.check_every + 1.5 * HOUR
    return schedule


def _deeds(schedule: GuardSchedule, rng: Random) -> None:
    for _ in range(rng.randint(1, 8)):
        what = rng.choices(list(_ACTS), [weight for weight, _ in _ACTS.values()])[0]
        desired_key = schedule.keys[0] or KEY_ARNS[0]
        when, on = BEGIN + rng.uniform(1, ACTIVE_FOR), rng.choice(NAMES)
        caller = rng.choice(("alice", "bob", "terraform"))
        for later, verb, value in _ACTS[what][1](rng, desired_key):
            by = "cloudformation" if what == "created" else caller
            target = rng.choice(list(ALIASES)) if verb == "point" else on
            schedule.deeds.append(Deed(when + later, verb, target, value, by))
    schedule.deeds.sort(key=lambda deed: deed.when)


Steps = Callable[[Random, str], list[tuple[float, str, str]]]
_ACTS: dict[str, tuple[int, Steps]] = {
    "stop": (5, lambda rng, desired_key: [(0, "stop", "")]),
    "start": (3, lambda rng, desired_key: [(0, "start", rng.choice(KEY_IDENTIFIERS))]),
    "put back": (3, lambda rng, desired_key: [(0, "start", desired_key)]),
    "delete": (1, lambda rng, desired_key: [(0, "delete", "")]),
    "recreate": (
        1,
        lambda rng, desired_key: [(0, "delete", ""), (rng.uniform(31, 900), "create", "")],
    ),
    # By CloudFormation or Terraform: encrypted once it is ACTIVE.
    "created": (
        2,
        lambda rng, desired_key: [
            (0, "delete", ""),
            (31, "create", ""),
            (rng.uniform(60, 400), "start", desired_key),
        ],
    ),
    # There and back, within ten minutes.
    "switch": (
        2,
        lambda rng, desired_key: [
            (0, "start", rng.choice(KEY_ARNS)),
            (rng.uniform(121, 300), "start", desired_key),
        ],
    ),
    "tag": (1, lambda rng, desired_key: [(0, "tag", rng.choice((EXEMPT, TAG[0])))]),
    "untag": (1, lambda rng, desired_key: [(0, "untag", rng.choice((EXEMPT, TAG[0])))]),
    "point": (1, lambda rng, desired_key: [(0, "point", rng.choice(KEYS))]),
}


def _deployments(schedule: GuardSchedule, rng: Random) -> None:
    when = BEGIN
    for _ in range(rng.randint(1, 3)):
        when += rng.uniform(300, ACTIVE_FOR / 2)
        delays = (300.0, HOUR, 2 * HOUR)
        schedule.deployments.append(draw_deployment(rng, when, KEY_ARNS, 0.7, delays))


def draw_deployment(
    rng: Random, when: float, keys: tuple[str, ...], share: float, delays: tuple[float, ...]
) -> Deployment:
    """Draw a deployment of a share of the streams; ``delays`` are those of a failed rollback."""
    return Deployment(
        when=when,
        key=rng.choice(keys),
        streams=tuple(name for name in NAMES if rng.random() < share),
        guard_first=rng.random() < 0.5,
        ends=rng.choices(("complete", "rolled back", "rollback failed"), (4, 2, 1))[0],
        failed_for=rng.choice(delays) * rng.uniform(0.5, 1.0),
    )


def draw_windows(
    rng: Random, active_for: float, services: tuple[str, ...], lengths: tuple[float, ...]
) -> list[Window]:
    """Draw times in which a service refuses calls."""
    windows = []
    for _ in range(rng.randint(1, 3)):
        begins, service = BEGIN + rng.uniform(0, active_for), rng.choice(services)
        ends = begins + rng.choice(lengths) * rng.uniform(0.5, 1.0)
        windows.append(Window(service, begins, ends))
    return windows
