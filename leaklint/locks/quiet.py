"""Stretches of code on which nothing looks at shared state, changes it, or sets anything going."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions
from leaklint.link.values import Container, FunctionId, Resource, Site
from leaklint.locks.cells import Cells, Shared, looked_at
from leaklint.paths import EXCEPTIONAL, Node

_HARMLESS = frozenset({Does.ACQUIRE, Does.RELEASE, Does.MAKE, Does.BIND, Does.BOUND, Does.COPY, Does.VIEW})
_FARTHEST = 3
"""Calls between the stretch and what they come to, followed at most; what is farther counts as loud."""


class Quiet:
    """Answers for one program. Calls of anything that is not known to be harmless are loud: they may look, or make somebody signal."""

    def __init__(self, graph: Graph, shared: Shared) -> None:
        self.graph = graph
        self.shared = shared

    def way(self, function: FunctionId, starts: Iterable[Node], goal: Callable[[Node], bool], heeded: Cells | None) -> Node | None:
        """A goal that is reached from the starts, these included, by quiet nodes only. `heeded`: the cells that count, None for all."""
        seen: set[int] = set()
        todo = list(starts)
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if goal(node):
                return node
            if self.at(function, node, heeded):
                todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]
        return None

    def at(self, function: FunctionId, node: Node, heeded: Cells | None, depth: int = 0) -> bool:
        if self.shared.changed_at(function, node):
            return False
        read = frozenset(looked_at(node))
        if heeded is not None and read & heeded:
            return False
        if heeded is None and node.kind == "test" and self._looks_into(function, read):
            return False
        for part in node.parts:
            called = {id(one.function) for one in subexpressions(part) if isinstance(one, ir.Call)}
            for one in subexpressions(part):
                match one:
                    case ir.Attribute() if heeded is None and id(one) not in called and not _leads_to_a_call(part, one, node):
                        if node.kind == "test" or not self._is_resource(function, one):
                            return False
                    case ir.Yield():
                        return False
                    case ir.Await(value=value) if not isinstance(value, ir.Call) or self._is_unknown(function.site(value.site)):
                        return False
                    case ir.Call(site=number) if not self._is_harmless(function.site(number), heeded, depth):
                        return False
                    case _:
                        pass
        return node.kind != "step" or not (isinstance(node.stmt, ir.For) and node.stmt.is_async)

    def _looks_into(self, function: FunctionId, names: frozenset[str]) -> bool:
        """Whether one of these names is a parameter that holds a container, which others may fill."""
        program = self.graph.program
        given = names.intersection(p.name for p in program.node(function).parameters)
        return any(isinstance(program.value(o), Container) for name in given for o in program.denoted(function, ir.Name(name)))

    def _is_resource(self, function: FunctionId, attribute: ir.Attribute) -> bool:
        """Whether what is looked up is a lock, a condition or another such thing, and so says nothing of what others have done."""
        objects = self.graph.program.denoted(function, attribute)
        return bool(objects) and all(isinstance(self.graph.program.value(o), Resource) for o in objects)

    def _is_harmless(self, site: Site, heeded: Cells | None, depth: int) -> bool:
        program = self.graph.program
        callees = program.state.callees.get(site, set())
        if callees:
            return depth < _FARTHEST and all(self._passes(callee, heeded, depth + 1) for callee in callees)
        actions = program.at(site)
        if actions:
            return all(self._is_done_quietly(a, heeded) for a in actions)
        return program.is_inert(site)

    def _is_unknown(self, site: Site) -> bool:
        """Whether nobody knows what a call that is awaited does: it is a request, and the answer may make somebody signal."""
        return not self.graph.program.state.callees.get(site) and not self.graph.program.at(site)

    def _is_done_quietly(self, action: Action, heeded: Cells | None) -> bool:
        match action.does:
            case Does.OBSERVE:
                return heeded is not None or not action.subjects
            case Does.WAIT:
                return not action.subjects
            case _:
                return action.does in _HARMLESS

    def _passes(self, function: FunctionId, heeded: Cells | None, depth: int) -> bool:
        return all(self.at(function, node, heeded, depth) for node in self.graph.paths(function).nodes)


def _leads_to_a_call(part: ir.Expr, attribute: ir.Attribute, node: Node) -> bool:
    """Whether an attribute is looked up only to get at a method, or as the lock of a `with` block: the call tells the rest."""
    if part is attribute and node.kind in ("enter", "exit"):
        return True
    for one in subexpressions(part):
        match one:
            case ir.Call(function=ir.Attribute(base=base)) if base is attribute:
                return True
            case ir.Attribute(base=base) if base is attribute:
                return True
            case _:
                pass
    return False
