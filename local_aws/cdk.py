"""The real CDK CLI, run against an AWS."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local_aws import folders, process

_CLI = folders.NODE_MODULES / "aws-cdk" / "bin" / "cdk"
_NO_CONTEXT: Mapping[str, str] = {}
_runs = itertools.count(1)


class Target(Protocol):
    """An AWS that can be deployed to: a local one, or an account.

    `folder` is for what the CLI writes; `process_environment` has the credentials and the tools.
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
    """The CDK CLI failed; the message is all that it printed."""

    def __init__(self, completed: process.Completed) -> None:
        super().__init__(
            f"cdk ended with {completed.exit_code}: {' '.join(completed.command)}\n"
            f"{completed.output}"
        )
        self.completed = completed


@dataclass(frozen=True)
class Deployment:
    """What `cdk deploy` printed, and the outputs of each stack."""

    completed: process.Completed
    outputs: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Cdk:
    """One CDK app and the AWS that it is deployed to.

    `folder` is where the CLI runs; the app is what `cdk.json` there says, or `app`.
    """

    aws: Target
    folder: Path = folders.PROJECT
    app: str | None = None
    on_line: Callable[[str], None] | None = field(default=None, kw_only=True)
    seconds: float = field(default=600, kw_only=True)

    def bootstrap(self) -> process.Completed:
        """Bootstrap account and region; needs no app."""
        target = f"aws://{self.aws.account}/{self.aws.region}"
        # Outside the app's folder: with one, the CLI would synthesize it for nothing.
        return self._run(["bootstrap", target], folder=self.aws.folder)

    def deploy(self, *stacks: str, context: Mapping[str, str] = _NO_CONTEXT) -> Deployment:
        """Deploy `stacks`, or all; raises CdkError with what CloudFormation said."""
        assembly = self._new_assembly()
        outputs = assembly / "outputs.json"
        completed = self._run(
            [
                *("deploy", *(stacks or ["--all"])),
                *("--require-approval", "never", "--progress", "events"),
                *("--outputs-file", str(outputs)),
                *self._app(assembly, context),
            ]
        )
        found = json.loads(outputs.read_text()) if outputs.exists() else {}
        return Deployment(completed, found)

    def destroy(self, *stacks: str, context: Mapping[str, str] = _NO_CONTEXT) -> process.Completed:
        """Destroy `stacks`, or all."""
        app = self._app(self._new_assembly(), context)
        return self._run(["destroy", *(stacks or ["--all"]), "--force", *app])

    def _new_assembly(self) -> Path:
        """A folder of its own for each run, so that none waits for another's lock."""
        assembly = self.aws.folder / "tmp" / "cdk" / str(next(_runs))
        assembly.mkdir(parents=True)
        return assembly

    def _app(self, assembly: Path, context: Mapping[str, str]) -> list[str]:
        options = ["--output", str(assembly / "cdk.out")]
        if self.app is not None:
            options += ["--app", self.app]
        for name, value in context.items():
            options += ["--context", f"{name}={value}"]
        return options

    def _run(self, arguments: Sequence[str], *, folder: Path | None = None) -> process.Completed:
        completed = process.run(
            [str(folders.NODE), str(_CLI), *arguments, "--no-notices"],
            environment=self.aws.process_environment(),
            folder=folder or self.folder,
            seconds=self.seconds,
            on_line=self.on_line,
        )
        if completed.exit_code:
            raise CdkError(completed)
        return completed
