"""Which functions run or start which, and the smallest one that runs several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.values import FunctionId, Site

Loop = ir.While | ir.For


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run of a function, or one turn of a loop in it."""

    function: FunctionId
    turn: Loop | None = None


class Runs:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._reached: dict[FunctionId, set[FunctionId]] = {}

    def lowest(self, functions: set[FunctionId]) -> FunctionId | None:
        """The function nearest to all of these that runs or starts them all."""
        common: set[FunctionId] | None = None
        for function in functions:
            above = self.above(function)
            common = above if common is None else common & above
        if not common:
            return None
        return min(common, key=lambda one: (len(self.below(one)), one))

    def above(self, function: FunctionId) -> set[FunctionId]:
        seen, todo = {function}, [function]
        while todo:
            for other in self.runners.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen

    def below(self, function: FunctionId) -> set[FunctionId]:
        """What the function runs and starts."""
        if function not in self._reached:
            seen, todo = {function}, [function]
            while todo:
                for other in self._runs.get(todo.pop(), ()):
                    if other not in seen:
                        seen.add(other)
                        todo.append(other)
            self._reached[function] = seen
        return self._reached[function]

    @cached_property
    def _runs(self) -> dict[FunctionId, set[FunctionId]]:
        program = self.graph.program
        found = {caller: set(callees) for caller, callees in program.calls.items()}
        for unit in program.units:
            for call in unit.spawns:
                found.setdefault(call.record.function, set()).update(unit.entries)
        return found

    @cached_property
    def runners(self) -> dict[FunctionId, set[FunctionId]]:
        found: dict[FunctionId, set[FunctionId]] = {}
        for caller, callees in self._runs.items():
            for callee in callees:
                found.setdefault(callee, set()).add(caller)
        return found

    def loop_around(self, root: FunctionId, functions: set[FunctionId], sites: set[Site]) -> Loop | None:
        """The innermost loop of the root that has in its body all that leads to these functions and sites."""
        common: list[Loop] | None = None
        for number in self._leading(root, functions, sites):
            place = self.graph.program.place(root, number)
            loops = list(place.loops) if place is not None else []
            common = loops if common is None else [one for one in common if any(one is other for other in loops)]
        return common[-1] if common else None

    def _leading(self, root: FunctionId, functions: set[FunctionId], sites: set[Site]) -> Iterator[int]:
        program = self.graph.program
        starts: dict[Site, set[FunctionId]] = {}
        for unit in program.units:
            for spawn in unit.spawns:
                starts.setdefault(spawn.record.site, set()).update(unit.entries)
        for node in self.graph.paths(root).nodes:
            for number in (*node.sites(), *((i.site for i in node.stmt.items) if isinstance(node.stmt, ir.With) else ())):
                site = root.site(number)
                run = program.state.callees.get(site, set()) | starts.get(site, set())
                if site in sites or any(self.below(one) & functions for one in run):
                    yield number
