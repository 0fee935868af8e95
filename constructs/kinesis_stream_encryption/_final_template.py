"""Validation of the final template, which includes changes by Aspects and overrides.

Constructors run before Aspects, and properties of constructs do not include overrides.
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

# Returns the resources of a stack in the final template, by logical ID.
Resources = Callable[[Stack], dict[str, Any]]
Check = Callable[[Resources], Iterable[str]]


@jsii.implements(IValidation)
class _Checks:
    """The checks of all constructs of a stage. One validation saves calls between processes."""

    def __init__(self) -> None:
        self.checks: list[tuple[Construct, Check]] = []

    def validate(self) -> list[str]:
        render = cache(_render)
        return [
            f"{scope.node.path}: {error}" for scope, check in self.checks for error in check(render)
        ]


_CHECKS: WeakKeyDictionary[Stage, _Checks] = WeakKeyDictionary()


def check_final_template(scope: Construct, check: Check) -> None:
    """Run a check when synthesis ends, which fails with the errors that the check returns."""
    stage = cast(Stage, Stage.of(scope))
    if stage not in _CHECKS:
        _CHECKS[stage] = _Checks()
        stage.node.add_validation(_CHECKS[stage])
    _CHECKS[stage].checks.append((scope, check))


def final_resource(element: CfnElement, resources: Resources) -> dict[str, Any]:
    """Return a resource of the final template; an empty dict if there is no such resource."""
    found: dict[str, Any] = resources(element.stack).get(
        element.stack.resolve(element.logical_id), {}
    )
    return found


@jsii.implements(ISynthesisSession)
class _Session:
    """The part of a synthesis session that CDK uses to write a template."""

    def __init__(self, folder: str) -> None:
        self._assembly = cx_api.CloudAssemblyBuilder(folder)

    @property
    def assembly(self) -> cx_api.CloudAssemblyBuilder:
        return self._assembly


def _render(stack: Stack) -> dict[str, Any]:
    """Write the template of a stack to a temporary folder, and return its resources.

    ``Stage.synth(force=True)`` would apply all Aspects again, and many Aspects fail on a second
    visit. The synthesizer of nested stacks writes only the template.
    """
    with TemporaryDirectory() as folder:
        synthesizer = NestedStackSynthesizer(stack.synthesizer)
        synthesizer.bind(stack)
        synthesizer.synthesize(cast(ISynthesisSession, _Session(folder)))
        template = json.loads(Path(folder, stack.template_file).read_text())
        return cast("dict[str, Any]", template.get("Resources", {}))
