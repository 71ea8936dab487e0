"""How findings speak of growth and of places."""

from __future__ import annotations

from leaklint.finding import Growth
from leaklint.graph import Graph
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.recurrence import Recurrence


def grows(graph: Graph, often: Recurrence, what: str, function: FunctionId) -> str:
    """The end of a headline about something in `function`: how many of `what` pile up, and with what; empty for a fixed number."""
    match often.growth:
        case Growth.PER_ITERATION:
            return f": one more {what} in every turn of {_loop(graph, often, function)}"
        case Growth.PER_CALL if often.per is not None:
            return f": one more {what} for each {often.per.value}"
        case Growth.PER_CALL if often.function is not None:
            return f": one more {what} for each {_called(graph, often.function)}"
        case Growth.AT_EXIT:
            return ": it keeps the process from ending"
        case _:
            return ""


def _loop(graph: Graph, one: Recurrence, here: FunctionId) -> str:
    if one.loop is None or one.function is None:
        return "a loop"
    path = graph.program.path(one.function.module)
    line = one.loop.at.line
    return f"the loop at line {line}" if path == graph.program.path(here.module) else f"the loop at {path}:{line}"


def _called(graph: Graph, function: FunctionId) -> str:
    """What happens each time that the function is called: an instance is made, or it is called."""
    outer, _, name = graph.qualname(function).rpartition(".")
    return f"`{outer}` that is made" if name == "__init__" else f"call of `{graph.qualname(function) or 'the module'}`"


def kind_of(unit: Unit | None) -> str:
    return "waiting caller" if unit is None else unit.kind.value
