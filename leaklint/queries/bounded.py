"""Tables that are let grow up to a bound: what puts something in looks at their length first."""

from __future__ import annotations

from collections.abc import Iterator

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
    return any(_measures(node.body, test, filled, 0) for test in _tests(node.body, use.stmt))


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


def _measures(body: tuple[ir.Stmt, ...], test: ir.Expr, names: set[str], depth: int) -> bool:
    """Whether a condition compares the length of one of the attributes of these names, itself or by what locals have of it."""
    for part in subexpressions(test):
        match part:
            case ir.Comparison(operators=operators) if _ORDERS & set(operators) and _has_length(body, part, names, depth):
                return True
            case ir.Name(id=name) if depth < _FARTHEST:
                if any(_measures(body, value, names, depth + 1) for value in _values(body, name)):
                    return True
            case _:
                pass
    return False


def _has_length(body: tuple[ir.Stmt, ...], expression: ir.Expr, names: set[str], depth: int) -> bool:
    for part in subexpressions(expression):
        match part:
            case ir.Call(function=ir.Name(id="len"), arguments=(ir.Argument(value=ir.Attribute(name=name)),)) if name in names:
                return True
            case ir.Name(id=name) if depth < _FARTHEST:
                if any(_has_length(body, value, names, depth + 1) for value in _values(body, name)):
                    return True
            case _:
                pass
    return False


def _values(body: tuple[ir.Stmt, ...], name: str) -> list[ir.Expr]:
    return [stmt.value for stmt in walk(body) if isinstance(stmt, ir.Bind) and ir.Name(name) in stmt.targets]
