"""The ways on which a unit comes to its end without having done what others wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.exits.inline import Inline
from leaklint.graph import Graph
from leaklint.link.raising import ANY
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.dispatch import Dispatch
from leaklint.locks.needs import Needs
from leaklint.obligations.risks import UNTOLD
from leaklint.paths import FORCED, Edge, Exit, Node
from leaklint.queries.assertions import is_assertion


class SilentEnds:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program
        self.inline = Inline(graph)
        self.dispatch = Dispatch(graph)

    def of(
        self,
        entry: FunctionId,
        does: Callable[[FunctionId, Node], bool],
        doers: Iterable[FunctionId],
        *,
        raising: bool = True,
        starts: Iterable[Node] | None = None,
    ) -> tuple[Edge, Node] | None:
        """The last step of a way through the entry, or from these `starts` in it, that returns without passing a node that `does` it, in
        what it calls neither; where there is none, and such ways count, of one that raises what is to be expected. `doers` are the
        functions with such nodes."""
        needs = Needs(self.graph, self.inline, self.dispatch, does, doers)
        raised: tuple[Edge, Node] | None = None
        seen: set[tuple[int, int]] = set()
        begins = starts if starts is not None else [self.graph.paths(entry).entry]
        todo: list[tuple[Node, Edge, Node]] = [(start, Edge.NEXT, start) for start in begins]
        while todo:
            node, how, last = todo.pop()
            key = (id(node), id(last) if how is Edge.RAISE else 0)
            if key in seen:
                continue
            seen.add(key)
            if node.exit_kind is Exit.RETURN:
                return how, last
            if node.exit_kind is Exit.RAISE and raising:
                raised = raised or (how, last)
            if node.exit_kind is not None or needs.at(entry, node):
                continue
            for edge, target in node.successors:
                if edge is Edge.RAISE and node.kind != "except":
                    todo += [(target, edge, node)] if self._is_expected(entry, node) else []
                elif edge not in FORCED:
                    todo.append((target, how, last if how is Edge.RAISE or node.stmt is None else node))
        return raised

    def _is_expected(self, function: FunctionId, node: Node) -> bool:
        """Whether an exception of the node is one that the program raises, or one of a call that needs the world outside."""
        if isinstance(node.stmt, ir.Raise):
            return not is_assertion(self.program, function, node.stmt)
        awaited = {
            p.value.site for part in node.parts for p in subexpressions(part) if isinstance(p, ir.Await) and isinstance(p.value, ir.Call)
        }
        for call in (p for part in node.parts for p in subexpressions(part) if isinstance(p, ir.Call)):
            if self._is_of_open_channel(function, call):
                continue
            names = self.program.raising.of_call(function, call)
            if names - UNTOLD or (ANY in names and call.site in awaited):
                return True
        return False

    def _is_of_open_channel(self, function: FunctionId, call: ir.Call) -> bool:
        """Whether it only sends to or receives from what nobody in sight closes."""
        actions = self.program.at(function.site(call.site))
        ends = (Does.SEND, Does.RECEIVE)
        closed = any(one.does is Does.CLOSE for a in actions for o in a.subjects for one in self.program.on(o))
        return bool(actions) and all(a.does in ends for a in actions) and not closed
