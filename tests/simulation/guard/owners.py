"""Owners change streams: manually, by another program, or by deploying the guard's stack."""

from __future__ import annotations

from functools import partial
from random import Random

from simulated_aws.guarded_account import GuardedAccount
from simulated_aws.kinesis import NOTHING, Stream
from simulated_aws.service import ServiceError, arn
from tests.simulation.guard.schedule import Deed, Deployment


class Owners:
    """Carries out deeds and deployments, and records them in the trail.

    Parameters
    ----------
    account
        The account; the key of its first guard is deployed.
    rng
        Source of durations.
    """

    def __init__(self, account: GuardedAccount, rng: Random) -> None:
        self._account, self._stage, self._rng = account, account.stage, rng
        self._kinesis, self._kms, self._trail = account.kinesis, account.kms, account.trail
        self._desired_key = account.guards[0].key

    def plan(self, deeds: list[Deed], deployments: list[Deployment]) -> None:
        """Let all of it happen in its time."""
        for deed in deeds:
            self._stage.scheduler.at(deed.when, partial(self._carry_out, deed))
        if deployments:
            self._stage.scheduler.spawn(partial(self._deploy_all, deployments))

    # Deeds

    def _carry_out(self, deed: Deed) -> None:
        self._stage.faults.count(f"people: {deed.what}")
        self._stage.journal.note(deed.caller, deed.what, deed.on, deed.value)
        try:
            self._do(deed)
        except ServiceError as error:  # its event has an error code, so the rule leaves it out
            self._stage.journal.note(deed.caller, "was refused:", error.code)

    def _do(self, deed: Deed) -> None:
        record = partial(self._trail.record, stream=deed.on, caller=deed.caller)
        match deed.what:
            case "stop":
                self._kinesis.change(self._stream(deed.on), None, deed.caller)
                record("StopStreamEncryption", keyId="alias/aws/kinesis")
            case "start":
                self._kinesis.change(self._stream(deed.on), deed.value, deed.caller)
                record("StartStreamEncryption", keyId=deed.value)
            case "delete" if self._stream(deed.on).history.value.status == "ACTIVE":
                self._kinesis.delete(self._stream(deed.on))
                record("DeleteStream")
            case "create" if self._stream(deed.on).history.value == NOTHING:
                self._kinesis.create(self._stream(deed.on))
                record("CreateStream")
            case "point":
                self._kms.point_alias(deed.on, deed.value)
            case "tag" | "untag":
                self._tag(deed)

    def _tag(self, deed: Deed) -> None:
        if not self._stream(deed.on).history.value.status:
            return
        history = self._account.tags[deed.on]
        tags = {key: value for key, value in history.value.items() if key != deed.value}
        if deed.what == "tag":
            tags[deed.value] = "pii"
        history.set(self._stage.scheduler.now, tags)
        pair = {"tag": ("AddTagsToStream", "TagResource")}.get(
            deed.what, ("RemoveTagsFromStream", "UntagResource")
        )
        self._trail.record(self._rng.choice(pair), deed.on, deed.caller)

    def _stream(self, name: str) -> Stream:
        return self._kinesis.streams[arn("kinesis", f"stream/{name}")]

    # Deployments

    def _deploy_all(self, deployments: list[Deployment]) -> None:
        scheduler = self._stage.scheduler
        for deployment in deployments:
            scheduler.sleep(deployment.when - scheduler.now)
            self._deploy(deployment)

    def _deploy(self, deployment: Deployment) -> None:
        scheduler, rng = self._stage.scheduler, self._rng
        before, streams = self._desired_key.value, deployment.streams
        self._become("UPDATE_IN_PROGRESS")
        self._switch(deployment.key, streams, guard_first=deployment.guard_first)
        if deployment.ends != "complete":
            self._become("UPDATE_ROLLBACK_IN_PROGRESS")
            if deployment.ends == "rollback failed":
                scheduler.sleep(rng.uniform(5, 60))
                self._become("UPDATE_ROLLBACK_FAILED")
                scheduler.sleep(deployment.failed_for)
                self._become("UPDATE_ROLLBACK_IN_PROGRESS")
            self._switch(before, streams, guard_first=deployment.guard_first)
            self._become("UPDATE_ROLLBACK_COMPLETE")
            return
        self._become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        scheduler.sleep(rng.uniform(1, 60))
        self._become("UPDATE_COMPLETE")

    def _become(self, status: str) -> None:
        self._account.set_stack_status(status)
        self._stage.journal.note("own stack", status)
        self._stage.faults.count(f"own stack: {status}")

    def _switch(self, key: str | None, streams: tuple[str, ...], *, guard_first: bool) -> None:
        steps = [partial(self._set_desired_key, key), partial(self._encrypt, key, streams)]
        for step in steps if guard_first else reversed(steps):
            self._stage.scheduler.sleep(self._rng.uniform(1, 30))
            step()

    def _set_desired_key(self, key: str | None) -> None:
        self._desired_key.set(self._stage.scheduler.now, key)
        self._stage.journal.note("own stack", "the guard's key is", key)
        # CloudFormation polls until the function's update is complete.
        self._stage.scheduler.sleep(4)

    def _encrypt(self, key: str | None, streams: tuple[str, ...]) -> None:
        """Do what the stack's custom resources do: start, wait, and wait for propagation."""
        scheduler = self._stage.scheduler
        for name in streams:
            stream = self._stream(name)
            for _ in range(60):
                if stream.history.value.status != "UPDATING":
                    break
                scheduler.sleep(20)
            if key is None or self._kms.same(stream.history.value.key, key, scheduler.now):
                continue
            try:
                self._kinesis.change(stream, key, "cloudformation")
            except ServiceError:
                continue
            self._trail.record("StartStreamEncryption", name, "cloudformation", keyId=key)
            while stream.history.value.status == "UPDATING":
                scheduler.sleep(2)
            scheduler.sleep(5)
