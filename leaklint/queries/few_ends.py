"""LK105: several units each wait for an end of their own, and the stop sends fewer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint.catalog.grammar import UnitKind, Waits
from leaklint.exits.endings import endings_of
from leaklint.exits.stopping import cancelled
from leaklint.finding import Confidence, Leak
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.queries.serving import given, size
from leaklint.queries.wording import grows

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD, UnitKind.PROCESS, UnitKind.JOB})


@dataclass(frozen=True, slots=True)
class _Crew:
    """Units that a loop starts, all of which run the same receive loop, and the sends that each of them takes for its end."""

    unit: Unit
    receive: Action
    ends: tuple[Action, ...]
    size: int | None


def too_few_ends(graph: Graph) -> Iterator[Leak]:
    """A loop starts several units that receive from one channel until an end comes; what stops them sends one end, once, and none of them
    passes it on."""
    for channel in graph.channels:
        if channel.open is not None or channel.closes:
            continue
        for receive in channel.receives:
            crew = _crew(graph, channel, receive)
            if crew is not None and _is_sent_once(graph, crew):
                yield _leak(graph, channel, crew)
                break


def _crew(graph: Graph, channel: Channel, receive: Action) -> _Crew | None:
    program = graph.program
    if receive.waits is not Waits.WHILE_EMPTY or receive.deferred or not program.blocks(receive):
        return None
    place = program.place(receive.function, receive.site.number)
    runners = graph.runners(receive.function)
    units = given(graph, channel, (r.unit for r in runners if r.unit is not None))
    if place is None or len(place.loops) != 1 or len(units) != 1 or any(r.unit is None and r.kind is UnitKind.MAIN for r in runners):
        return None
    (unit,) = units
    number = size(graph, channel, unit)
    if unit.kind not in _UNITS or number == 1 or cancelled(graph, unit) is not None:
        return None
    ends = endings_of(channel, receive, place.loops[0])
    inside = program.reached(unit.entries)
    if not ends or any(end.function in inside for end in ends) or {a for a in channel.receives if a.function not in inside}:
        return None  # they pass the end on, or somebody else empties the channel
    return _Crew(unit, receive, ends, number)


def _is_sent_once(graph: Graph, crew: _Crew) -> bool:
    """Whether there is one send of the end, in no loop, in a function that no loop calls and that one unit or caller runs."""
    if len(crew.ends) != 1:
        return False
    (end,) = crew.ends
    todo, seen = [(end.function, end.site.number)], {end.function}
    while todo:
        function, number = todo.pop()
        place = graph.program.place(function, number)
        if place is None or place.loops or place.in_comprehension:
            return False
        for unit in graph.program.entered_by.get(function, ()):
            todo += [(spawn.record.function, spawn.record.site.number) for spawn in unit.spawns]
        for caller in graph.program.callers.get(function, frozenset()) - seen:
            seen.add(caller)
            todo += [(caller, site) for site in graph.calls_to(caller, function)]
    return not end.deferred and end.call.record.by is None


def _leak(graph: Graph, channel: Channel, crew: _Crew) -> Leak:
    (end,) = crew.ends
    start, home = crew.unit.spawns[0].record, channel.made[0]
    often = graph.recurrences.of(home)
    many = "one for each turn of a loop" if crew.size is None else f"{crew.size} in all"
    trace = (
        graph.step(*channel.made, f"`{channel.name}` is made here"),
        graph.step(start.function, start.at, f"`{crew.unit.name}` starts here, {many}"),
        graph.step(end.function, end.at, "one end is sent here, and nobody sends another"),
        graph.step(crew.receive.function, crew.receive.at, f"one takes it, the others wait here in `{crew.receive.method}` for ever"),
    )
    return Leak(
        graph.program.path(end.function.module), end.at, graph.qualname(end.function),
        {"channel": channel.name, "operation": crew.receive.method, "consumer": crew.unit.name,
         "growth": grows(graph, often, crew.unit.kind.value, home)},
        Confidence.LIKELY, often.growth, trace, "ends",
        blocked=(graph.step(crew.receive.function, crew.receive.at, "they wait here"),),
    )  # fmt: skip
