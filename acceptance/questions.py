"""What is asked of AWS, and what the product assumes: the rows of the report.

docs/aws-evidence.md names each of them beside the assumption that it settles.
"""

from typing import NamedTuple


class Question(NamedTuple):
    """A row of the report before it is answered; `assumed` is None where nothing is known."""

    question: str
    assumed: str | None


PROBE = {
    "stop-in-plaintext": Question("Stop on a plaintext stream", "InvalidArgumentException"),
    "missing-stream": Question("Start on no stream", "ResourceNotFoundException"),
    "type-none": Question("Start with EncryptionType NONE", "refused"),
    "first-look": Question("description right after the first Start", "UPDATING, NONE"),
    "updating-type": Question("EncryptionType during the first UPDATING", "NONE"),
    "updating-records": Question("records written during the first UPDATING", None),
    "settling": Question("last plaintext record after ACTIVE", "5 s at most"),
    "same-key": Question("Start with the key that the stream has", "accepted, then UPDATING"),
    "start-while-updating": Question("Start while UPDATING", "ResourceInUseException"),
    "echo-key-arn": Question("KeyId described after a key ARN", "key-arn"),
    "echo-key-id": Question("KeyId described after a key id", "key-id"),
    "echo-alias": Question("KeyId described after an alias", None),
    "echo-alias-arn": Question("KeyId described after an alias ARN", None),
    "echo-aws-managed": Question("KeyId described after alias/aws/kinesis", "aws-managed"),
    "missing-key": Question("Start with a key that does not exist", "KMSNotFoundException"),
    "disabled-key": Question("Start with a disabled key", "KMSDisabledException"),
    "deleted-key": Question("Start with a key pending deletion", "KMSInvalidStateException"),
    "updating-time": Question("seconds of UPDATING, each change", None),
    "start-after-active": Question("Starts refused although described ACTIVE", None),
}
QUOTA = {
    "quota-words": Question("words of the spent quota", "Rate exceeded for stream"),
    "quota-count": Question("changes accepted before that, the same key's included", "25"),
}
