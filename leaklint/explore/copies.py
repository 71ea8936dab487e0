"""The instances of the units of a scope: how many of each, and their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from leaklint.catalog.grammar import Kind, UnitKind
from leaklint.explore.points import Unsupported
from leaklint.explore.scope import Scope
from leaklint.explore.turns import Turns
from leaklint.graph import Graph
from leaklint.link.flow.state import LibraryCall
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId

MOST_COPIES = 8


@dataclass(eq=False)
class Copies:
    """Answers for one scope. The root is number 0."""

    graph: Graph
    scope: Scope
    turns: Turns
    _runs: dict[FunctionId, int] = field(default_factory=dict)

    @cached_property
    def of(self) -> dict[Unit, tuple[int, ...]]:
        """Unit → the numbers of its instances."""
        found: dict[Unit, tuple[int, ...]] = {}
        first = 1
        for unit in self.scope.units:
            many = sum(self._often(spawn.record.function, spawn.record.site.number) for spawn in self.starts(unit))
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
        """Whose each task group is, the number of a unit, with the units in it. Raises Unsupported when it may be that of several."""
        program = self.graph.program
        groups = {s.subject for u in self.scope.units for s in u.spawns if s.subject is not None and program.kind(s.subject) is Kind.GROUP}
        for group in sorted(groups):
            members = [u for u in self.scope.units if any(s.subject == group for s in u.spawns)]
            opening = {a.function for a in program.on(group) if a.method in ("__enter__", "__aenter__")}
            owners: list[tuple[int, ...]] = [(0,)] if program.reached([self.scope.root]) & opening else []
            owners += [self.of[unit] for unit in self.scope.units if program.reached(unit.entries) & opening]
            if [len(numbers) for numbers in owners] != [1]:
                raise Unsupported("a task group of one of several units")
            yield owners[0][0], self.of_all(members)

    def loop(self, unit: Unit | None) -> int | None:
        """The event loop of a unit, or of the root."""
        if unit is None:
            return 0 if self.graph.program.node(self.scope.root).is_async else None
        return 0 if unit.kind is UnitKind.TASK else None

    @property
    def tasks(self) -> tuple[int, ...]:
        return self.of_all([u for u in self.scope.units if u.kind is UnitKind.TASK])

    def _often(self, function: FunctionId, site: int) -> int:
        """How often a place is come to in one run of the root; more than `MOST_COPIES` counts as that."""
        return min(MOST_COPIES, self.turns.turns_around(function, site) * self._runs_of(function))

    def _runs_of(self, function: FunctionId) -> int:
        if function == self.scope.root:
            return 1
        if function not in self._runs:
            self._runs[function] = 1  # one that comes back to itself
            callers = self.graph.program.callers.get(function, frozenset()) & (self.scope.touching | {self.scope.root})
            called = [(c, n) for c in callers for n in self.graph.calls_to(c, function)]
            entered = [s.record for u in self.scope.units if function in u.entries for s in self.starts(u)]
            places = [*called, *((record.function, record.site.number) for record in entered)]
            self._runs[function] = min(MOST_COPIES, max(1, sum(self._often(caller, number) for caller, number in places)))
        return self._runs[function]
