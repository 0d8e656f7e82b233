"""Small changes to a module's source, each of which some test should notice. Most are those of mutmut."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation import mutators

_OPPOSITES = (
    ("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("any", "all"), ("floor", "ceil"),
    ("zeros", "ones"), ("sin", "cos"), ("union", "intersection"),
)  # fmt: skip
_OPPOSITE = dict(_OPPOSITES) | {other: one for one, other in _OPPOSITES} | {"sorted": "list", "sort": "copy"}
_SYMMETRIC = {"min", "max", "minimum", "maximum", "isinstance", "hypot"}  # of two arguments
_REVERSED: dict[Any, Any] = {
    cst.LessThan: cst.GreaterThan,
    cst.LessThanEqual: cst.GreaterThanEqual,
    cst.GreaterThan: cst.LessThan,
    cst.GreaterThanEqual: cst.LessThanEqual,
}
_Pair = tuple[cst.CSTNode, cst.CSTNode]
_TINY = 1e-5  # a tolerance for rounding: tenfold is as good


@dataclass(frozen=True)
class Mutant:
    """A changed source.

    Attributes:
        line: where the change is; the first is 1.
        kind: what was done.
        before: the line as it was.
        after: the line as it is.
        source: the whole module.
    """

    line: int
    kind: str
    before: str
    after: str
    source: str


def sampled(source: str, count: int, seed: int = 0, line: int | None = None) -> list[Mutant]:
    """Mutants of a module, as many of each kind as there are and ``count`` allows, in the order of their lines.

    Nothing but the arguments decides which, and an edit elsewhere in the module changes few of them.

    Args:
        source: of the module.
        count: mutants, at most.
        seed: another one gives another sample.
        line: all mutants of this line alone; ``count`` is not looked at.
    """
    module = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    spans = module.resolve(WhitespaceInclusivePositionProvider)
    kinds: dict[str, list[tuple[bytes, _Edit]]] = {}
    for kind, node, changed in _changes(module.module, constant=True):
        edit = _Edit(kind, spans[node], _code(changed))
        if edit.code != _code(node) and line in (None, edit.span.start.line):
            key = f"{seed} {kind} {_code(node)} {edit.code}".encode()
            kinds.setdefault(kind, []).append((hashlib.sha256(key).digest(), edit))
    in_turn = sorted(
        ((turn, edit) for of_kind in kinds.values() for turn, (_, edit) in enumerate(sorted(of_kind, key=_first))),
        key=lambda of: (of[0], of[1].kind),
    )
    unchanged = ast.dump(ast.parse(source))
    chosen: list[Mutant] = []
    for _, edit in in_turn:
        if line is None and len(chosen) == count:
            break
        mutant = edit.made(source)
        with contextlib.suppress(SyntaxError):
            if ast.dump(ast.parse(mutant.source)) != unchanged:
                chosen.append(mutant)
    return sorted(chosen, key=lambda mutant: (mutant.line, mutant.kind, mutant.after))


def _first(of: tuple[bytes, Any]) -> bytes:
    return of[0]


@dataclass(frozen=True)
class _Edit:
    kind: str
    span: CodeRange
    code: str

    def made(self, source: str) -> Mutant:
        lines = source.splitlines(keepends=True)
        start, end = self.span.start, self.span.end
        head, tail = lines[start.line - 1][: start.column], lines[end.line - 1][end.column :]
        old, new = lines[start.line - 1 : end.line], (head + self.code + tail).splitlines(keepends=True)
        stripped = ([line.strip() for line in of] for of in (old, new))
        differing = [pair for pair in itertools.zip_longest(*stripped, fillvalue="") if pair[0] != pair[1]]
        before, after = (" ".join(line.partition("  #")[0] for line in of) for of in zip(*differing, strict=True))
        return Mutant(start.line, self.kind, before, after, "".join(lines[: start.line - 1] + new + lines[end.line :]))


def _changes(node: cst.CSTNode, constant: bool) -> Iterator[tuple[str, cst.CSTNode, cst.CSTNode]]:
    """Kind, node and what replaces it, for a node and all in it; whether a number in it is a named one."""
    if _is_spared(node):
        return
    for kind, types, operator in _OPERATORS:
        if isinstance(node, types):
            for changed in operator(node):
                place, code = changed if isinstance(changed, tuple) else (node, changed)
                yield "constant" if kind == "number" and constant else kind, place, code
    if isinstance(node, cst.Raise):
        return  # but for being deleted: messages are not tested to the letter
    for child in node.children:
        inside = isinstance(node, (cst.FunctionDef, cst.Lambda)) and child is node.body
        yield from _changes(child, constant and not inside)


def _is_spared(node: cst.CSTNode) -> bool:
    """Whether no test should notice what is in a node."""
    if isinstance(node, cst.If):
        return "TYPE_CHECKING" in _code(node.test) or "__name__" in _code(node.test)
    if isinstance(node, cst.Assign):
        return _code(node.targets[0].target) == "__all__"
    if isinstance(node, cst.Decorator):
        return _code(node.decorator).startswith("dataclass")
    return isinstance(node, (cst.Annotation, cst.Import, cst.ImportFrom))


def _code(node: cst.CSTNode) -> str:
    return str(cst.Module([]).code_for_node(node))


def _number(node: cst.Integer | cst.Float) -> Iterator[cst.CSTNode]:
    """One well off: most changes by one are no faults."""
    value = node.evaluated_value
    if isinstance(value, int):
        others = {0: [1], 1: [0, 2]}.get(value, [value * 10, value // 10] if value >= 10 else [value * 3, value - 1])
        yield from (cst.Integer(str(other)) for other in others)
    elif value == 0:
        yield cst.Float("1.0")
    else:
        factors = (1e5,) if value < _TINY else (10, 0.1)
        yield from (cst.Float(repr(float(f"{value * factor:.12g}"))) for factor in factors)


def _reversed(node: cst.ComparisonTarget) -> Iterator[cst.CSTNode]:
    other = _REVERSED.get(type(node.operator))
    if other is not None:
        yield node.with_changes(operator=other())


def _negated(node: cst.If | cst.While | cst.CompIf) -> Iterator[_Pair]:
    condition = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.test, cst.UnaryOperation(cst.Not(), condition)


def _never(node: cst.If | cst.CompIf) -> Iterator[_Pair]:
    """An early return, for example, that is gone."""
    yield node.test, cst.Name("False")


def _one_side(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    for side in (node.left, node.right):
        yield side.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _deleted(node: cst.SimpleStatementLine) -> Iterator[_Pair]:
    """A statement with an effect; a name that is not assigned to would be noticed anyhow."""
    if len(node.body) == 1:
        statement = node.body[0]
        effect = isinstance(statement, (cst.AugAssign, cst.Raise, cst.Del))
        effect |= isinstance(statement, cst.Expr) and not isinstance(statement.value, (cst.BaseString, cst.Ellipsis))
        effect |= isinstance(statement, cst.Assign) and not isinstance(
            statement.targets[0].target, (cst.Name, cst.Tuple)
        )
        if effect:
            yield statement, cst.Pass()


def _name_of(function: cst.BaseExpression) -> str:
    return _code(function).rpartition(".")[2]


def _opposite(node: cst.Call) -> Iterator[cst.CSTNode]:
    other = _OPPOSITE.get(_name_of(node.func))
    if other is not None and isinstance(node.func, cst.Attribute):
        yield node.with_changes(func=node.func.with_changes(attr=cst.Name(other)))
    elif other is not None:
        yield node.with_changes(func=cst.Name(other))


def _arguments_swapped(node: cst.Call) -> Iterator[cst.CSTNode]:
    if len(node.args) == 2 and _name_of(node.func) in _SYMMETRIC:
        return
    for at, (one, other) in enumerate(itertools.pairwise(node.args)):
        if not (one.keyword or other.keyword or one.star or other.star):
            pair = (one.with_changes(value=other.value), other.with_changes(value=one.value))
            yield node.with_changes(args=[*node.args[:at], *pair, *node.args[at + 2 :]])


def _keyword_dropped(node: cst.Call) -> Iterator[cst.CSTNode]:
    for at, argument in enumerate(node.args):
        if argument.keyword:
            yield node.with_changes(args=[*node.args[:at], *node.args[at + 1 :]])


_Operator = Callable[
    [Any], Iterable[cst.CSTNode | _Pair]
]  # what replaces a node; or a part of it, and what replaces that
_OPERATORS: tuple[tuple[str, Any, _Operator], ...] = (
    ("number", (cst.Integer, cst.Float), _number),
    ("boundary", cst.ComparisonTarget, mutators.operator_swap_op),
    ("comparison", cst.ComparisonTarget, _reversed),
    ("keyword", (cst.Is, cst.IsNot, cst.In, cst.NotIn, cst.Break, cst.Continue), mutators.operator_keywords),
    ("arithmetic", (cst.BinaryOperation, cst.AugAssign, cst.UnaryOperation), mutators.operator_swap_op),
    ("assignment", cst.AugAssign, mutators.operator_augmented_assignment),
    ("and/or", cst.BooleanOperation, mutators.operator_swap_op),
    ("one side", cst.BooleanOperation, _one_side),
    ("truth", cst.Name, mutators.operator_name),
    ("not", cst.UnaryOperation, mutators.operator_remove_unary_ops),
    ("negated", (cst.If, cst.While, cst.CompIf), _negated),
    ("never", (cst.If, cst.CompIf), _never),
    ("choice", cst.IfExp, mutators.operator_if_exp),
    ("deleted", cst.SimpleStatementLine, _deleted),
    ("opposite", cst.Call, _opposite),
    ("opposite", cst.Call, mutators.operator_symmetric_string_methods_swap),
    ("swapped", cst.Call, _arguments_swapped),
    ("dropped", cst.Call, _keyword_dropped),
)
