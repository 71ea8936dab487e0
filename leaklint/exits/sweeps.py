"""Who ends tasks without knowing them: functions that look up all that there are, and cancel these."""

from __future__ import annotations

from functools import cached_property

from leaklint.catalog.grammar import Does
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.values import FunctionId


class Sweeps:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program

    @cached_property
    def cancelling(self) -> frozenset[FunctionId]:
        """The functions that cancel tasks which somebody has looked up, many at once (`all_tasks`)."""
        tasks = frozenset(o for look in self._looks for o in look.call.made)
        return frozenset(a.function for o in tasks for a in self.program.on(o) if a.does is Does.CANCEL)

    @cached_property
    def _looks(self) -> tuple[Action, ...]:
        return tuple(a for a in self.program.actions if a.does is Does.OBSERVE and isinstance(a.call.operation.returns, tuple))

    def follow(self, function: FunctionId) -> bool:
        """Whether a function that starts this one once, directly or by what it starts, sweeps."""
        seen: set[FunctionId] = set()
        while self.cancelling and function not in seen:
            reached = self.program.reached([function])
            if reached & self.cancelling and any(look.function in reached for look in self._looks):
                return True
            seen.add(function)
            place = self.graph.recurrences.only_place(function)
            if place is None:
                return False
            function = place
        return False
