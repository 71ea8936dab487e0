"""How often the loops of a scope turn: as often as they have elements, or as there is data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.explore.points import Unsupported
from leaklint.explore.scope import Scope
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.sizes import length
from leaklint.link.syntax import clauses_around, expressions, in_order, walk
from leaklint.link.values import FunctionId

SOME = 3
"""Turns of a loop over data, and elements of a comprehension over data: one that a channel of such a scope holds, one that has been taken
out of it, and one more."""
MOST_TURNS = 8


@dataclass(eq=False)
class Turns:
    """Answers for one scope. Those that count raise Unsupported where there are more than `MOST_TURNS`."""

    graph: Graph
    scope: Scope
    is_scaled: bool = False
    """Whether something is done as often as there is data, for which `SOME` stands."""
    is_counted: bool = False
    """Whether it matters how often something is done."""

    def must_be_exact(self) -> None:
        self.is_counted = True

    def turns_around(self, function: FunctionId, site: int) -> int:
        """How often the blocks around a place run it, in one run of its function."""
        place = self.graph.program.place(function, site)
        times = 1
        for loop in place.loops if place is not None else ():
            if loop is not self.scope.turn:
                times *= self.turns(function, loop) if isinstance(loop, ir.For) else SOME
        return times * self.times_in_comprehension(function, site)

    def times_in_comprehension(self, function: FunctionId, site: int) -> int:
        """How often a site is evaluated where it stands: once for each element, in a comprehension."""
        place = self.graph.program.place(function, site)
        if place is None or not place.in_comprehension:
            return 1
        times = 1
        for clause in clauses_around(place.stmt, site):
            times *= self.known(length(self.graph.program, function, clause.iterable))
        return times

    def known(self, turns: int | None) -> int:
        if turns is not None and turns > MOST_TURNS:
            raise Unsupported("a loop of many turns")
        self.is_scaled = self.is_scaled or turns is None
        return SOME if turns is None else turns

    def turns(self, function: FunctionId, loop: ir.For) -> int:
        """How often a `for` loop turns."""
        if loop is self.scope.turn:
            return 1
        return self.known(self.known_turns(function, loop)) if self.matters(function, loop) else 1

    def known_turns(self, function: FunctionId, loop: ir.For) -> int | None:
        return length(self.graph.program, function, loop.iterable)

    def is_in_data_loop(self, function: FunctionId, site: int) -> bool:
        """Whether a place of a function is come to as often as there is data."""
        place = self.graph.program.place(function, site)
        if place is None:
            return False
        loops = [loop for loop in place.loops if loop is not self.scope.turn]
        if any(isinstance(loop, ir.While) or self.known_turns(function, loop) is None for loop in loops):
            return True
        clauses = clauses_around(place.stmt, site) if place.in_comprehension else []
        return any(length(self.graph.program, function, clause.iterable) is None for clause in clauses)

    def matters(self, function: FunctionId, loop: ir.For) -> bool:
        """Whether a loop does something about the resources or units of the scope."""
        program = self.graph.program
        for stmt in walk(loop.body):
            sites = [e.site for expression in expressions(stmt) for e in in_order(expression) if isinstance(e, ir.Call | ir.Await)]
            sites += [item.site for item in stmt.items] if isinstance(stmt, ir.With) else []
            sites += [stmt.site] if isinstance(stmt, ir.For) else []
            for number in sites:
                site = function.site(number)
                if program.state.callees.get(site, set()) & self.scope.touching or any(self._is_known(a) for a in program.at(site)):
                    return True
        return False

    def _is_known(self, action: Action) -> bool:
        spawns = (s.record.site for u in self.scope.units for s in u.spawns)
        return bool(action.subjects & self._concerned) or action.site in spawns

    @cached_property
    def _concerned(self) -> frozenset[int]:
        return frozenset(o for group in self.scope.resources for o in group) | frozenset(o for u in self.scope.units for o in u.handle)
