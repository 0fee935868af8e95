"""The deployable app and the examples."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk
import pytest
from aws_cdk import App, cx_api
from aws_cdk.assertions import Template

from app import StreamEncryptionStack, main
from tests.synth.templates import KEY_ARN, TYPE, filled_in, stream_arn, waits_for

CHECKOUT = Path(__file__).parents[2]
PATH = os.environ["PATH"]
KEYS_BY_EXAMPLE = {
    "existing_stream": 1,
    "guard": 0,
    "key_switch": 2,
    "order_pipeline": 1,
    "producer_consumer": 1,
}

SynthesizeExample = Callable[..., cx_api.CloudFormationStackArtifact]


@pytest.fixture
def synthesize_example(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> SynthesizeExample:
    """Runs an example in this process, with the output folder and context that the CLI sets."""

    def synthesize(example: str, **context: str) -> cx_api.CloudFormationStackArtifact:
        folder = str(tmp_path_factory.mktemp(example))
        monkeypatch.setattr(aws_cdk, "App", lambda: App(outdir=folder, context=context))
        app: App = runpy.run_path(str(CHECKOUT / "examples" / f"{example}.py"))["app"]
        (stack,) = app.synth().stacks
        return stack

    return synthesize


def properties(template: dict[str, Any]) -> list[dict[str, Any]]:
    found = template["Resources"].values()
    return [each["Properties"] for each in found if each["Type"] == TYPE]


def test_cdk_cli_synthesizes_the_app_without_notices(tmp_path: Path) -> None:
    """cdk.json sets the recommended feature flags, so that the CLI prints no notice about them."""
    cdk = CHECKOUT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    context = ["-c", "stream=orders", "-c", "stackName=mine"]
    done = subprocess.run(
        ["node", str(cdk), "synth", "--quiet", *context, "--output", str(tmp_path)],
        cwd=CHECKOUT,
        env=os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), PATH])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "feature flags" not in done.stdout + done.stderr
    assert len(properties(json.loads((tmp_path / "mine.template.json").read_text()))) == 1


def test_invalid_context_exits_with_one_line() -> None:
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == (
        "error: the context 'stream' is missing: pass existing streams, cdk deploy "
        "-c stream=<name or ARN>,…"
    )


class TestContext:
    """The context of the app."""

    @staticmethod
    def synthesize(**context: str) -> dict[str, Any]:
        stack = StreamEncryptionStack(App(context=context), "Stack")
        found: dict[str, Any] = dict(Template.from_stack(stack).to_json())
        return found

    def test_stream_by_name(self) -> None:
        (found,) = properties(self.synthesize(stream="orders"))
        assert found["KeyId"] == "alias/aws/kinesis"
        assert "Revision" not in found
        assert found["ServiceTimeout"] == "660"
        assert filled_in(found["StreamArn"]) == stream_arn("orders")

    def test_stream_by_arn(self) -> None:
        (found,) = properties(self.synthesize(stream=stream_arn("orders")))
        assert found["StreamArn"] == stream_arn("orders")

    @pytest.mark.parametrize(
        ("key", "key_id"),
        [
            (KEY_ARN, KEY_ARN),
            (KEY_ARN.rsplit("/", 1)[1], KEY_ARN),
            ("alias/orders", "alias/orders"),
            ("arn:aws:kms:eu-central-1:111122223333:alias/orders", "alias/orders"),
        ],
    )
    def test_key(self, key: str, key_id: str) -> None:
        (found,) = properties(self.synthesize(stream="orders", key=key))
        assert filled_in(found["KeyId"]) == key_id

    def test_several_streams(self) -> None:
        template = self.synthesize(stream=f"orders, {stream_arn('payments')}", key="alias/orders")
        found = properties(template)
        assert [filled_in(each["StreamArn"]) for each in found] == [
            stream_arn("orders"),
            stream_arn("payments"),
        ]
        assert [each["KeyId"] for each in found] == ["alias/orders"] * 2
        assert len(template["Outputs"]) == 4

    def test_adding_a_stream_does_not_change_other_streams(self) -> None:
        one, two = (self.synthesize(stream=each) for each in ("orders", "payments,orders"))
        (id_,) = (id_ for id_, each in one["Resources"].items() if each["Type"] == TYPE)
        assert two["Resources"][id_]["Properties"] == one["Resources"][id_]["Properties"]

    def test_options(self) -> None:
        (found,) = properties(self.synthesize(stream="orders", revision="2", timeout="30"))
        assert found["Revision"] == "2"
        assert found["ServiceTimeout"] == "1860"

    def test_outputs(self) -> None:
        template = self.synthesize(stream="orders")
        (resource,) = (id_ for id_, each in template["Resources"].items() if each["Type"] == TYPE)
        outputs = {name: each["Value"] for name, each in template["Outputs"].items()}
        assert filled_in(outputs["StreamArn"]) == stream_arn("orders")
        assert outputs["KeyArn"] == {"Fn::GetAtt": [resource, "KeyArn"]}

    @pytest.mark.parametrize(
        ("context", "message"),
        [
            ({"stream": " , "}, "the context 'stream' is missing"),
            (
                {"stream": f"orders,{stream_arn('orders')}"},
                "the stream 'orders' is listed twice: list each stream once",
            ),
            *[
                (
                    {"stream": "orders", "key": key},
                    f"malformed key {key!r}: pass a key ID (1234abcd-12ab-34cd-56ef-1234567890ab), "
                    "a key ARN (arn:aws:kms:<region>:<account>:key/<key ID>), an alias "
                    "(alias/orders), or an alias ARN",
                )
                for key in (
                    "NONE",
                    "orders",
                    "key/1234abcd-12ab-34cd-56ef-1234567890ab",
                    "arn:aws:kms:eu-central-1:111122223333:key/NONE",
                    "arn:aws:kinesis:eu-central-1:111122223333:stream/orders",
                )
            ],
            ({"stream": "orders", "key": "alias/"}, "malformed alias name 'alias/'"),
            (
                {"stream": "orders", "timeout": "soon"},
                "malformed timeout 'soon': pass a whole number of minutes",
            ),
            ({"stream": "orders", "timeout": "61"}, "timeout 1 hour 1 minute is out of range"),
            ({"stream": "or ders"}, "malformed stream name 'or ders'"),
        ],
    )
    def test_invalid_context_is_rejected(self, context: dict[str, str], message: str) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            self.synthesize(**context)


@pytest.mark.parametrize(("example", "keys"), KEYS_BY_EXAMPLE.items())
def test_example(synthesize_example: SynthesizeExample, example: str, keys: int) -> None:
    stack = synthesize_example(example)
    (encryption,) = properties(stack.template)
    assert encryption["StreamArn"]["Fn::Join"][1][-1] == ":stream/orders"
    types = [each["Type"] for each in stack.template["Resources"].values()]
    assert types.count("AWS::KMS::Key") == keys
    assert [message.entry.data for message in stack.messages] == []


def test_every_example_is_tested() -> None:
    assert {path.stem for path in (CHECKOUT / "examples").glob("*.py")} == KEYS_BY_EXAMPLE.keys()


def test_order_pipeline_grants_rule_and_function_access_to_the_key(
    synthesize_example: SynthesizeExample,
) -> None:
    template = synthesize_example("order_pipeline").template["Resources"]
    (encryption,) = (each for each in template.values() if each["Type"] == TYPE)
    granted = {
        template[id_]["Properties"]["PolicyDocument"]["Statement"][0]["Action"]: role["Ref"]
        for id_ in encryption["DependsOn"]
        for role in template[id_]["Properties"]["Roles"]
        if "kms:EncryptionContext" in str(template[id_])
    }
    trusted = {
        action: template[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
        for action, role in granted.items()
    }
    assert {action: each["Principal"]["Service"] for action, each in trusted.items()} == {
        "kms:Decrypt": "lambda.amazonaws.com",
        "kms:GenerateDataKey": "events.amazonaws.com",
    }


def test_producer_starts_after_encryption(synthesize_example: SynthesizeExample) -> None:
    template = synthesize_example("producer_consumer").template["Resources"]
    (encryption,) = (id_ for id_, each in template.items() if each["Type"] == TYPE)
    waiting = {
        id_
        for id_, each in template.items()
        if each["Type"] == "AWS::Lambda::Function" and encryption in waits_for(template, id_)
    }
    assert [id_.startswith("Producer") for id_ in waiting] == [True]


def test_key_switch_changes_the_stream_key_and_the_key_permissions(
    synthesize_example: SynthesizeExample,
) -> None:
    steps: list[dict[str, str]] = [
        {},
        {"previous": "second"},
        {"key": "second", "previous": "first"},
        {"key": "second"},
    ]
    first, listed, switched, last = (
        synthesize_example("key_switch", **context).template["Resources"] for context in steps
    )
    assert types_changed(first, listed) == []
    assert len(listed.keys() - first.keys()) == 1, "the consumer's access to the second key"
    types = types_changed(listed, switched)
    assert types == ["AWS::IAM::Policy", TYPE], "the function's permissions and the resource"
    assert len(listed.keys() - switched.keys()) == 1, "the producer's access to the first key"
    assert len(switched.keys() - listed.keys()) == 1, "the producer's access to the second"
    assert types_changed(switched, last) == []
    assert len(switched.keys() - last.keys()) == 1, "the consumer's access to the first"
    assert first.keys() <= listed.keys()
    assert last.keys() <= switched.keys()


def types_changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Types of the resources that CloudFormation would update."""
    return sorted(
        before[id_]["Type"]
        for id_ in before.keys() & after.keys()
        if before[id_]["Properties"] != after[id_]["Properties"]
    )


def test_key_switch_alarms_on_missing_data(synthesize_example: SynthesizeExample) -> None:
    template = synthesize_example("key_switch").template
    alarms = {
        id_: each["Properties"]
        for id_, each in template["Resources"].items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert {each["MetricName"] for each in alarms.values()} == {
        "IncomingRecords",
        "GetRecords.IteratorAgeMilliseconds",
    }
    for alarm in alarms.values():
        assert alarm["TreatMissingData"] == "breaching"
        assert alarm["Period"] * alarm["EvaluationPeriods"] < 15 * 60, "the monitoring time"
    outputs = template["Outputs"].values()
    assert [each["Value"] for each in outputs] == [{"Fn::GetAtt": [id_, "Arn"]} for id_ in alarms]
