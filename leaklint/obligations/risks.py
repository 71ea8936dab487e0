"""Which of all that may raise is worth telling of, while something is in hand."""

from __future__ import annotations

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.raising import ANY
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.paths import Node

UNTOLD = frozenset({ANY, "AssertionError", "NotImplementedError"})
"""What a call may raise and is not expected to: anything, what only a mistake in the program brings about."""


class Risks:
    """Any call may raise; told are those of which it is to be expected: a `raise` in sight, in the function or below a call of it, an await
    of something that really waits, the block that a generator runs, and work of the thing itself."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program

    def tells(self, function: FunctionId, node: Node, whole: frozenset[str], *, works: bool, own_only: bool) -> bool:
        """Whether an exception out of the node is one of these. `whole`: names of what a library has made, with all its parts; `works`: the
        thing itself is at work here; `own_only`: only then, and for a `raise` that stands here."""
        if isinstance(node.stmt, ir.Raise):
            return not self._lacks_a_part(function, node.stmt, whole)
        if works:
            return True
        if own_only or isinstance(node.stmt, ir.Assert):
            return False
        if isinstance(node.stmt, ir.With | ir.For) and node.stmt.is_async:
            return True
        return any(self._is_risky(function, one) for part in node.parts for one in subexpressions(part))

    def _lacks_a_part(self, function: FunctionId, stmt: ir.Raise, names: frozenset[str]) -> bool:
        """Whether a `raise` says in other words `assert thing.part`: the thing that one of the names holds has been made, and has what such
        things have."""
        branches = (one for one in walk(self.program.node(function).body) if isinstance(one, ir.Branch))
        return any(one.body and one.body[-1] is stmt and _is_missing(one.test, names) for one in branches)

    def _is_risky(self, function: FunctionId, expression: ir.Expr) -> bool:
        match expression:
            case ir.Await():
                return self.program.suspending.at(function, expression)
            case ir.Yield():
                return function.source in self.program.blocks_written_as_generators
            case ir.Call():
                callees = self.program.state.callees.get(function.site(expression.site), set())
                run = [f for f in callees if not self.program.node(f).is_async and not self.program.node(f).is_generator]
                return any(self.program.raising.of(callee) - UNTOLD for callee in run)
            case _:
                return False


def _is_missing(test: ir.Expr, names: frozenset[str]) -> bool:
    """Whether a test asks whether parts of what the names hold are missing: `thing.part is None`, `not thing.part`."""
    match test:
        case ir.Operation(operator="or", operands=operands):
            return all(_is_missing(one, names) for one in operands)
        case ir.Operation(operator="not", operands=(ir.Attribute(base=ir.Name(id=name)),)):
            return name in names
        case ir.Comparison(left=ir.Attribute(base=ir.Name(id=name)), operators=("is",), rights=(ir.Constant(kind="none"),)):
            return name in names
        case _:
            return False
