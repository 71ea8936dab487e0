"""The units that other rules tell of: they wait for what never comes, whoever owns them."""

from __future__ import annotations

from functools import cached_property

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.units import Unit
from leaklint.queries.endless import endless_receiver
from leaklint.queries.query import NoOptions
from leaklint.queries.unwoken import unwoken


class Waiting:
    """Answers for one program. One fault is told of once: a unit that nothing ends because of such a wait is the fault of that wait."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def has(self, unit: Unit) -> bool:
        records = [spawn.record for spawn in unit.spawns]
        return any((self.graph.program.path(record.function.module), record.at) in self._places for record in records)

    @cached_property
    def _places(self) -> frozenset[tuple[str, ir.Span]]:
        leaks = (*endless_receiver(self.graph, NoOptions()), *unwoken(self.graph, NoOptions()))
        return frozenset((step.path, step.at) for leak in leaks for step in leak.trace)
