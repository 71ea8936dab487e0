"""Which units are started for a channel, and how many of them."""

from __future__ import annotations

from collections.abc import Iterable

from leaklint import ir
from leaklint.graph import Channel, Graph
from leaklint.link.places import Place
from leaklint.link.sizes import length
from leaklint.link.syntax import target_names
from leaklint.link.units import Unit
from leaklint.link.values import Coroutine, FunctionId, Resource


def given(graph: Graph, channel: Channel, units: Iterable[Unit]) -> set[Unit]:
    """Of several units that run a function those whose start gives them the channel; one alone is the one."""
    found = set(units)
    return found if len(found) < 2 else {unit for unit in found if _is_given(graph, channel, unit)}


def _is_given(graph: Graph, channel: Channel, unit: Unit) -> bool:
    program = graph.program
    actuals = program.arguments(unit.made.record.site) if unit.made is not None else []
    held = {o for variable in actuals for o in program.elements(program.holds(variable))}
    later = {
        o for one in held if isinstance(v := program.value(one), Coroutine) for w in program.arguments(v.site) for o in program.holds(w)
    }
    return bool((held | later) & channel.objects)


def size(graph: Graph, channel: Channel, unit: Unit) -> int | None:
    """How many of the unit share the channel: 1 too where nothing can be said, a number, or None for one for each of something."""
    if len(unit.spawns) != 1 or unit.made is None:
        return 1
    record = unit.made.record
    place = graph.program.place(record.function, record.site.number)
    if place is None or place.in_comprehension or not place.loops:
        return None if place is not None and place.in_comprehension else 1
    loop = place.loops[-1]
    if not isinstance(loop, ir.For) or loop.is_async or _may_go_without(place, loop) or _has_its_own(graph, channel, record.function, loop):
        return 1
    return length(graph.program, record.function, loop.iterable)


def _may_go_without(place: Place, loop: ir.For) -> bool:
    """Whether a turn of the loop may start nothing: what is started when there is need of it is not one for each turn."""
    depth = next(n for n, enclosing in enumerate(place.around) if enclosing.stmt is loop)
    return any(isinstance(e.stmt, ir.Branch | ir.Match) or e.block in ("handler", "orelse") for e in place.around[depth + 1 :])


def _has_its_own(graph: Graph, channel: Channel, function: FunctionId, loop: ir.For) -> bool:
    """Whether each turn of the loop has another channel: it makes one, or takes one from what it runs over."""
    program = graph.program
    if program.local_objects(function, target_names(loop.target)) & channel.objects:
        return True
    for obj in channel.objects:
        made = program.value(obj)
        if isinstance(made, Resource) and channel.made[0].source == function.source:
            place = program.place(function, made.site.number)
            if place is not None and any(one is loop for one in place.loops):
                return True
    return False
