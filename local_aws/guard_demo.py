"""The guard's chapter of `make demo`: somebody ends a stream's encryption, and is told of."""

import sys
from collections.abc import Callable
from typing import Any

from local_aws import folders
from local_aws.cdk import Cdk
from local_aws.environment import LocalAws
from local_aws.guarding import ALICE, Guarding, within

_STREAM, _STACK = "payments", "guarded-stream"
_APP = folders.PROJECT / "examples" / "guard.py"
_PATIENCE = 90.0
_CLOUDFORMATION = "arn:aws:sts::000000000000:assumed-role/encryption/AWSCloudFormation"


class GuardDemoError(RuntimeError):
    """Something is not as the chapter says it is."""


class GuardDemo:
    """Tells and checks the chapter; `say` prints the heading of a step."""

    def __init__(self, aws: LocalAws, say: Callable[[str], None]) -> None:
        self._aws, self._say = aws, say
        self._kinesis = aws.client("kinesis")
        self._cdk = Cdk(aws, app=f"{sys.executable} {_APP}", on_line=_show)
        self._key = str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])

    def run(self) -> None:
        """Run all steps; raise at the first thing that is not as it should be."""
        self._say(f"deploy examples/guard.py: stream {_STREAM!r} is encrypted, and guarded")
        self._kinesis.create_stream(StreamName=_STREAM, ShardCount=1)
        self._until_active(None)
        guarding = Guarding(self._aws, self._deploy())
        guarding.subscribe()
        self._until_active(self._key)
        guarding.tell("StartStreamEncryption", _STREAM, _CLOUDFORMATION, keyId=self._key)
        if not within(_PATIENCE, lambda: guarding.row(_STREAM).get("state") == "compliant"):
            raise GuardDemoError(
                f"the table does not show it as compliant: {guarding.row(_STREAM)}"
            )

        self._say(f"somebody ends its encryption: {ALICE.rsplit('/', 1)[-1]}, by hand")
        self._stop(guarding)
        within(5, lambda: not guarding.row(_STREAM)["notifying_since"])
        row = guarding.row(_STREAM)
        for name in ("state", "key", "since", "caller", "call"):
            _show(f"table: {name} = {row[name]!r}")

        self._say("deploy with another revision and remediation: encrypted again, and reported")
        self._deploy(revision="2", remediation="1")
        self._until_active(self._key)
        guarding.tell("StartStreamEncryption", _STREAM, _CLOUDFORMATION, keyId=self._key)
        self._told(guarding, "compliant", _CLOUDFORMATION)

        self._say("encryption is stopped again: the guard restores it, and reports it")
        self._stop(guarding)
        self._reported(guarding, "restored")
        self._until_active(self._key)

        self._say("the owner insists: after one change, as configured, the guard yields")
        if not within(_PATIENCE, lambda: guarding.row(_STREAM).get("state") == "compliant"):
            raise GuardDemoError(f"the table does not show it: {guarding.row(_STREAM)}")
        self._stop(guarding)
        self._reported(guarding, "yielded")
        self._until_active(None)
        self._kinesis.start_stream_encryption(
            StreamName=_STREAM, EncryptionType="KMS", KeyId=self._key
        )
        self._until_active(self._key)

        self._say("destroy the stack: the stream stays encrypted, of the guard nothing is left")
        self._cdk.destroy(context=self._context())
        self._until_active(self._key)
        tables = self._aws.client("dynamodb").list_tables()["TableNames"]
        if guarding.outputs["TableName"] in tables:
            raise GuardDemoError("the guard's table is still there")

    def _deploy(self, **context: str) -> dict[str, str]:
        outputs = self._cdk.deploy(context=self._context() | context).outputs
        return outputs[_STACK]

    def _context(self) -> dict[str, str]:
        return {"stream": _STREAM, "key": self._key, "stackName": _STACK}

    def _stop(self, guarding: Guarding) -> None:
        self._kinesis.stop_stream_encryption(
            StreamName=_STREAM, EncryptionType="KMS", KeyId=self._key
        )
        guarding.tell("StopStreamEncryption", _STREAM, ALICE)
        self._told(guarding, "unencrypted", ALICE)

    def _reported(self, guarding: Guarding, outcome: str) -> None:
        self._notified(guarding, f"Outcome: {outcome}\n", f"Changed by: {ALICE} (")

    def _told(self, guarding: Guarding, state: str, caller: str) -> None:
        self._notified(guarding, f"State: {state}\n", f"Changed by: {caller}\n")

    def _notified(self, guarding: Guarding, *lines: str) -> None:
        told: dict[str, Any] | None = guarding.told(_PATIENCE)
        if told is None:
            raise GuardDemoError(f"nothing is told: {guarding.row(_STREAM)}")
        print(f"\n      NOTIFICATION {told['Subject']}", flush=True)
        for line in told["Message"].strip().splitlines()[1:]:
            _show(f"  {line}")
        print(flush=True)
        for wanted in lines:
            if wanted not in told["Message"]:
                raise GuardDemoError(f"{wanted.strip()!r} is not in the notification")

    def _until_active(self, key: str | None) -> None:
        def is_so() -> bool:
            answer = self._kinesis.describe_stream_summary(StreamName=_STREAM)
            found = answer["StreamDescriptionSummary"]
            return (found["StreamStatus"], found.get("KeyId")) == ("ACTIVE", key)

        if not within(_PATIENCE, is_so):
            raise GuardDemoError(f"the stream is not ACTIVE with key {key}")


def _show(line: str) -> None:
    print(f"      {line}", flush=True)
