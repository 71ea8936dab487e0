"""Which project functions run as part of a place, here and now."""

from __future__ import annotations

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.graph import Graph
from leaklint.link.syntax import subexpressions
from leaklint.link.values import Coroutine, FunctionId, Site
from leaklint.paths import Node

_HERE = frozenset({Does.RUN, Does.BOUND, Does.SHIELD, Does.ENTER})
"""Operations that run what they are given and wait for it."""
_OTHER = {"enter": "exit__", "exit": "enter__"}
"""Kind of node → how the methods are called that belong to the other end of a block."""


class Inline:
    """Answers for one program. A coroutine runs where it is awaited, and counts for the call that makes it. So does a generator that the
    function delegates to there and then (`yield from self.stop()`); any other runs as far as somebody iterates it: the loops over it
    speak for it."""

    def __init__(self, graph: Graph) -> None:
        self._program = program = graph.program
        state = program.state
        self._found: dict[tuple[FunctionId, Site], set[FunctionId]] = {}
        for record in state.calls:
            if record.by is None:
                plain = {c for c in state.callees.get(record.site, ()) if not (node := program.node(c)).is_async and not node.is_generator}
                self._add(record.function, record.site, plain)
        for obj, functions in state.awaits.items():
            value = program.value(obj)
            if isinstance(value, Coroutine):
                for function in functions:
                    self._add(function, value.site, {value.function})
        for sites in state.entered.values():
            for site, owner in sites.items():
                self._add(owner, site, state.callees.get(site, set()))
        for call in state.library.values():
            if call.operation.does in _HERE and call.record.by is None:
                self._add(call.record.function, call.record.site, set(program.entries(call)))

    def _add(self, function: FunctionId, site: Site, callees: set[FunctionId]) -> None:
        if callees:
            self._found.setdefault((function, site), set()).update(callees)

    def at(self, function: FunctionId, node: Node) -> list[FunctionId]:
        """The functions that run at a node of a function."""
        return sorted({callee for _, callees in self.by_site(function, node) for callee in callees})

    def by_site(self, function: FunctionId, node: Node) -> list[tuple[int, frozenset[FunctionId]]]:
        """The same for each call: its site, with the functions one of which runs there. Of a class that is entered and left, the method
        that belongs to the kind of node."""
        found: list[tuple[int, frozenset[FunctionId]]] = []
        state, delegated = self._program.state, _delegated(node)
        for number in node.sites():
            callees = self._found.get((function, function.site(number)), set())
            if number in delegated:
                callees = callees | {c for c in state.callees.get(function.site(number), ()) if self._program.node(c).is_generator}
            if node.kind in _OTHER:
                callees = {c for c in callees if not self._program.node(c).name.endswith(_OTHER[node.kind])}
            if callees:
                found.append((number, frozenset(callees)))
        return found


def _delegated(node: Node) -> frozenset[int]:
    """The calls at a node whose generators are run through by `yield from`."""
    found = (part for one in node.parts for part in subexpressions(one) if isinstance(part, ir.Yield) and part.delegates)
    return frozenset(part.value.site for part in found if isinstance(part.value, ir.Call))
