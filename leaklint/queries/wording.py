"""How findings speak of growth and of places."""

from __future__ import annotations

from leaklint.finding import Growth
from leaklint.graph import Graph
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId


def grows(graph: Graph, growth: Growth, what: str, function: FunctionId) -> str:
    """The end of a headline: how many of `what` pile up, and with what; empty for a fixed number."""
    name = graph.qualname(function)
    match growth:
        case Growth.PER_ITERATION:
            return f": one more {what} in every turn of a loop"
        case Growth.PER_CALL if name:
            return f": one more {what} for each call of `{name}`"
        case Growth.AT_EXIT:
            return ": it keeps the process from ending"
        case _:
            return ""


def kind_of(unit: Unit | None) -> str:
    return "waiting caller" if unit is None else unit.kind.value
