"""The guard in `make demo`: another principal stops encryption, and the guard reports it."""

import sys
from collections.abc import Callable

from local_aws import folders
from local_aws.cdk import Cdk
from local_aws.deployed_guard import ALICE, DeployedGuard, poll
from local_aws.environment import LocalAws
from local_aws.scenario import ScenarioError, show

_STREAM, _STACK = "payments", "guarded-stream"
_APP = folders.PROJECT / "examples" / "guard.py"
_TIMEOUT = 90.0
_CLOUDFORMATION = "arn:aws:sts::000000000000:assumed-role/encryption/AWSCloudFormation"


class GuardDemo:
    """Runs and checks the guard; `heading` prints the heading of a step."""

    def __init__(self, aws: LocalAws, heading: Callable[[str], None]) -> None:
        self._aws, self._heading = aws, heading
        self._kinesis = aws.client("kinesis")
        self._cdk = Cdk(aws, app=f"{sys.executable} {_APP}", on_line=show)
        self._key = str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])

    def run(self) -> None:
        """Run all steps; raise ScenarioError at the first unexpected observation."""
        self._heading(f"deploy examples/guard.py: stream {_STREAM!r} is encrypted and guarded")
        self._kinesis.create_stream(StreamName=_STREAM, ShardCount=1)
        self._wait_for_key(None)
        guard = DeployedGuard(self._aws, self._deploy())
        guard.subscribe()
        self._wait_for_key(self._key)
        guard.send_api_call("StartStreamEncryption", _STREAM, _CLOUDFORMATION, keyId=self._key)
        if not poll(_TIMEOUT, lambda: guard.item(_STREAM).get("state") == "compliant"):
            raise ScenarioError(f"not compliant: {guard.item(_STREAM)}")

        self._heading(f"{ALICE.rsplit('/', 1)[-1]} stops its encryption")
        self._kinesis.stop_stream_encryption(
            StreamName=_STREAM, EncryptionType="KMS", KeyId=self._key
        )
        guard.send_api_call("StopStreamEncryption", _STREAM, ALICE)
        self._check_notification(guard, "unencrypted", ALICE)
        poll(5, lambda: not guard.item(_STREAM)["notifying_since"])
        item = guard.item(_STREAM)
        for name in ("state", "key", "since", "caller", "call"):
            show(f"table: {name} = {item[name]!r}")

        self._heading("deploy with another revision: the key is applied again and reported")
        self._deploy(revision="2")
        self._wait_for_key(self._key)
        guard.send_api_call("StartStreamEncryption", _STREAM, _CLOUDFORMATION, keyId=self._key)
        self._check_notification(guard, "compliant", _CLOUDFORMATION)

        self._heading("destroy the stack: the stream stays encrypted, the guard is removed")
        self._cdk.destroy(self._context())
        self._wait_for_key(self._key)
        if guard.outputs["TableName"] in self._aws.client("dynamodb").list_tables()["TableNames"]:
            raise ScenarioError("the table of the guard still exists")

    def _deploy(self, **context: str) -> dict[str, str]:
        return self._cdk.deploy(self._context() | context)[_STACK]

    def _context(self) -> dict[str, str]:
        return {"stream": _STREAM, "key": self._key, "stackName": _STACK}

    def _check_notification(self, guard: DeployedGuard, state: str, caller: str) -> None:
        notification = guard.next_notification(_TIMEOUT)
        if notification is None:
            raise ScenarioError(f"no notification: {guard.item(_STREAM)}")
        print(f"\n      NOTIFICATION {notification['Subject']}", flush=True)
        for line in notification["Message"].strip().splitlines()[1:]:
            show(f"  {line}")
        for line in (f"State: {state}\n", f"Changed by: {caller}\n"):
            if line not in notification["Message"]:
                raise ScenarioError(f"{line.strip()!r} is not in the notification")

    def _wait_for_key(self, key: str | None) -> None:
        def has_key() -> bool:
            response = self._kinesis.describe_stream_summary(StreamName=_STREAM)
            summary = response["StreamDescriptionSummary"]
            return (summary["StreamStatus"], summary.get("KeyId")) == ("ACTIVE", key)

        if not poll(_TIMEOUT, has_key):
            raise ScenarioError(f"the stream is not ACTIVE with key {key}")
