"""Output of `make template`; tests/local_aws deploys it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from cfnlint.decode import cfn_yaml

from kinesis_stream_encryption import KinesisStreamEncryptionProvider
from template.__main__ import write


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    write(folder)
    return folder


def test_function_has_the_defaults_of_the_construct(written: Path) -> None:
    app = App()
    KinesisStreamEncryptionProvider(Stack(app, "Stack"), "Provider")
    synthesized = app.synth().get_stack_by_name("Stack").template
    template = cfn_yaml.load(str(written / "provider.yaml"))
    names = ("Architectures", "Handler", "MemorySize", "Runtime", "Timeout")
    expected, found = function_of(synthesized), function_of(template)
    assert {name: found[name] for name in names} == {name: expected[name] for name in names}


def function_of(template: dict[str, Any]) -> dict[str, Any]:
    (properties,) = (
        each["Properties"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Lambda::Function"
    )
    return dict(properties)


def test_code_is_the_same_bytes_each_time(written: Path, tmp_path: Path) -> None:
    write(tmp_path)
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_cfn_lint_finds_nothing(written: Path) -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    # W3002 reports that the template is for `aws cloudformation package`.
    templates = map(str, written.glob("*.yaml"))
    command = [str(lint), "--ignore-checks", "W3002", "--", *templates]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_code_is_handler_and_crhelper_readable_for_all_users(written: Path) -> None:
    with zipfile.ZipFile(written / "handler.zip") as archive:
        entries = archive.infolist()
    assert {entry.filename.partition("/")[0] for entry in entries} == {
        "crhelper",
        "stream_encryption",
    }
    assert {entry.external_attr >> 16 & 0o777 for entry in entries} == {0o644}
