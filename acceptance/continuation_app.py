"""CDK app whose function times out so early that its wait continues in a new invocation."""

from aws_cdk import App, Duration, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider

# An invocation reserves its last 16 s for the response, so this leaves 4 s for the wait.
_FUNCTION_SECONDS = 20

app = App()
context = app.node.get_context
stack = Stack(app, context("stack"))
provider = KinesisStreamEncryptionProvider(stack, "Provider")
KinesisStreamEncryption(
    stack,
    "Encryption",
    stream=kinesis.Stream.from_stream_arn(stack, "Stream", context("stream")),
    encryption_key=kms.Key.from_key_arn(stack, "Key", context("key")),
    timeout=Duration.minutes(20),  # above 14 minutes, the function may invoke itself
    provider=provider,
)
function = provider.function.node.default_child
assert isinstance(function, lambda_.CfnFunction)  # noqa: S101
function.timeout = _FUNCTION_SECONDS
app.synth()
