"""Mutants of a module: mutmut's operators on all of its code, and some operators of our own."""

from __future__ import annotations

import ast
import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_string

_COMPLEMENT: dict[type[cst.BaseCompOp], cst.BaseCompOp] = {
    cst.LessThan: cst.GreaterThanEqual(),
    cst.LessThanEqual: cst.GreaterThan(),
    cst.GreaterThan: cst.LessThanEqual(),
    cst.GreaterThanEqual: cst.LessThan(),
}
_SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}
_LOGS = {"log", "_log"}
_TYPES = {"Callable", "Literal", "TypeVar"}
_NEGATED = (cst.Name, cst.Attribute, cst.Call)


class Key(NamedTuple):
    """What tells a mutant from all others, wherever its lines have moved to.

    Parameters
    ----------
    where
        Module, and class and function if any.
    before, after
        The changed lines.
    nth
        Which of the mutants that are the same in all this.
    """

    where: str
    before: str
    after: str
    nth: int = 0

    def __str__(self) -> str:
        again = f" [{self.nth}]" if self.nth else ""
        return f"{self.where}{again}\n    - {self.before}\n    + {self.after}"


@dataclass(frozen=True)
class Mutant:
    """A module with one small change.

    Parameters
    ----------
    module
        Name of the module inside the package.
    key
        The change.
    lines
        Lines of the statement that is changed.
    function
        Lines of the function whose body holds the change; empty when it takes effect at the import.
    code
        The whole module.
    """

    module: str
    key: Key
    lines: range
    function: range
    code: str


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Make all mutants of a module that compile and say something else than it does."""
    source = path.read_text()
    wrapper = MetadataWrapper(cst.parse_module(source))
    positions = wrapper.resolve(PositionProvider)
    meanings = {ast.dump(ast.parse(source))}
    alike: Counter[Key] = Counter()
    for change in _changes(wrapper.module, _Place(path.stem, range(0), range(0)), positions):
        mutated = wrapper.module.deep_replace(change.node, change.mutated)
        assert isinstance(mutated, cst.Module)
        try:
            meaning = ast.dump(ast.parse(mutated.code))
        except SyntaxError:
            continue
        if meaning in meanings:
            continue
        meanings.add(meaning)
        place = change.place
        key = Key(place.scope, *_difference(source, mutated.code))
        numbered = key._replace(nth=alike[key])
        yield Mutant(path.stem, numbered, place.lines, place.function, mutated.code)
        alike[key] += 1


def _difference(source: str, changed: str) -> tuple[str, str]:
    lines = list(difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0))[2:]
    before = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    after = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    return before, after


@dataclass(frozen=True)
class _Place:
    scope: str
    lines: range
    function: range


@dataclass(frozen=True)
class _Change:
    node: cst.CSTNode
    mutated: cst.CSTNode
    place: _Place


def _changes(
    node: cst.CSTNode, place: _Place, positions: Mapping[cst.CSTNode, CodeRange]
) -> Iterator[_Change]:
    """Change a node and all below it in every way that the operators know."""
    if _is_left_alone(node):
        return
    if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        place = replace(place, lines=_lines(node, positions))
    if isinstance(node, cst.FunctionDef | cst.ClassDef):
        place = replace(place, scope=f"{place.scope}.{node.name.value}")
    for mutated in _mutated(node):
        yield _Change(node, mutated, place)
    for child in node.children:
        inner = place
        if isinstance(node, cst.FunctionDef) and child is node.body:
            inner = replace(place, function=_span(node, positions))
        yield from _changes(child, inner, positions)


def _span(node: cst.CSTNode, positions: Mapping[cst.CSTNode, CodeRange]) -> range:
    return range(positions[node].start.line, positions[node].end.line + 1)


def _lines(
    node: cst.SimpleStatementLine | cst.BaseCompoundStatement,
    positions: Mapping[cst.CSTNode, CodeRange],
) -> range:
    """Lines of a simple statement or a whole match, or of another compound statement's head."""
    span = _span(node, positions)
    if isinstance(node, cst.SimpleStatementLine | cst.Match):
        return span
    return range(span.start, max(positions[node.body].start.line, span.start + 1))


