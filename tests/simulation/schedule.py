"""Draws what happens in one schedule from its seed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from simulated_aws.cloudformation import CloudFormationTraits, Operation, Properties
from simulated_aws.iam import Denial
from simulated_aws.kinesis import NOTHING, KinesisTraits, State
from simulated_aws.kms import AWS_MANAGED_ALIAS, MISSING, Key
from simulated_aws.response_endpoint import Outage
from simulated_aws.scheduler import BEGIN
from simulated_aws.service import arn
from tests.simulation.other_principals import ExternalChange

STREAMS = (arn("kinesis", "stream/orders"), arn("kinesis", "stream/returns"))
ALIASES = ("alias/orders", "alias/spare")
NEW_ALIAS = "alias/new"
POLICIES = (
    "identity-based policy",
    "resource-based policy",
    "permissions boundary",
    "session policy",
    "service control policy",
    "resource control policy",
    "VPC endpoint policy",
)

PROFILES = {
    "quiet": 5,
    "busy": 3,
    "network": 3,
    "crashes": 3,
    "slow": 2,
    "responses": 3,
    "permissions": 2,
    "keys": 3,
    "endpoints": 3,
    "others": 4,
    "everything": 4,
}

_NETWORK = {
    "api: throttled": 0.08,
    "api: KMS throttled": 0.1,
    "api: server error": 0.06,
    "api: connection failed": 0.04,
    "api: response lost": 0.08,
    "api: slow": 0.1,
}
_REFUSALS = {
    "api: kinesis refuses a read": 0.01,
    "api: kinesis refuses a change": 0.1,
    "api: kms refuses a read": 0.05,
    "api: lambda refuses a change": 0.1,
    "api: long message": 0.3,
}
_INVALID_RESPONSES = {
    "api: kinesis returns an invalid response": 0.03,
    "api: kms returns an invalid response": 0.3,
    "api: cloudformation returns an invalid response": 0.3,
    "api: lambda returns an invalid response": 0.2,
}
_KINESIS = {"kinesis: described as ACTIVE too early": 0.25, "kinesis: a stream is throttled": 0.1}
_HANGS = {"api: hangs": 0.02}
_CRASHES = {
    "lambda: killed before a call": 0.04,
    "lambda: killed after a call": 0.04,
    "lambda: fresh container": 0.3,
}
_DELIVERIES = {
    "lambda: delivered twice": 0.3,
    "lambda: delivered late": 0.1,
    "lambda: fresh container": 0.3,
    "lambda: another version receives a continuation": 0.1,
}
_RESPONSES = {
    "endpoint: connection failed": 0.2,
    "endpoint: slow": 0.15,
    "endpoint: server error": 0.25,
    "endpoint: response lost": 0.1,
}
_OTHERS = {"other principals: just after a description": 0.06}
RATES: dict[str, dict[str, float]] = {
    "quiet": {},
    "busy": _DELIVERIES | _KINESIS,
    "network": _NETWORK | _REFUSALS | _KINESIS,
    "crashes": _CRASHES | _DELIVERIES | _HANGS,
    "slow": {
        **_DELIVERIES,
        "lambda: delivered twice": 0.1,
        "api: throttled": 0.05,
        "api: server error": 0.08,
        "api: response lost": 0.04,
        "api: lambda refuses a change": 0.02,
    },
    "responses": _RESPONSES | _DELIVERIES,
    "permissions": {"lambda: delivered twice": 0.1},
    "keys": {"lambda: delivered twice": 0.1},
    "endpoints": {"lambda: delivered twice": 0.1, **_INVALID_RESPONSES, **_KINESIS},
    "others": {"lambda: delivered twice": 0.1, **_OTHERS},
    "everything": {
        kind: rate / 4
        for kind, rate in (
            _NETWORK
            | _REFUSALS
            | _INVALID_RESPONSES
            | _KINESIS
            | _HANGS
            | _CRASHES
            | _DELIVERIES
            | _RESPONSES
            | _OTHERS
        ).items()
    },
}

_INVALID_PROPERTIES: tuple[tuple[str, str | None], ...] = (
    ("KeyId", "aws/kinesis"),
    ("KeyId", "alias/aws/s3"),
    ("KeyId", "my-key"),
    ("KeyId", None),
    ("KeyId", arn("kms", "key/11111111-2222-3333-4444-555555555555", region="us-east-1")),
    ("StreamName", "orders"),
    ("StreamArn", "orders"),
    ("StreamArn", arn("kinesis", "stream/orders", region="us-east-1")),
    ("StreamArn", None),
    ("EncryptionType", "NONE"),
    ("EncryptionType", "AES256"),
    ("OnDelete", "Restore"),
    ("Retries", "3"),
)
"""Invalid values of properties; None removes the property."""

_SLOW, _USUAL = (1, 3, 3, 2, 4), (3, 12, 4, 1, 0)
"""Weights of `kinesis.DURATIONS`."""


def is_malformed(properties: Properties) -> bool:
    """Whether the handler has to reject the properties."""
    if ("StreamArn" in properties) == ("StreamName" in properties):
        return True
    return any(
        (name not in properties) if value is None else properties.get(name) == value
        for name, value in _INVALID_PROPERTIES
        if name != "StreamName" and (name, value) != ("StreamArn", None)
    )


def stream_arn(properties: Properties) -> str:
    """ARN of the stream, from either property of valid properties."""
    name = properties.get("StreamName")
    return arn("kinesis", f"stream/{name}") if name else properties.get("StreamArn", "")


_STATES = ("Disabled", "PendingDeletion", "PendingImport", "Unavailable", "Creating", "Updating")


@dataclass(frozen=True)
class Schedule:
    """All that is decided before a schedule starts; the rest is random, by the same seed.

    Parameters
    ----------
    seed, profile
        Seed, and kinds of faults.
    streams
        Initial states of the streams.
    spent
        Times of earlier changes of each stream, for the quota.
    keys, aliases
        Keys of the account.
    operations
        What the user does.
    external_changes
        Changes by other principals.
    denials
        Actions that the role of the function is not allowed, and until when.
    outages
        When the response endpoint does not work.
    rates
        Probability of each kind of fault.
    function_timeout
        The function's timeout.
    silent
        Endpoints that never respond to it.
    signature
        How the response URLs are signed.
    kms_lag
        Seconds by which KMS reads may be stale, by the handler and by Kinesis.
    """

    seed: int
    profile: str
    streams: dict[str, State]
    spent: dict[str, list[float]]
    keys: tuple[Key, ...]
    aliases: dict[str, str]
    operations: tuple[Operation, ...]
    external_changes: tuple[ExternalChange, ...]
    denials: tuple[Denial, ...]
    outages: tuple[Outage, ...]
    kinesis: KinesisTraits
    cloudformation: CloudFormationTraits
    function_timeout: float
    silent: frozenset[str]
    signature: str
    latency: float
    rates: dict[str, float] = field(default_factory=dict)
    kms_lag: float = 0.0


def draw(seed: int) -> Schedule:
    """Draw the schedule of a seed."""
    return _with_consistency_windows(_draw(seed), Random(f"consistency {seed}"))


def _with_consistency_windows(schedule: Schedule, rng: Random) -> Schedule:
    """Draw when services show changes, new keys, and the policies of denials.

    From a random source of its own, so that the rest of the schedule does not depend on it.
    """
    quiet = schedule.profile == "quiet"
    traits = replace(
        schedule.cloudformation,
        shows=rng.choice(
            ("immediately", "immediately", "after the request", "after the operation")
        ),
        lag=rng.choice((0.0, 0.0, 1.0, 3.0)),
        reports_rollbacks=rng.random() < 0.2,
    )
    denials = [replace(denial, policy=rng.choice(POLICIES)) for denial in schedule.denials]
    if schedule.profile == "permissions" and rng.random() < 0.5:
        lag = rng.choice((5.0, 50.0, float("inf")))
        denials.append(Denial("cloudformation:DescribeStacks", rng.random() < 0.3, BEGIN + lag))
    lags = (2.0, 5.0, 10.0) if schedule.profile == "keys" else (0.0, 0.0, 2.0, 5.0, 10.0)
    new = Key(f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}", MISSING)
    operations = list(schedule.operations)
    deployed = [
        number
        for number, operation in enumerate(operations)
        if operation.kind == "deploy" and not is_malformed(operation.properties)
    ]
    if deployed and rng.random() < 0.3:
        number = rng.choice(deployed)
        identifier = rng.choice((new.key_id, new.arn, NEW_ALIAS, arn("kms", NEW_ALIAS)))
        operations[number] = replace(
            operations[number],
            properties={**operations[number].properties, "KeyId": identifier},
            new_key=new.key_id,
        )
    return replace(
        schedule,
        cloudformation=traits,
        denials=tuple(denials),
        kms_lag=0.0 if quiet else rng.choice(lags),
        keys=(*schedule.keys, new),
        aliases={**schedule.aliases, NEW_ALIAS: new.key_id},
        operations=tuple(operations),
    )


def _draw(seed: int) -> Schedule:
    rng = Random(f"schedule {seed}")
    profile = rng.choices(list(PROFILES), list(PROFILES.values()))[0]
    everything = profile == "everything"

    def about(*profiles: str, chance: float = 0.3) -> bool:
        return profile in profiles or (everything and rng.random() < chance)

    keys, aliases = _keys(rng, bad=about("keys"))
    slow = about("slow")
    timeout, function_timeout = _timeouts(rng, slow=slow)
    operations = _operations(rng, keys, timeout, invalid_properties=about("keys", chance=0.1))
    end = sum(operation.after for operation in operations) + 600
    spent: dict[str, list[float]] = {name: [] for name in STREAMS}
    if about("keys", chance=0.2):
        for name in STREAMS:
            hours = sorted(rng.uniform(0, 25) for _ in range(rng.choice((24, 25))))
            spent[name] = [BEGIN - hour * 3600 for hour in reversed(hours)]
    return Schedule(
        seed=seed,
        profile=profile,
        streams={name: _stream(rng, keys) for name in STREAMS},
        spent=spent,
        keys=keys,
        aliases=aliases,
        operations=operations,
        external_changes=_external_changes(rng, keys, end) if about("others") else (),
        denials=(
            _denials(rng)
            if about("permissions")
            # A key of another account, whose policy does not allow DescribeKey.
            else (Denial("kms:DescribeKey", explicit=False, ends=float("inf")),)
            if about("keys", chance=0.1) and rng.random() < 0.4
            else ()
        ),
        outages=_outages(rng, end) if about("responses", chance=0.2) else (),
        kinesis=KinesisTraits(
            staleness=rng.choice((0.0, 0.0, 1.0, 3.0, 8.0)) if profile != "quiet" else 0.0,
            shows_target=rng.random() < 0.5,
            load=rng.choice((0.0, 0.9, 0.985)) if about("network") else 0.0,
            durations=_SLOW if slow else _USUAL,
            describes_alias=rng.choice(("as given", "key ARN", "alias ARN")),
        ),
        cloudformation=CloudFormationTraits(
            keeps_failed_id=rng.random() < 0.7,
            timed_out_create_is_deleted=rng.random() < 0.7,
            shows_deleted=rng.random() < 0.5,
            clock_skew=rng.choice((0.0, 0.5, 2.0)),
        ),
        function_timeout=function_timeout,
        silent=_silent(rng) if about("endpoints", chance=0.1) else frozenset(),
        signature=rng.choices(("V4", "V2", "opaque"), (4, 2, 1))[0],
        latency=rng.choice((0.05, 0.3)),
        rates=RATES[profile],
    )


def _timeouts(rng: Random, *, slow: bool) -> tuple[int, float]:
    """Timeout of the resource and of the function."""
    if slow:
        return rng.choice((1200, 2400, 3540)), rng.choice((300.0, 900.0, 900.0))
    kind = rng.random()
    if kind < 0.6:  # default of the construct
        return 600, 900.0
    if kind < 0.8:  # possible in a plain template
        return 3600, 900.0
    return rng.choice((30, 60, 120, 240)), rng.choice((60.0, 300.0, 900.0))


def _silent(rng: Random) -> frozenset[str]:
    """Services without an endpoint in the VPC of the function."""
    if rng.random() < 0.3:
        return frozenset()
    silent = rng.sample(("kms", "cloudformation", "lambda"), rng.choice((1, 1, 2, 3)))
    return frozenset((*silent, "control-kinesis"))


def _keys(rng: Random, *, bad: bool) -> tuple[tuple[Key, ...], dict[str, str]]:
    ids = [f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}" for _ in range(4)]
    keys = [Key(id_) for id_ in ids]
    if bad:
        kind = rng.random()
        if kind < 0.45:
            keys[1] = Key(ids[1], state=rng.choice(_STATES))
        elif kind < 0.6:
            keys[1] = Key(ids[1], state=MISSING)
        elif kind < 0.8:
            usage = rng.choice(("SIGN_VERIFY", "ENCRYPT_DECRYPT"))
            keys[1] = Key(ids[1], spec="RSA_2048", usage=usage)
        else:
            keys[1] = Key(ids[1], allows_kinesis=False)
    aliases = {ALIASES[0]: ids[0], ALIASES[1]: ids[2], AWS_MANAGED_ALIAS: ids[3]}
    return tuple(keys), aliases


def _key_identifier(rng: Random, keys: tuple[Key, ...]) -> str:
    alias = rng.choice(ALIASES)
    return rng.choice(
        (
            keys[0].key_id,
            keys[0].arn,
            keys[1].key_id,
            keys[1].arn,
            alias,
            arn("kms", alias),
            AWS_MANAGED_ALIAS,
            keys[2].arn,
        )
    )


def _stream(rng: Random, keys: tuple[Key, ...]) -> State:
    kind = rng.random()
    created = BEGIN - rng.uniform(100, 10_000_000)
    if kind < 0.6:
        return State("ACTIVE", None, created)
    if kind < 0.95:
        return State("ACTIVE", _key_identifier(rng, keys), created)
    return NOTHING


def _operations(
    rng: Random, keys: tuple[Key, ...], timeout: int, *, invalid_properties: bool
) -> tuple[Operation, ...]:
    """User operations: create, some updates, usually a deletion, sometimes a new stack."""

    def gap() -> float:
        return rng.uniform(0, 1) * rng.choice((5.0, 60.0, 600.0, 7200.0))

    def deploy(properties: Properties) -> Operation:
        soon = rng.choice((0.5, 3.0, 20.0, 200.0)) * rng.random()
        return Operation(
            "deploy",
            gap(),
            properties,
            sibling_fails=rng.random() < 0.15,
            canceled_after=soon if rng.random() < 0.12 else float("inf"),
            renamed=rng.random() < 0.12,
        )

    properties = _first_properties(rng, keys, timeout)
    operations: list[Operation] = []
    for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
        if operations:
            properties = _next_properties(rng, keys, properties)
        bad = invalid_properties and rng.random() < 0.3
        operations.append(deploy(_with_invalid_value(rng, properties) if bad else properties))
        if rng.random() < 0.3:
            operations.append(Operation("retry", gap()))
    if rng.random() < 0.7:
        operations.append(Operation("delete", gap()))
        if rng.random() < 0.5:
            operations.append(Operation("retry", gap()))
        if rng.random() < 0.15:
            operations.append(deploy(_first_properties(rng, keys, timeout)))
    return tuple(operations)


def _first_properties(rng: Random, keys: tuple[Key, ...], timeout: int) -> Properties:
    properties = {
        **_naming(rng, STREAMS[0]),
        "KeyId": _key_identifier(rng, keys),
    }
    if timeout < 3600 or rng.random() < 0.5:  # CloudFormation's default
        properties["ServiceTimeout"] = str(timeout)
    if rng.random() < 0.2:
        properties["EncryptionType"] = "KMS"
    if rng.random() < 0.2:
        properties["Revision"] = "first"
    return properties


def _naming(rng: Random, stream: str) -> dict[str, str]:
    if rng.random() < 0.8:
        return {"StreamArn": stream}
    return {"StreamName": stream.split("/")[1]}


def _next_properties(rng: Random, keys: tuple[Key, ...], last: Properties) -> Properties:
    rest = {name: one for name, one in last.items() if not name.startswith("Stream")}
    stream = stream_arn(last)
    kind = rng.random()
    if kind < 0.25:
        return {**_naming(rng, STREAMS[1 - STREAMS.index(stream)]), **rest}
    if kind < 0.3:
        return {**_naming(rng, stream), **rest}
    if kind < 0.4:  # to have the stream checked again
        return {**last, "Revision": f"{rng.getrandbits(16):04x}"}
    return {**last, "KeyId": _key_identifier(rng, keys)}


def _with_invalid_value(rng: Random, valid: Properties) -> Properties:
    name, value = rng.choice(_INVALID_PROPERTIES)
    if name.startswith("Stream"):
        valid = {**valid, "StreamArn": stream_arn(valid)}
    if name == "StreamArn":
        valid = {key: one for key, one in valid.items() if key != "StreamName"}
    rest = {key: one for key, one in valid.items() if key != name}
    return rest if value is None else {**rest, name: value}


def _external_changes(rng: Random, keys: tuple[Key, ...], end: float) -> tuple[ExternalChange, ...]:
    changes = []
    for _ in range(rng.randint(1, 5)):
        when = BEGIN + rng.choice((rng.uniform(0, min(end, 60)), rng.uniform(0, end)))
        stream = rng.choice((STREAMS[0], STREAMS[0], STREAMS[1]))
        what = rng.choices(
            ("start", "stop", "delete", "recreate", "point alias", "set state"), (4, 3, 1, 1, 2, 1)
        )[0]
        match what:
            case "start":
                changes.append(ExternalChange(when, what, stream, _key_identifier(rng, keys)))
            case "recreate":
                changes.append(ExternalChange(when, "delete", stream))
                changes.append(ExternalChange(when + rng.uniform(35, 300), what, stream))
            case "point alias":
                changes.append(
                    ExternalChange(when, what, rng.choice(ALIASES), rng.choice(keys[:3]).key_id)
                )
            case "set state":
                key = rng.choice(keys[:3]).key_id
                changes.append(ExternalChange(when, what, key, "Disabled"))
                changes.append(ExternalChange(when + rng.uniform(1, 600), what, key, "Enabled"))
            case _:
                changes.append(ExternalChange(when, what, stream))
    return tuple(changes)


def _denials(rng: Random) -> tuple[Denial, ...]:
    actions = (
        "kinesis:DescribeStreamSummary",
        "kinesis:StartStreamEncryption",
        "kms:DescribeKey",
        "lambda:InvokeFunction",
        "cloudformation:DescribeStackResource",
    )
    denials = []
    if rng.random() < 0.7:  # a role that was just created
        for action in actions:
            lag = rng.choice((0.0, 2.0, 20.0, 50.0, 90.0)) * rng.random()
            denials.append(Denial(action, False, BEGIN + lag))
    else:  # a role without permissions, or with a deny
        lacking = rng.sample(actions, rng.randint(1, 2))
        denials = [Denial(one, rng.random() < 0.5, float("inf")) for one in lacking]
    return tuple(denials)


def _outages(rng: Random, end: float) -> tuple[Outage, ...]:
    outages = []
    for _ in range(rng.randint(1, 3)):
        begins = BEGIN + rng.choice((0.0, rng.uniform(0, end)))
        length = rng.choice((10.0, 60.0, 600.0, 5000.0)) * rng.random()
        kind = rng.choice(("503", "500", "429", "refusing", "unreachable", "slow"))
        outages.append(Outage(kind, begins, begins + length))
    return tuple(outages)
