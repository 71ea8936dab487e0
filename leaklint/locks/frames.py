"""The ways from the function in which a unit starts to a place: the calls in between, and what a thing is called there in its words."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, Calls, How
from leaklint.locks.needs import callers_of
from leaklint.locks.terms import Term, Terms, entering, translated, visible
from leaklint.paths import Node

_FARTHEST = 6
"""Calls between the entry of a unit and a place, followed at most."""


_RUNNING = frozenset({Kind.LOOP, Kind.TASK, Kind.THREAD})


@dataclass(frozen=True, slots=True)
class Frame:
    """A function on the way, the node where it goes on to the next, and the call that does; none in the last."""

    function: FunctionId
    node: Node
    call: Call | None


class Frames:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.terms = Terms(graph)
        self.calls = Calls(graph, self.terms)

    def to(self, entry: FunctionId, action: Action) -> Iterator[tuple[Frame, ...]]:
        """The shortest ways from the entry to an operation, at most one through each function."""
        return self.to_place(entry, action.function, action.site.number)

    def to_place(self, entry: FunctionId, goal: FunctionId, number: int) -> Iterator[tuple[Frame, ...]]:
        """The same to a site of a function."""
        leading = callers_of(self.graph, (goal,))
        if entry not in leading:
            return
        seen = {entry}
        todo: deque[tuple[FunctionId, tuple[Frame, ...]]] = deque([(entry, ())])
        while todo:
            function, before = todo.popleft()
            if function == goal:
                for node in self.graph.paths(function).of(number):
                    yield (*before, Frame(function, node, None))
            if len(before) == _FARTHEST:
                continue
            for node in self.graph.paths(function).nodes:
                for call in self.calls.at(function, node):
                    if call.callee in leading and call.callee not in seen and self._is_followed(call):
                        seen.add(call.callee)
                        todo.append((call.callee, (*before, Frame(function, node, call))))

    def _is_followed(self, call: Call) -> bool:
        """Whether the call surely goes there, and in the same unit."""
        return not call.is_guess and not (call.how is How.GIVEN and call.callee in self.graph.program.entered_by)

    def asks_who_runs(self, frame: Frame) -> bool:
        """Whether a function on the way asks which task, thread or loop runs it, or goes on only when a call out of sight, which is given
        nothing, says so."""
        program = self.graph.program
        for action in program.actions_in(frame.function):
            kinds = {program.kind(o) for o in action.call.made}
            if action.does is Does.OBSERVE and action.call.subject is None and kinds & _RUNNING:
                return True
        place = program.place(frame.function, frame.node.sites()[0]) if frame.node.sites() else None
        tests = [e.stmt.test for e in place.around if isinstance(e.stmt, ir.Branch | ir.While)] if place is not None else []
        calls = (one for test in tests for one in subexpressions(test) if isinstance(one, ir.Call) and not one.arguments)
        return any(program.state.unknown_calls.get(frame.function.site(call.site)) for call in calls)

    def named(self, way: tuple[Frame, ...], expression: ir.Expr) -> Term | None:
        """What an expression of the last function is called in the first; None where that has no name for it."""
        term = self.terms.of(way[-1].function, expression)
        for frame in reversed(way[:-1]):
            assert frame.call is not None
            term = translated(term, visible(self.graph, frame.function), frame.call.callee.source, frame.call.given)
        return term if term is None or all(self.terms.is_bound_once(*root) for root in term.roots()) else None

    def of_entry(self, start: CallRecord, entry: FunctionId, expression: ir.Expr) -> Term | None:
        """What an expression of the function that starts a unit is called in the unit; None where that has no name for it."""
        if start.node is None or start.by is not None:
            return None
        given = self.calls.handed(start.function, start.node, entry)
        return entering(self.terms.of(start.function, expression), visible(self.graph, entry), entry.source, given)
