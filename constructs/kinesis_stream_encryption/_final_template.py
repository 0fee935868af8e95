"""Checks of the template that CloudFormation receives, with what Aspects and overrides changed.

Constructors run before Aspects, and constructs do not show what ``add_override`` has set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import CfnElement, ISynthesisSession, NestedStackSynthesizer, Stack, Stage, cx_api
from constructs import Construct, IValidation

__all__ = ["Resources", "check_final_template", "final_resource"]

# Resources of a stack by logical ID, as they are deployed.
Resources = Callable[[Stack], dict[str, Any]]
Check = Callable[[Resources], Iterable[str]]


@jsii.implements(IValidation)
class _Checks:
    """Those of all constructs of a stage, as each call between Python and CDK takes time."""

    def __init__(self) -> None:
        self.all: list[tuple[Construct, Check]] = []

    def validate(self) -> list[str]:
        found = cache(_render)
        return [f"{each.node.path}: {error}" for each, check in self.all for error in check(found)]


_CHECKS: WeakKeyDictionary[Stage, _Checks] = WeakKeyDictionary()


def check_final_template(scope: Construct, check: Check) -> None:
    """Have synthesis fail with the errors that a check returns; it may add warnings, too."""
    stage = cast(Stage, Stage.of(scope))
    if stage not in _CHECKS:
        _CHECKS[stage] = _Checks()
        stage.node.add_validation(_CHECKS[stage])
    _CHECKS[stage].all.append((scope, check))


def final_resource(element: CfnElement, resources: Resources) -> dict[str, Any]:
    """Return a resource as it is deployed; an empty one if the template does not contain it."""
    found: dict[str, Any] = resources(element.stack).get(
        element.stack.resolve(element.logical_id), {}
    )
    return found


@jsii.implements(ISynthesisSession)
class _Session:
    """What CDK uses of a session to write a template."""

    def __init__(self, folder: str) -> None:
        self._assembly = cx_api.CloudAssemblyBuilder(folder)

    @property
    def assembly(self) -> cx_api.CloudAssemblyBuilder:
        return self._assembly


def _render(stack: Stack) -> dict[str, Any]:
    """Write the template as CDK will, but elsewhere.

    ``Stage.synth(force=True)`` would visit every construct with every Aspect once more, which many
    Aspects do not stand. The synthesizer of nested stacks writes the template and nothing else.
    """
    with TemporaryDirectory() as folder:
        synthesizer = NestedStackSynthesizer(stack.synthesizer)
        synthesizer.bind(stack)
        synthesizer.synthesize(cast(ISynthesisSession, _Session(folder)))
        template = json.loads(Path(folder, stack.template_file).read_text())
        return cast("dict[str, Any]", template.get("Resources", {}))