def _is_left_alone(node: cst.CSTNode) -> bool:
    """Tell what no test can notice, or should: types, decorators, docstrings, log lines."""
    if isinstance(node, cst.Annotation | cst.Decorator):
        return True
    if isinstance(node, cst.Assign):
        return _makes_a_type(node.value)
    return (
        isinstance(node, cst.SimpleStatementLine)
        and isinstance(node.body[0], cst.Expr)
        and (isinstance(node.body[0].value, cst.BaseString) or _writes_a_log(node.body[0].value))
    )


def _makes_a_type(node: cst.BaseExpression) -> bool:
    made = node.value if isinstance(node, cst.Subscript) else node
    made = made.func if isinstance(made, cst.Call) else made
    return isinstance(made, cst.Name) and made.value in _TYPES


def _writes_a_log(node: cst.BaseExpression) -> bool:
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
        return False
    log = node.func.value
    name = log.attr if isinstance(log, cst.Attribute) else log
    return isinstance(name, cst.Name) and name.value in _LOGS and node.func.attr.value != "add"


def _mutated(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in _OPERATORS:
        if isinstance(node, kind):
            yield from operator(node)


def _other_arguments(node: cst.Call) -> Iterator[cst.CSTNode]:
    """None for each argument, or no such argument; without a positional one it is mere nonsense."""
    for mutated in operator_arg_removal(node):
        gone = [arg for arg in node.args if arg not in mutated.args]
        if len(mutated.args) == len(node.args) or gone[0].keyword:
            yield mutated


def _other_string(node: cst.SimpleString) -> Iterator[cst.CSTNode]:
    """One other text, which stands for all; of a pattern the case may matter too."""
    others = list(operator_string(node))
    yield from others if "r" in node.prefix else others[:1]


def _other_format(node: cst.FormattedStringText) -> Iterator[cst.CSTNode]:
    yield node.with_changes(value=f"XX{node.value}")


def _nothing_done(line: cst.SimpleStatementLine) -> Iterator[cst.CSTNode]:
    """Leave out what is done for its effect, and what ends a function or a turn early."""
    statement = line.body[0]
    if isinstance(statement, cst.Raise | cst.Return | cst.Continue) or (
        isinstance(statement, cst.Expr) and isinstance(statement.value, cst.Call)
    ):
        yield line.with_changes(body=[cst.Pass()])


def _negated_test(node: cst.If | cst.While | cst.CompIf) -> Iterator[cst.CSTNode]:
    if isinstance(node.test, _NEGATED):
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), node.test))


def _negated_operand(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    if isinstance(node.left, _NEGATED):
        yield node.with_changes(left=cst.UnaryOperation(cst.Not(), node.left))
    if isinstance(node.right, _NEGATED):
        yield node.with_changes(right=cst.UnaryOperation(cst.Not(), node.right))


def _complement(node: cst.ComparisonTarget) -> Iterator[cst.CSTNode]:
    """Not only the boundary, which in time is a moment, but the other side of it."""
    if complement := _COMPLEMENT.get(type(node.operator)):
        yield node.with_changes(operator=complement)


def _other_function(node: cst.Name) -> Iterator[cst.CSTNode]:
    if node.value in _SWAPPED:
        yield node.with_changes(value=_SWAPPED[node.value])


def _one_less(node: cst.Set | cst.Tuple | cst.Dict) -> Iterator[cst.CSTNode]:
    """Leave out one element; a mere text is changed instead."""
    elements = list(node.elements)
    for i, element in enumerate(elements):
        if len(elements) > 1 and not isinstance(element.value, cst.SimpleString):
            yield node.with_changes(elements=[*elements[:i], *elements[i + 1 :]])


_OPERATORS: list[tuple[type | UnionType, Callable[[Any], Iterable[cst.CSTNode]]]] = [
    *(
        (kind, operator)
        for kind, operator in mutation_operators
        if operator not in {operator_arg_removal, operator_string}
    ),
    (cst.Call, _other_arguments),
    (cst.SimpleString, _other_string),
    (cst.FormattedStringText, _other_format),
    (cst.SimpleStatementLine, _nothing_done),
    (cst.If | cst.While | cst.CompIf, _negated_test),
    (cst.BooleanOperation, _negated_operand),
    (cst.ComparisonTarget, _complement),
    (cst.Name, _other_function),
    (cst.Set | cst.Tuple | cst.Dict, _one_less),
]
