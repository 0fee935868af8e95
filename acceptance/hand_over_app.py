"""CDK app with a function that ends so soon that it has to hand over its wait."""

from aws_cdk import App, Duration, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider

# The wait is handed over halfway to the sixteen seconds that an invocation keeps for its end.
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
    timeout=Duration.minutes(20),  # with more than 14, there is the right to hand over
    provider=provider,
)
function = provider.function.node.default_child
assert isinstance(function, lambda_.CfnFunction)  # noqa: S101
function.timeout = _FUNCTION_SECONDS
app.synth()
