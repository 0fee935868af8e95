"""CDK's own producers and consumers, while deployments switch the key of their stream.

IAM is enforced, but the emulator's Kinesis does not use KMS. The test calls KMS as Kinesis does,
with the role of each integration and the stream as encryption context: GenerateDataKey with the
key that the stream has, for a record; Decrypt for the records of each key that the stream has had.

Streams change in an instant here. For some seconds to lie between the policies and the switch, the
custom resource waits for another one, which waits for the policies and then for propagation.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws
from tests.local_aws.deployment import Deployment, client_of_role, encryption, make_key, make_stream

pytestmark = pytest.mark.timeout(300)

DECRYPT, GENERATE = "kms:Decrypt", "kms:GenerateDataKey"


@dataclass(frozen=True)
class Principal:
    """The role of an integration, and KMS with its permissions."""

    role: str
    kms: Any


class Traffic:
    """Requests of all producers and consumers, one after the other, for as long as it runs.

    Attributes
    ----------
    keys
        The key that the stream had at each record.
    denied
        What was denied although the stream had the key.
    """

    def __init__(self, aws: LocalAws, deployment: Deployment, stream: str) -> None:
        self._aws, self._stream = aws, stream
        self._context = {"aws:kinesis:arn": stream}
        principals = {
            action: [Principal(role, client_of_role(aws, role, "kms")) for role in roles]
            for action, roles in roles_by_action(aws, deployment).items()
        }
        self.producers, self.consumers = principals[GENERATE], principals[DECRYPT]
        self.keys: list[str] = []
        self.denied: list[str] = []
        self._records: dict[str, bytes] = {}

    def write(self, producer: Principal) -> None:
        """Write a record, with the key that the stream has before and after."""
        while True:
            key = self._key()
            try:
                record, denial = self.encrypt(producer, key), None
            except ClientError as error:
                record, denial = b"", error
            if self._key() == key:
                break
        self.keys.append(key)
        if denial is None:
            self._records[key] = record
        else:
            self._note(producer, key, denial)

    def read(self, consumer: Principal) -> None:
        """Read a record of each key that the stream has had."""
        for key in tuple(self._records):
            try:
                self.decrypt(consumer, key)
            except ClientError as error:
                self._note(consumer, key, error)

    def encrypt(self, producer: Principal, key: str) -> bytes:
        response = producer.kms.generate_data_key(
            KeyId=key, KeySpec="AES_256", EncryptionContext=self._context
        )
        return bytes(response["CiphertextBlob"])

    def decrypt(self, consumer: Principal, key: str) -> None:
        consumer.kms.decrypt(CiphertextBlob=self._records[key], EncryptionContext=self._context)

    @contextmanager
    def running(self) -> Iterator[None]:
        stopped = threading.Event()

        def run() -> None:
            while not stopped.is_set():
                for producer in self.producers:
                    self.write(producer)
                for consumer in self.consumers:
                    self.read(consumer)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    @property
    def switches(self) -> list[str]:
        """The keys that the stream had, one after the other."""
        return [key for number, key in enumerate(self.keys) if [key] != self.keys[:number][-1:]]

    def _key(self) -> str:
        _, _, key = encryption(self._aws, self._stream)
        assert key
        return key

    def _note(self, principal: Principal, key: str, error: ClientError) -> None:
        self.denied.append(f"{time.monotonic():.3f} {principal.role} {key}: {error}")


def roles_by_action(aws: LocalAws, deployment: Deployment) -> dict[str, list[str]]:
    """ARNs of the roles that the deployed policies allow to use a key, by what they allow."""
    cloudformation, iam = aws.client("cloudformation"), aws.client("iam")
    found = cloudformation.describe_stack_resources(StackName=deployment.stack)["StackResources"]
    names = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
    template = cloudformation.get_template(StackName=deployment.stack)["TemplateBody"]
    roles: dict[str, list[str]] = {DECRYPT: [], GENERATE: []}
    for each in template["Resources"].values():
        if each["Type"] == "AWS::IAM::Policy":
            action = each["Properties"]["PolicyDocument"]["Statement"][0]["Action"]
            for role in each["Properties"]["Roles"] if action in (DECRYPT, GENERATE) else []:
                arn = iam.get_role(RoleName=names[role["Ref"]])["Role"]["Arn"]
                roles[action] = sorted({*roles[action], arn})
    return roles


@dataclass(frozen=True)
class Deployed:
    """A stack with integrations that have access to the current key.

    Attributes
    ----------
    first, second
        The key of the stream, and one that consumers can decrypt with already.
    slow, options
        Options of the two constructs of the stack.
    """

    deployment: Deployment
    traffic: Traffic
    stream: str
    first: str
    second: str
    slow: dict[str, Any]
    options: dict[str, Any]


@pytest.fixture(scope="module")
def deployed(local_aws_iam: LocalAws) -> Iterator[Deployed]:
    aws, deployment = local_aws_iam, Deployment(local_aws_iam)
    stream, first, second = make_stream(aws), make_key(aws), make_key(aws)
    slow = {"stream": make_stream(aws), "key": first}
    options = {"stream": stream, "key": first, "previous": [second], "integrations": True}
    deployment.deploy(Slow=slow, Encryption=options)
    traffic = Traffic(aws, deployment, stream)
    assert (len(traffic.producers), len(traffic.consumers)) == (3, 2)
    yield Deployed(deployment, traffic, stream, first, second, slow, options)
    deployment.destroy()


def test_a_rollback_denies_no_principal(deployed: Deployed, local_aws_iam: LocalAws) -> None:
    """This includes records that were written between the switch and its rollback."""
    aws, traffic, first, second = local_aws_iam, deployed.traffic, deployed.first, deployed.second
    unsuitable = make_key(aws, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    with traffic.running():
        reason = deployed.deployment.deploy_and_fail(
            Slow={**deployed.slow, "key": second},
            Encryption={**deployed.options, "key": second, "previous": [first]},
            Unsuitable={"stream": make_stream(aws), "key": unsuitable, "after": "Encryption"},
        )
    assert unsuitable in reason
    assert deployed.deployment.describe()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert traffic.denied == []
    assert traffic.switches == [first, second, first]
    assert encryption(aws, deployed.stream) == ("ACTIVE", "KMS", first)
    for consumer in traffic.consumers:
        traffic.decrypt(consumer, first)
        traffic.decrypt(consumer, second)
    for producer in traffic.producers:
        traffic.encrypt(producer, first)
        with pytest.raises(ClientError, match="AccessDenied"):
            traffic.encrypt(producer, second)


def test_a_switch_denies_no_principal(deployed: Deployed, local_aws_iam: LocalAws) -> None:
    traffic, first, second = deployed.traffic, deployed.first, deployed.second
    traffic.keys.clear()
    with traffic.running():
        deployed.deployment.deploy(
            Slow={**deployed.slow, "key": second},
            Encryption={**deployed.options, "key": second, "previous": [first]},
        )
    assert traffic.denied == []
    assert traffic.switches == [first, second]
    assert encryption(local_aws_iam, deployed.stream) == ("ACTIVE", "KMS", second)
    for consumer in traffic.consumers:
        traffic.decrypt(consumer, first)
        traffic.decrypt(consumer, second)
    for producer in traffic.producers:
        traffic.encrypt(producer, second)
        with pytest.raises(ClientError, match="AccessDenied"):
            traffic.encrypt(producer, first)
