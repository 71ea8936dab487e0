"""Callbacks that arm a timer for themselves: whether such a chain comes to an end by itself."""

from __future__ import annotations

from leaklint.exits.ways import first_reached
from leaklint.graph import Graph
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.paths import EXCEPTIONAL, Exit

_FARTHEST = 4
"""Calls between a callback and the line that arms it again, followed at most."""


def rearms(graph: Graph, unit: Unit) -> bool:
    """Whether the call that makes the unit runs as a part of it."""
    return unit.made is not None and bool(unit.entries) and unit.made.record.function in graph.program.reached(unit.entries)


def ends_by_itself(graph: Graph, unit: Unit) -> bool:
    """Whether the callback arms the timer again on some ways only: a flag, a count or its data end the chain."""
    if not rearms(graph, unit) or unit.made is None:
        return False
    at = unit.made.record
    return not _Chain(graph, at.function, at.site.number).always(unit.entries[0], 0)


class _Chain:
    """The line, at `site` of the function `arming`, that arms the timer again."""

    def __init__(self, graph: Graph, arming: FunctionId, site: int) -> None:
        self.graph = graph
        self.arming = arming
        self.site = site
        self._leading = self._callers_of(arming)
        self._known: dict[tuple[FunctionId, int], bool] = {}

    def always(self, entry: FunctionId, depth: int) -> bool:
        """Whether every way through a function that ends without an exception comes to the line."""
        if depth > _FARTHEST:
            return False
        if (entry, depth) not in self._known:
            self._known[entry, depth] = self._find(entry, depth)
        return self._known[entry, depth]

    def _find(self, entry: FunctionId, depth: int) -> bool:
        sites = {self.site} if entry == self.arming else self._sites_towards(entry, depth)
        if not sites:
            return False
        past = first_reached(
            [self.graph.paths(entry).entry],
            lambda node: node.exit_kind is Exit.RETURN,
            lambda node: bool(sites & set(node.sites())),
            lambda node, edge: edge not in EXCEPTIONAL,
        )
        return past is None

    def _sites_towards(self, entry: FunctionId, depth: int) -> set[int]:
        """The calls in a function whose callee always comes to the line."""
        return {
            number
            for callee in self.graph.program.calls.get(entry, frozenset())
            if callee != entry and callee in self._leading and self.always(callee, depth + 1)
            for number in self.graph.calls_to(entry, callee)
        }

    def _callers_of(self, function: FunctionId) -> frozenset[FunctionId]:
        """The function and all that may call it, directly or not."""
        found, todo = {function}, [function]
        while todo:
            for caller in self.graph.program.callers.get(todo.pop(), frozenset()) - found:
                found.add(caller)
                todo.append(caller)
        return frozenset(found)
