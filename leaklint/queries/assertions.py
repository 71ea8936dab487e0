"""Statements that raise where the program is wrong, and not where the world outside is."""

from __future__ import annotations

from leaklint import ir
from leaklint.link.program import Program
from leaklint.link.syntax import walk
from leaklint.link.values import FunctionId


def is_assertion(program: Program, function: FunctionId, stmt: ir.Raise) -> bool:
    """Whether a `raise` says in other words `assert thing`: something must be there, and is in a sound program."""
    branches = (one for one in walk(program.node(function).body) if isinstance(one, ir.Branch))
    return any(one.body and one.body[-1] is stmt and _is_absence(one.test) for one in branches)


def _is_absence(test: ir.Expr) -> bool:
    """Whether a test asks whether something is missing: `x is None`, `not x`."""
    match test:
        case ir.Operation(operator="or" | "and", operands=operands):
            return all(_is_absence(one) for one in operands)
        case ir.Operation(operator="not", operands=(ir.Name() | ir.Attribute(),)):
            return True
        case ir.Comparison(operators=("is",), rights=(ir.Constant(kind="none"),)):
            return True
        case _:
            return False
