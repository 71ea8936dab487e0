"""The instances of the units of a scope: how many of each, and their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint.catalog.grammar import Kind, UnitKind
from leaklint.explore.scope import Scope
from leaklint.explore.turns import Turns
from leaklint.graph import Graph
from leaklint.link.flow.state import LibraryCall
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId

MOST_COPIES = 8
DEEPEST = 8
"""Calls between the root of a scope and a place in it."""


@dataclass(eq=False)
class Copies:
    """Answers for one scope. The root is number 0."""

    graph: Graph
    scope: Scope
    turns: Turns

    @cached_property
    def of(self) -> dict[Unit, tuple[int, ...]]:
        """Unit → the numbers of its instances."""
        found: dict[Unit, tuple[int, ...]] = {}
        first = 1
        for unit in self.scope.units:
            many = sum(self._often(spawn.record.function, spawn.record.site.number, 0) for spawn in self.starts(unit))
            numbers = found[unit] = tuple(range(first, first + max(1, min(MOST_COPIES, many))))
            first += len(numbers)
        return found

    def of_all(self, units: list[Unit]) -> tuple[int, ...]:
        """The numbers of the instances of several units."""
        return tuple(sorted({number for unit in units for number in self.of[unit]}))

    def starts(self, unit: Unit) -> list[LibraryCall]:
        """What starts the unit in a run of the root."""
        return [s for s in unit.spawns if s.record.function in self.scope.touching or s.record.function == self.scope.root]

    def groups(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The root with the units of each task group; a group that another unit opens is taken for the root's."""
        program = self.graph.program
        groups = {s.subject for u in self.scope.units for s in u.spawns if s.subject is not None and program.kind(s.subject) is Kind.GROUP}
        for group in sorted(groups):
            yield 0, self.of_all([u for u in self.scope.units if any(s.subject == group for s in u.spawns)])

    def loop(self, unit: Unit | None) -> int | None:
        """The event loop of a unit, or of the root."""
        if unit is None:
            return 0 if self.graph.program.node(self.scope.root).is_async else None
        return 0 if unit.kind is UnitKind.TASK else None

    @property
    def tasks(self) -> tuple[int, ...]:
        return self.of_all([u for u in self.scope.units if u.kind is UnitKind.TASK])

    def _often(self, function: FunctionId, site: int, depth: int) -> int:
        """How often a place is come to in one run of the root, at most."""
        times = self.turns.turns_around(function, site)
        if function == self.scope.root or depth > DEEPEST:
            return times
        callers = [(c, n) for c in self.graph.program.callers.get(function, ()) for n in self.graph.calls_to(c, function)]
        entered = [s for u in self.scope.units if function in u.entries for s in self.starts(u)]
        places = [*callers, *((s.record.function, s.record.site.number) for s in entered)]
        return times * max(1, sum(self._often(caller, number, depth + 1) for caller, number in places))
