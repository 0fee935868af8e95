"""The Lambda asset: its files, and a hash that depends on nothing else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import crhelper
import pytest
from aws_cdk import App, Stack

from kinesis_stream_encryption import (
    GuardedStreams,
    KinesisStreamEncryptionProvider,
    StreamEncryptionGuard,
)
from tests.synth.templates import properties

CHECKOUT = Path(__file__).parents[2]
CRHELPER = Path(crhelper.__file__).parent

SYNTH = """
import sys
from pathlib import Path
from aws_cdk import App, Stack

for checkout in Path(sys.argv[1]).iterdir():
    sys.path.insert(0, str(checkout / "constructs"))
    for name in [each for each in sys.modules if each.startswith("kinesis_stream_encryption")]:
        del sys.modules[name]
    from kinesis_stream_encryption import (
        GuardedStreams, KinesisStreamEncryptionProvider, StreamEncryptionGuard
    )
    makers = {
        "out": lambda stack: KinesisStreamEncryptionProvider(stack, "Provider"),
        "guard": lambda stack: StreamEncryptionGuard(stack, "G", streams=GuardedStreams.all()),
    }
    for folder, make in makers.items():
        app = App(outdir=str(checkout / folder))
        try:
            make(Stack(app, "Stack"))
            app.synth()
        except Exception as error:
            (checkout / "error").write_text(str(error))
"""


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("asset"))


def synthesize(folder: Path) -> Path:
    """Synthesize an app into a folder, and return its only asset."""
    app = App(outdir=str(folder))
    KinesisStreamEncryptionProvider(Stack(app, "Stack"), "Provider")
    app.synth()
    return _asset(folder)


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the checkout, each with one change, and synthesized into its folder `out`.

    Another process synthesizes them, with a umask that removes permissions of other users.
    """
    folder = tmp_path_factory.mktemp("checkouts")
    for name, change in CHANGES.items():
        for part in ("constructs/kinesis_stream_encryption", "lambda/stream_encryption"):
            shutil.copytree(
                CHECKOUT / part, folder / name / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        change(folder / name / "lambda" / "stream_encryption")
    subprocess.run(
        [sys.executable, "-c", SYNTH, str(folder)], check=True, umask=0o077, capture_output=True
    )
    return folder


def _store_differently(package: Path) -> None:
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "handler.cpython-314.pyc").write_bytes(b"compiled")
    (package / "notes.txt").write_text("left over")
    for path in package.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        path.chmod(0o600)
        os.utime(path, (0, 0))


def _change(package: Path) -> None:
    with (package / "handler.py").open("a") as handler:
        handler.write("# changed\n")


def _change_guard(package: Path) -> None:
    with (package / "guard" / "check.py").open("a") as module:
        module.write("# changed\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "unchanged": lambda _package: None,
    "stored differently": _store_differently,
    "changed": _change,
    "guard changed": _change_guard,
    "renamed": lambda package: (package / "handler.py").rename(package / "renamed.py"),
    "missing": lambda package: shutil.rmtree(package.parent),
}


def test_contains_exactly_the_sources_of_handler_and_crhelper(asset: Path) -> None:
    expected = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for root, package in (
            (CHECKOUT / "lambda", "stream_encryption"),
            (CRHELPER.parent, "crhelper"),
        )
        for path in (root / package).rglob("*.py")
        if "guard" not in path.relative_to(root).parts
    }
    present = {
        path.relative_to(asset).as_posix(): path.read_bytes()
        for path in asset.rglob("*")
        if path.is_file()
    }
    assert present == expected
    assert "stream_encryption/handler.py" in present


def test_can_be_imported_without_other_packages_of_the_project(asset: Path) -> None:
    """The Lambda runtime contains boto3; the asset must contain everything else."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import crhelper, stream_encryption.handler as handler;"
        "assert callable(handler.on_event);"
        "print(crhelper.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(asset)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1"},
    )
    assert done.stdout.startswith(str(asset))


def test_contains_the_guard_only_for_the_guard_function(checkouts: Path) -> None:
    """A change of the guard must not update the provider functions."""
    encryption, guard = (_asset(checkouts / "unchanged" / folder) for folder in ("out", "guard"))
    changed = checkouts / "guard changed"
    assert _asset(changed / "out").name == encryption.name
    assert _asset(changed / "guard").name != guard.name
    files = {path.relative_to(guard).as_posix() for path in guard.rglob("*.py")}
    shared = {path.relative_to(encryption).as_posix() for path in encryption.rglob("*.py")}
    assert shared < files
    assert {Path(name).parts[1] for name in files - shared} == {"guard"}


@pytest.mark.parametrize("checkout", ["unchanged", "stored differently"])
def test_is_identical_in_another_checkout(asset: Path, checkouts: Path, checkout: str) -> None:
    found = _asset(checkouts / checkout / "out")
    assert found.name == asset.name
    handler = "stream_encryption/handler.py"
    assert (found / handler).read_bytes() == (asset / handler).read_bytes()


@pytest.mark.parametrize("checkout", ["changed", "renamed"])
def test_hash_changes_with_the_handler(asset: Path, checkouts: Path, checkout: str) -> None:
    assert _asset(checkouts / checkout / "out").name != asset.name


def test_file_modes_do_not_depend_on_the_umask(checkouts: Path) -> None:
    for path in _asset(checkouts / "unchanged" / "out").rglob("*"):
        needed = 0o755 if path.is_dir() else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == needed


def test_missing_handler_is_reported_with_the_remedy(checkouts: Path) -> None:
    error = (checkouts / "missing" / "error").read_text()
    assert "the Lambda handler 'stream_encryption' is missing" in error


def test_leaves_no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    synthesize(tmp_path / "out")
    assert list(temporary.iterdir()) == []


def _key(app: App) -> str:
    """S3 key of the asset."""
    stack = Stack(app, "Stack")
    KinesisStreamEncryptionProvider(stack, "Provider")
    return str(properties(stack, "AWS::Lambda::Function")["Code"]["S3Key"])


def test_differs_if_cdk_skips_bundling() -> None:
    """Otherwise, that assembly would upload code without crhelper under the same hash."""
    assert _key(App(context={"aws:cdk:bundling-stacks": []})) != _key(App())


def test_does_not_depend_on_modules_of_the_app(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = _key(App())
    (tmp_path / "crhelper.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "crhelper", raising=False)
    assert _key(App()) == expected


def _asset(folder: Path) -> Path:
    (asset,) = folder.glob("asset.*")
    return asset


def test_encryption_and_guard_of_one_stack_have_their_own_code(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    stack = Stack(app, "Stack")
    KinesisStreamEncryptionProvider(stack, "Provider")
    StreamEncryptionGuard(stack, "Guard", streams=GuardedStreams.all())
    app.synth()
    guards = [(each / "stream_encryption" / "guard").is_dir() for each in tmp_path.glob("asset.*")]
    assert sorted(guards) == [False, True]
