"""A way through what a unit runs that comes to its end without an operation that others wait for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.exits.inline import Inline
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.raising import ANY
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.dispatch import Dispatch
from leaklint.locks.needs import Needs
from leaklint.obligations.risks import UNTOLD
from leaklint.paths import FORCED, Edge, Exit, Node
from leaklint.queries.assertions import is_assertion


@dataclass(frozen=True, slots=True)
class ShortWay:
    """The last node of the way, and how control left it."""

    edge: Edge
    node: Node

    @property
    def raises(self) -> bool:
        return self.edge is Edge.RAISE


class ShortWays:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program
        self.inline = Inline(graph)
        self.dispatch = Dispatch(graph)

    def past(self, entry: FunctionId, operations: Iterable[Action]) -> ShortWay | None:
        """A way through the entry of a unit that does none of these operations, nor calls what surely does one: by an exception that is to
        be expected."""
        sites = {action.site for action in operations}

        def does(function: FunctionId, node: Node) -> bool:
            return any(function.site(number) in sites for number in node.sites())

        needs = Needs(self.graph, self.inline, self.dispatch, does, {action.function for action in operations})
        start = self.graph.paths(entry).entry
        seen: set[int] = set()
        todo: list[tuple[Node, ShortWay]] = [(start, ShortWay(Edge.NEXT, start))]
        while todo:
            node, way = todo.pop()
            if node.exit_kind is Exit.RAISE and way.raises:
                return way
            if id(node) in seen or node.exit_kind is not None or needs.at(entry, node):
                continue
            seen.add(id(node))
            for edge, target in node.successors:
                if edge is Edge.RAISE and node.kind != "except":
                    todo += [(target, ShortWay(edge, node))] if self._is_expected(entry, node) else []
                elif edge not in FORCED:
                    todo.append((target, way))
        return None

    def _is_expected(self, function: FunctionId, node: Node) -> bool:
        """Whether an exception of the node is one that the program raises, or one of a call that needs the world outside."""
        if isinstance(node.stmt, ir.Raise):
            return not is_assertion(self.program, function, node.stmt)
        match node.stmt:
            case ir.With(items=items, is_async=True) if node.kind == "enter" and any(self._is_out_of_sight(function, i) for i in items):
                return True
            case ir.For(is_async=True) as loop if node.kind == "step":
                return self._is_out_of_sight(function, loop)
            case _:
                pass
        inside = [e for part in node.parts for e in subexpressions(part)]
        awaited = {e.value.site for e in inside if isinstance(e, ir.Await) and isinstance(e.value, ir.Call)}
        for call in (e for e in inside if isinstance(e, ir.Call) and not self._is_of_channel(function, e)):
            names = self.program.raising.of_call(function, call)
            if names - UNTOLD or (ANY in names and call.site in awaited):
                return True
        return False

    def _is_out_of_sight(self, function: FunctionId, asks: ir.WithItem | ir.For) -> bool:
        """Whether code that nobody sees is awaited where a block is entered, or a loop asks for its next element."""
        source = asks.context if isinstance(asks, ir.WithItem) else asks.iterable
        if isinstance(source, ir.Call):
            return ANY in self.program.raising.of_call(function, source)
        known = self.program.at(function.site(asks.site)) or self.program.state.callees.get(function.site(asks.site))
        return not known and not self.program.denoted(function, source)

    def _is_of_channel(self, function: FunctionId, call: ir.Call) -> bool:
        actions = self.program.at(function.site(call.site))
        return bool(actions) and all(a.does in (Does.SEND, Does.RECEIVE) for a in actions)
