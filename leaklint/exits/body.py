"""How what a unit runs comes to its end by itself: it returns, or every loop that it stays in is left."""

from __future__ import annotations

from collections.abc import Iterable

from leaklint.exits.kinds import ExitKind, WayOut
from leaklint.exits.leaving import Leaving
from leaklint.exits.loops import Loop, departures, generators, lasting
from leaklint.finding import Step
from leaklint.link.syntax import walk
from leaklint.link.values import FunctionId
from leaklint.paths import FORCED, Node

_OF_ITS_OWN = frozenset({ExitKind.RETURNS, ExitKind.CONDITION, ExitKind.RAISES, ExitKind.TIMEOUT})
"""Ways out of a loop far below that say nothing about the unit: a retry succeeds, a poll gives up."""


class Bodies:
    """Answers for one program, each function looked at once."""

    def __init__(self, leaving: Leaving) -> None:
        self.leaving = leaving
        self._known: dict[FunctionId, tuple[list[WayOut] | None, list[Step]]] = {}
        self._loops: set[FunctionId] = set()
        """The functions with a loop of their own that may last."""

    def ways(self, entries: Iterable[FunctionId]) -> tuple[list[WayOut], list[Step]]:
        """The ways to the end of what a unit runs that starts in these functions, none when there is none; and what hinders others."""
        graph = self.leaving.graph
        self.leaving.hindrances.clear()
        found: list[WayOut] = []
        for entry in entries:
            ways = self._of(entry, frozenset())
            if ways is None:
                found = []
                break
            at = graph.program.node(entry).at
            found += ways or [WayOut(ExitKind.RETURNS, graph.step(entry, at, "its body comes to its end"))]
        return list(dict.fromkeys(found)), list(dict.fromkeys(self.leaving.hindrances))

    def _of(self, function: FunctionId, around: frozenset[FunctionId]) -> list[WayOut] | None:
        """How the loops of a function are left, or of what it calls if it has none; an empty list when there is none to leave; None: it
        cannot end."""
        if function in around:
            return []
        hindrances = self.leaving.hindrances
        if function in self._known:
            ways, known = self._known[function]
            hindrances += known
            return ways
        before = len(hindrances)
        ways = self._find(function, around | {function})
        self._known[function] = ways, list(dict.fromkeys(hindrances[before:]))
        return ways

    def _find(self, function: FunctionId, around: frozenset[FunctionId]) -> list[WayOut] | None:
        graph = self.leaving.graph
        loops = lasting(graph, function)
        inside = {id(s) for loop in loops for s in (loop, *walk(loop.body))}
        if loops:
            self._loops.add(function)
        own: dict[WayOut, None] = {}
        below: dict[WayOut, None] = {}
        for loop in loops:
            ways = self._of_loop(function, loop, around)
            if not ways:
                return None
            own |= ways
        seen: set[int] = set()
        todo = [graph.paths(function).entry]
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.stmt is None or id(node.stmt) not in inside:
                for callee in self.leaving.inline.at(function, node):
                    inner = self._of(callee, around)
                    if inner is None:
                        return None
                    below |= dict.fromkeys(way for way in inner if callee in self._loops or way.kind not in _OF_ITS_OWN)
                if self.leaving.is_stuck(function, node):
                    return None
            todo += [target for edge, target in node.successors if edge not in FORCED]
        return list(own or below)

    def _of_loop(self, function: FunctionId, loop: Loop, around: frozenset[FunctionId]) -> dict[WayOut, None]:
        def passes(node: Node) -> bool:
            if self.leaving.is_stuck(function, node):
                return False
            return all(self._of(callee, around) is not None for callee in self.leaving.inline.at(function, node))

        graph = self.leaving.graph
        own = generators(graph, function, loop)
        found: list[WayOut] = []
        for one in departures(graph, function, loop, passes):
            if not own or one.node.stmt is not loop:
                found += self.leaving.judge(one)
                continue
            for generator in own:
                inner = self._of(generator, around)
                if inner is not None:
                    ended = graph.step(function, loop.at, f"`{graph.qualname(generator)}` has no more elements")
                    found += inner or [WayOut(ExitKind.CONDITION, ended)]
        found = found or list(self.leaving.closed_under(function, loop))
        return dict.fromkeys(sorted(found, key=lambda w: (w.step.at.line, w.step.at.column, w.kind)))
