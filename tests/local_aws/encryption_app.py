"""CDK app of the tests: one stack, as the context `spec` (JSON) describes it."""

import json
from typing import Any

from aws_cdk import App, CfnOutput, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from kinesis_stream_encryption import KinesisStreamEncryption, KinesisStreamEncryptionProvider

app = App()
spec: dict[str, Any] = json.loads(app.node.get_context("spec"))
stack = Stack(app, spec["stack"])
provider = KinesisStreamEncryptionProvider(stack, "Provider")
function = provider.function.node.default_child
assert isinstance(function, lambda_.CfnFunction)
if "function_timeout" in spec:
    function.timeout = spec["function_timeout"]
for name, wanted in spec["resources"].items():
    encryption = KinesisStreamEncryption(
        stack,
        name,
        stream=kinesis.Stream.from_stream_arn(stack, f"{name}Stream", wanted["stream"]),
        encryption_key=kms.Key.from_key_arn(stack, f"{name}Key", wanted["key"]),
        removal_policy=RemovalPolicy[wanted.get("removal_policy", "RETAIN")],
        timeout=Duration.minutes(wanted.get("timeout", 2)),
        provider=provider,
    )
    if "service_timeout" in wanted:
        resource = encryption.node.find_child("Resource")
        assert isinstance(resource, CustomResource)
        default = resource.node.default_child
        default.add_property_override("ServiceTimeout", wanted["service_timeout"])  # type: ignore[union-attr]
    CfnOutput(stack, f"{name}KeyArn", value=encryption.key_arn)
    CfnOutput(stack, f"{name}Changed", value=encryption.changed)
CfnOutput(stack, "Function", value=provider.function.function_name)
app.synth()
