"""Which locks a unit must wait for on its way to an operation, whatever way it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

from leaklint import ir
from leaklint.exits.inline import Inline
from leaklint.graph import Graph
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.dispatch import Dispatch, Selves
from leaklint.paths import FORCED, Exit, Node

Spot = tuple[FunctionId, Node]


class Part(Enum):
    """A generator that makes a `with` block runs up to its `yield` where the block is entered, and the rest where it is left."""

    WHOLE = auto()
    ENTER = auto()
    EXIT = auto()


@dataclass(frozen=True, slots=True)
class Approach:
    """The ways that lead to one of some places without waiting for the lock: from these `roots`, and from such a place itself (`again`).
    `guards` are the nodes where the other ways wait for it."""

    roots: frozenset[FunctionId]
    again: bool
    guards: tuple[Spot, ...]


class Needs:
    """Answers for one lock. `takes` says whether a node itself waits for it; `takers` are the functions with such nodes."""

    def __init__(
        self, graph: Graph, inline: Inline, dispatch: Dispatch, takes: Callable[[FunctionId, Node], bool], takers: Iterable[FunctionId]
    ) -> None:
        self.graph = graph
        self.dispatch = dispatch
        self.inline = inline
        self.takes = takes
        self.takers = frozenset(takers)
        self._sure: dict[tuple[FunctionId, Part], bool] = {}

    # --- what a function does

    def surely(self, function: FunctionId, part: Part = Part.WHOLE) -> bool:
        """Whether every way through the function waits for the lock."""
        if function not in self._concerned:
            return False
        key = (function, part)
        if key not in self._sure:
            self._sure[key] = False  # as long as it is not known: of functions that call each other
            self._sure[key] = not self._passes(function, part)
        return self._sure[key]

    def _passes(self, function: FunctionId, part: Part) -> bool:
        """Whether some way through the function comes to its end without the lock."""
        found = self.graph.paths(function)
        todo = [found.entry] if part is not Part.EXIT else [t for n in found.nodes if _gives_way(n) for _, t in n.successors]
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.exit_kind is Exit.RETURN or (part is Part.ENTER and _gives_way(node)):
                return True
            if not self.at(function, node):
                todo += [target for edge, target in node.successors if edge not in FORCED]
        return False

    def at(self, function: FunctionId, node: Node) -> bool:
        """Whether the node waits for the lock, itself or in what it calls, whatever way that takes."""
        if self.takes(function, node):
            return True
        groups = (callees for _, callees in self._called(function, node))
        return any(all(self.surely(c, _part(self.graph, c, node)) for c in callees) for callees in groups)

    @cached_property
    def _concerned(self) -> frozenset[FunctionId]:
        """The functions that may wait for the lock, themselves or through calls."""
        return callers_of(self.graph, self.takers)

    # --- the way to a place

    def approach(self, places: list[Spot], within: frozenset[FunctionId], since: Iterable[Spot] = (), *, heeding: bool = True) -> Approach:
        """The ways to the places, backwards from each, in these functions, as far as such a place or one of those `since` which they count.
        Without `heeding` the lock, all ways."""
        goals, leading = self._aims([*places, *since])
        roots: set[FunctionId] = set()
        guards: dict[tuple[FunctionId, int], Spot] = {}
        again = False
        seen: set[tuple[FunctionId, int]] = set()
        entered: set[FunctionId] = set()
        todo = list(places)
        while todo:
            function, node = todo.pop()
            if node is self.graph.paths(function).entry and function not in entered:
                entered.add(function)
                if is_root(self.graph, function):
                    roots.add(function)
                todo += ((f, n) for f, n in self._calls(function) if f in within)
            for before in self._before(function).get(id(node), ()):
                key = (function, id(before))
                if key in seen:
                    continue
                seen.add(key)
                if key in goals:
                    again = True
                    continue
                inside = [callees for _, callees in self._called(function, before)]
                below = {c for callees in inside for c in callees if c in leading}
                todo += [(c, end) for c in sorted(below) for end in self.graph.paths(c).nodes if end.exit_kind in _ENDS]
                if heeding and (self.takes(function, before) if below else self.at(function, before)):
                    guards[key] = (function, before)
                elif not below or any(callees - below for callees in inside if callees & below):
                    todo.append((function, before))
        return Approach(frozenset(roots), again, tuple(guards.values()))

    def met(self, places: Iterable[Spot], within: frozenset[FunctionId]) -> tuple[Spot, ...]:
        """Some way from a place on, in these functions, to where the lock is waited for before the next such place: the calls that lead
        there, and the node that waits. Empty when there is none."""
        goals, leading = self._aims(places)
        seen: set[tuple[FunctionId, int]] = set(goals)
        todo = [(f, target) for f, node in goals.values() for target in _onward(node)]
        while todo:
            function, node = todo.pop(0)
            if (function, id(node)) in seen:
                continue
            seen.add((function, id(node)))
            if node.exit_kind in _ENDS and function not in self.graph.program.entered_by:
                todo += [(f, target) for f, n in self._calls(function) if f in within for target in _onward(n)]
            if self.takes(function, node):
                return ((function, node),)
            for callee, selves in self._callees(function, self.dispatch.at_start(function), node):
                if callee not in leading and (route := self.route(callee, selves)):
                    return ((function, node), *route)
            if not any(callees & leading for _, callees in self._called(function, node)):
                todo += [(function, target) for target in _onward(node)]
        return ()

    def route(self, function: FunctionId, selves: Selves) -> tuple[Spot, ...]:
        """The shortest chain of calls from a function, on an object of these classes, to a node that waits for the lock; empty when there
        is none."""
        chains: list[tuple[FunctionId, Selves, tuple[Spot, ...]]] = [(function, selves, ())]
        seen = {(function, selves)}
        while chains:
            one, here, chain = chains.pop(0)
            if one not in self._concerned:
                continue
            for node in self.graph.paths(one).nodes:
                if self.takes(one, node):
                    return (*chain, (one, node))
                for following in self._callees(one, here, node):
                    if following not in seen:
                        seen.add(following)
                        chains.append((*following, (*chain, (one, node))))
        return ()

    def _callees(self, function: FunctionId, selves: Selves, node: Node) -> Iterator[tuple[FunctionId, Selves]]:
        """What may wait for the lock and runs at a node, each with the classes of its object."""
        return (one for one in self.dispatch.callees(self.inline, function, selves, node) if one[0] in self._concerned)

    def _aims(self, places: Iterable[Spot]) -> tuple[dict[tuple[FunctionId, int], Spot], frozenset[FunctionId]]:
        """The places by function and node, and the functions that lead to them."""
        goals = {(function, id(node)): (function, node) for function, node in places}
        return goals, callers_of(self.graph, {function for function, _ in goals})

    def _called(self, function: FunctionId, node: Node) -> list[tuple[int, frozenset[FunctionId]]]:
        return self.inline.by_site(function, node)

    def _calls(self, function: FunctionId) -> list[Spot]:
        """The nodes that call the function."""
        program, graph = self.graph.program, self.graph
        callers = sorted(program.callers.get(function, frozenset()))
        return [(c, node) for c in callers for number in graph.calls_to(c, function) for node in graph.paths(c).of(number)]

    def _before(self, function: FunctionId) -> dict[int, list[Node]]:
        found = self._predecessors.get(function)
        if found is None:
            found = self._predecessors[function] = {}
            for node in self.graph.paths(function).nodes:
                for edge, target in node.successors:
                    if edge not in FORCED:
                        found.setdefault(id(target), []).append(node)
        return found

    @cached_property
    def _predecessors(self) -> dict[FunctionId, dict[int, list[Node]]]:
        return {}


_ENDS = frozenset({Exit.RETURN, Exit.RAISE})


def is_root(graph: Graph, function: FunctionId) -> bool:
    """Whether something may start in the function: a unit, the program, code out of sight."""
    program = graph.program
    starts = function in program.entered_by or function in program.openness.callable or function.index == 0
    return starts or not program.callers.get(function)


def callers_of(graph: Graph, functions: Iterable[FunctionId]) -> frozenset[FunctionId]:
    """The functions and all that may run them as part of themselves."""
    seen = set(functions)
    todo = list(seen)
    while todo:
        for caller in graph.program.callers.get(todo.pop(), frozenset()) - seen:
            seen.add(caller)
            todo.append(caller)
    return frozenset(seen)


def _onward(node: Node) -> list[Node]:
    return [target for edge, target in node.successors if edge not in FORCED]


def _gives_way(node: Node) -> bool:
    return any(isinstance(part, ir.Yield) for one in node.parts for part in subexpressions(one))


def _part(graph: Graph, callee: FunctionId, node: Node) -> Part:
    """Which part of a callee runs at a node."""
    if not graph.program.node(callee).is_generator or node.kind not in ("enter", "exit"):
        return Part.WHOLE
    return Part.ENTER if node.kind == "enter" else Part.EXIT
