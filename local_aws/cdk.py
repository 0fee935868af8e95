"""Runs the CDK CLI on a local AWS or on an AWS account."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local_aws import folders, process

_CLI = folders.NODE_MODULES / "aws-cdk" / "bin" / "cdk"
_TIMEOUT_SECONDS = 600
_NO_CONTEXT: Mapping[str, str] = {}
_run_numbers = itertools.count(1)


class Target(Protocol):
    """A local AWS or an account.

    The CLI writes to `folder`; `process_environment` contains the credentials and the tools.
    """

    @property
    def account(self) -> str: ...  # noqa: D102
    @property
    def region(self) -> str: ...  # noqa: D102
    @property
    def folder(self) -> Path: ...  # noqa: D102
    def client(self, service: str) -> Any: ...  # noqa: D102
    def process_environment(self) -> dict[str, str]: ...  # noqa: D102


class CdkError(RuntimeError):
    """The CDK CLI failed; the message contains its output."""


@dataclass(frozen=True)
class Cdk:
    """One CDK app on one AWS.

    The app is `app`, a command or a cloud assembly; by default that of this project's `cdk.json`.
    """

    aws: Target
    app: str | None = None
    on_line: Callable[[str], None] | None = None

    def bootstrap(self) -> None:
        """Bootstrap account and Region."""
        # In the folder of an app, the CLI would synthesize it.
        self._run(["bootstrap", f"aws://{self.aws.account}/{self.aws.region}"], self.aws.folder)

    def deploy(self, context: Mapping[str, str] = _NO_CONTEXT) -> dict[str, dict[str, str]]:
        """Deploy all stacks and return the outputs of each.

        Raises
        ------
        CdkError
            If a deployment fails, with CloudFormation's reason.
        """
        assembly = self._new_assembly()
        outputs = assembly / "outputs.json"
        self._run(
            [
                *("deploy", "--all", "--require-approval", "never", "--progress", "events"),
                *("--outputs-file", str(outputs)),
                *self._app_options(assembly, context),
            ]
        )
        found: dict[str, dict[str, str]]
        found = json.loads(outputs.read_text()) if outputs.exists() else {}
        return found

    def destroy(self, context: Mapping[str, str] = _NO_CONTEXT) -> None:
        """Destroy all stacks."""
        options = self._app_options(self._new_assembly(), context)
        self._run(["destroy", "--all", "--force", *options])

    def _new_assembly(self) -> Path:
        """Create a folder for each run, because the CLI locks it."""
        assembly = self.aws.folder / "tmp" / "cdk" / str(next(_run_numbers))
        assembly.mkdir(parents=True)
        return assembly

    def _app_options(self, assembly: Path, context: Mapping[str, str]) -> list[str]:
        options = ["--output", str(assembly / "cdk.out")]
        if self.app is not None:
            options += ["--app", self.app]
        for name, value in context.items():
            options += ["--context", f"{name}={value}"]
        return options

    def _run(self, arguments: Sequence[str], folder: Path = folders.PROJECT) -> None:
        completed = process.run(
            [str(folders.NODE), str(_CLI), *arguments, "--no-notices"],
            environment=self.aws.process_environment(),
            folder=folder,
            seconds=_TIMEOUT_SECONDS,
            on_line=self.on_line,
        )
        if completed.exit_code:
            command = " ".join(completed.command)
            raise CdkError(f"cdk ended with {completed.exit_code}: {command}\n{completed.output}")
