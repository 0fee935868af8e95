"""A writer with IAM enforced, while a deployment switches the key of its stream.

The emulator's Kinesis asks no key. The test asks KMS as Kinesis does, with the writer's rights and
for the key that the stream has: `GenerateDataKey` with the stream as encryption context.

Streams change in an instant here. For some seconds to lie between the policies and the switch, the
custom resource waits for another one, which waits for the policies and settles for five seconds.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws
from tests.local_aws.deployment import Deployment, client_of_role, encryption, make_key, make_stream

pytestmark = pytest.mark.timeout(300)


class Writer:
    """Writes all the time, and keeps when it was denied the key that its stream had."""

    def __init__(self, aws: LocalAws, role: str, stream: str) -> None:
        self._aws, self._stream = aws, stream
        self._kinesis = client_of_role(aws, role, "kinesis")
        self._kms = client_of_role(aws, role, "kms")
        self.keys: list[str] = []
        self.denied: list[str] = []

    def write(self) -> None:
        """Write one record, under the key that the stream has before and after."""
        while True:
            key = self._key()
            refusal = self._refusal(key)
            if self._key() == key:
                break
        self.keys.append(key)
        if refusal is not None:
            self.denied.append(refusal)

    def may_use(self, key: str) -> bool:
        return self._refusal(key) is None

    @contextmanager
    def running(self) -> Iterator[None]:
        stopped = threading.Event()

        def run() -> None:
            while not stopped.is_set():
                self.write()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _key(self) -> str:
        _, _, key = encryption(self._aws, self._stream)
        assert key
        return key

    def _refusal(self, key: str) -> str | None:
        try:
            self._kinesis.put_record(
                StreamName=self._stream.rsplit("/", 1)[1], Data=b"record", PartitionKey="1"
            )
            self._kms.generate_data_key(
                KeyId=key,
                KeySpec="AES_256",
                EncryptionContext={"aws:kinesis:arn": self._stream},
            )
        except ClientError as error:
            return f"{time.monotonic():.3f} {key}: {error}"
        return None


@pytest.fixture
def deployment(local_aws_iam: LocalAws) -> Iterator[Deployment]:
    deployment = Deployment(local_aws_iam)
    yield deployment
    if deployment.exists:
        deployment.destroy()


def test_a_writer_is_never_denied_the_key_in_use(
    local_aws_iam: LocalAws, deployment: Deployment
) -> None:
    aws = local_aws_iam
    stream, first, second = make_stream(aws), make_key(aws), make_key(aws)
    slow = {"stream": make_stream(aws), "key": first}
    wanted = {"stream": stream, "key": first, "writer": True}
    outputs = deployment.deploy(Slow=slow, Encryption=wanted)
    writer = Writer(aws, outputs["WriterArn"], stream)
    assert writer.may_use(first)
    assert not writer.may_use(second), "IAM is enforced"

    with writer.running():
        deployment.deploy(Slow={**slow, "key": second}, Encryption={**wanted, "key": second})
    assert writer.denied == []
    assert set(writer.keys) == {first, second}, "it wrote before and after the switch"
    assert not writer.may_use(first), "the former right is gone in the end"


def test_a_writer_is_not_denied_it_in_a_rollback_either(
    local_aws_iam: LocalAws, deployment: Deployment
) -> None:
    aws = local_aws_iam
    stream, first, second = make_stream(aws), make_key(aws), make_key(aws)
    unfit = make_key(aws, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    slow = {"stream": make_stream(aws), "key": first}
    wanted = {"stream": stream, "key": first, "writer": True}
    outputs = deployment.deploy(Slow=slow, Encryption=wanted)
    writer = Writer(aws, outputs["WriterArn"], stream)

    with writer.running():
        reason = deployment.fails(
            Slow={**slow, "key": second},
            Encryption={**wanted, "key": second},
            Unfit={"stream": make_stream(aws), "key": unfit, "after": "Encryption"},
        )
    assert unfit in reason
    assert deployment.describe()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert writer.denied == []
    switches = [key for number, key in enumerate(writer.keys) if [key] != writer.keys[:number][-1:]]
    assert switches == [first, second, first], "it was switched there and back"
    assert encryption(aws, stream) == ("ACTIVE", "KMS", first)
    assert not writer.may_use(second)
