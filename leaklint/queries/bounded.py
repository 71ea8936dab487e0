"""Tables that are let grow up to a bound: what puts something in looks at their length first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from leaklint import ir
from leaklint.link.program import Program
from leaklint.link.syntax import subexpressions, walk
from leaklint.obligations.tables import Act, Table, Use

_ORDERS = frozenset({"<", "<=", ">", ">="})
_FARTHEST = 3
"""Local names for a length, or for what follows from it, followed at most."""


def is_bounded(program: Program, tables: tuple[Table, ...], use: Use) -> bool:
    """Whether something is put in only as long as the table, or one that is filled beside it and never emptied either, is short enough."""
    node = program.node(use.function)
    beside = {id(other) for other in walk(_innermost(node.body, use.stmt))}
    filled = {
        table.name
        for table in tables
        if not table.of(Act.TAKE, Act.DRAIN) and any(put.function == use.function and id(put.stmt) in beside for put in table.of(Act.PUT))
    }
    return any(_measures(node.body, test, filled) for test in _tests(node.body, use.stmt))


def _innermost(body: tuple[ir.Stmt, ...], stmt: ir.Stmt) -> tuple[ir.Stmt, ...]:
    """The statements of the branch that a statement stands in."""
    for one in walk(body):
        if isinstance(one, ir.Branch):
            for block in (one.body, one.orelse):
                if any(inner is stmt for inner in block):
                    return tuple(block)
    return tuple(body)


def _tests(body: tuple[ir.Stmt, ...], stmt: ir.Stmt) -> Iterator[ir.Expr]:
    """The conditions under which a statement is come to: of the branches around it, and of those that leave the function."""
    for one in walk(body):
        if isinstance(one, ir.Branch):
            around = any(inner is stmt for inner in walk((*one.body, *one.orelse)))
            if around or any(isinstance(last, ir.Return | ir.Raise) for last in one.body[-1:]):
                yield one.test


def _measures(body: tuple[ir.Stmt, ...], test: ir.Expr, names: set[str]) -> bool:
    """Whether a condition compares the length of one of the attributes of these names, itself or by what locals have of it."""

    def is_length(part: ir.Expr) -> bool:
        match part:
            case ir.Call(function=ir.Name(id="len"), arguments=(ir.Argument(value=ir.Attribute(name=name)),)):
                return name in names
            case _:
                return False

    def compares(part: ir.Expr) -> bool:
        return isinstance(part, ir.Comparison) and bool(_ORDERS & set(part.operators)) and _has(body, part, is_length)

    return _has(body, test, compares)


def _has(body: tuple[ir.Stmt, ...], expression: ir.Expr, wanted: Callable[[ir.Expr], bool], depth: int = 0) -> bool:
    """Whether a part of the expression is what is wanted, or a local name for such."""
    for part in subexpressions(expression):
        values = _values(body, part.id) if isinstance(part, ir.Name) and depth < _FARTHEST else []
        if wanted(part) or any(_has(body, value, wanted, depth + 1) for value in values):
            return True
    return False


def _values(body: tuple[ir.Stmt, ...], name: str) -> list[ir.Expr]:
    return [stmt.value for stmt in walk(body) if isinstance(stmt, ir.Bind) and ir.Name(name) in stmt.targets]
